# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a caller may set of a certificate, and how certificates.d/NAME.toml says it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from acmed.privd import toml

# debian/postrm knows by the first line whose the file is.
_HEAD = "# Written by acmed for 'acmectl order'. Comments are not kept when it is written again."


@dataclass(frozen=True)
class Settings:
    """As org.acmed.Priv has them. What is None is left to [defaults]."""

    account: str | None = None
    failover: Sequence[str] | None = None
    key_type: str | None = None
    services: Sequence[str] | None = None
    challenge: str | None = None
    profile: str | None = None
    must_staple: bool | None = None
    common_name: str | None = None
    preferred_chain: str | None = None
    validity_days: int | None = None
    backdate_hours: int | None = None

    @classmethod
    def read(cls, given: dict[str, Any]) -> "Settings":
        """From the interface's spelling of them; a CSR is not among them."""
        return cls(**{field.name: given.get(_camel(field.name)) for field in fields(cls)})

    def text(self, names: Sequence[str], csr: bool) -> str:
        """The file's content."""
        lines = [_HEAD, f"names = {toml.strings(names)}"]
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                lines.append(f"{_key(field.name)} = {_value(value)}")
        return "\n".join([*lines, *(["csr = true"] if csr else []), ""])


def _key(name: str) -> str:
    return name.replace("_", "-")


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def _value(value: str | bool | int | Sequence[str]) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return toml.string(value)
        case _:
            return toml.strings(value)


# What would not be lost if the file were written again.
KEYS = {"names", "csr", *(_key(field.name) for field in fields(Settings))}
