# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a name may look like, and the identifiers of RFC 8555 and RFC 8738."""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

# One label of a DNS name as CAs issue for it: letters, digits and inner hyphens, or an underscore in front.
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_A_LABEL = "xn--"  # RFC 5890 section 2.3.2.1
_LONGEST = 1000  # characters of what a person may write; a DNS name has 253 at most, in A-labels
_LONGEST_QUOTED = 80
_OBJECT_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,199}")

# Where deliveries to services are named: that to what the certificate's own file asks for, and the run of a service's
# hook. No service is called so.
OWN_FILES = "its files"
HOOK_OF = "hook of "


class InvalidName(ValueError):
    """The name is not one; the message says what is wrong with it."""


@dataclass(frozen=True, order=True)
class Identifier:
    """An ACME identifier: type "dns" (RFC 8555) or "ip" (RFC 8738). A wildcard is a dns value that starts with "*."."""

    type: str
    value: str

    def __str__(self) -> str:
        return self.value

    @classmethod
    def parse(cls, text: str) -> "Identifier":
        """From what a person writes: a DNS name, in A-label or U-label form, or an IP address. Raises InvalidName."""
        try:
            address = ipaddress.ip_address(text.strip("[]"))
        except ValueError:
            return cls("dns", dns_name(text))
        if "%" in text:  # a zone (RFC 4007), which may be any text, and is in no certificate
            raise InvalidName(f"{_quoted(text)} has a zone, which no certificate can have")
        return cls("ip", str(address))


def dns_name(text: str) -> str:
    """A DNS name in lower-case A-labels, without the final dot; "*." may stand in front. Raises InvalidName.

    Other letters than ASCII become A-labels by UTS 46, non-transitional as in browsers, and must be valid by IDNA 2008.
    """
    wildcard, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    labels = _labels(text, name)
    if not _fits(labels) or len(labels) < 2:
        raise InvalidName(f"{_quoted(text)} is not a DNS name that a CA issues for")
    if labels[-1].isdigit():
        raise InvalidName(f"{_quoted(text)} is neither a DNS name nor an IP address")
    return wildcard + ".".join(labels)


def zone_name(text: str) -> str:
    """The name of a DNS zone or host, as dns_name() has it; one label may be enough, as in private networks. Raises
    InvalidName.
    """
    labels = _labels(text, text)
    if not _fits(labels):
        raise InvalidName(f"{_quoted(text)} is not the name of a DNS zone")
    return ".".join(labels)


def shown(value: str) -> str:
    """A DNS name for people, its A-labels as what they stand for; the name itself where that is not the same again."""
    if not any(label.startswith(_A_LABEL) for label in value.split(".")):
        return value
    import idna  # noqa: PLC0415  slow to load, and few names need it

    wildcard, name = ("*.", value[2:]) if value.startswith("*.") else ("", value)
    try:
        labels = [idna.ulabel(label) if label.startswith(_A_LABEL) else label for label in name.split(".")]
        unicode = wildcard + ".".join(labels)
        return unicode if dns_name(unicode) == value else value
    except (UnicodeError, InvalidName):  # idna's errors are UnicodeErrors
        return value


def _labels(text: str, name: str) -> list[str]:
    """The labels in lower case and ASCII. text is what the name is a part of. Raises InvalidName."""
    if len(text) > _LONGEST:
        raise InvalidName(f"{_quoted(text)} is too long for a DNS name")
    labels = name.removesuffix(".").lower().split(".") if name.isascii() else _converted(text, name)
    for label in labels:
        if label.startswith(_A_LABEL) and not _is_a_label(label):
            raise InvalidName(f"{_quoted(text)} has {_quoted(label)} in it, which stands for no other letters")
    return labels


def _converted(text: str, name: str) -> list[str]:
    """The labels by UTS 46 and IDNA 2008."""
    import idna  # noqa: PLC0415  slow to load, and few names need it

    try:
        # A capital sharp s is a small one by UTS 46 since Unicode 15.1; what Debian 12 has would make two s of it.
        mapped = idna.uts46_remap(name.replace("\u1e9e", "ß"), std3_rules=False)
        labels = mapped.removesuffix(".").split(".")
        return [label.lower() if label.isascii() else idna.alabel(label).decode() for label in labels]
    except UnicodeError as error:
        hint = "; where it is registered all the same, write its A-label, xn--…"
        raise InvalidName(f"{_quoted(text)} is not a DNS name: {error}{hint}") from None


def _is_a_label(label: str) -> bool:
    """Whether CAs would take it: Punycode (RFC 3492) for normalized text. That may be older than IDNA 2008."""
    body = label.removeprefix(_A_LABEL)
    try:
        decoded = body.encode().decode("punycode")
        return (
            not decoded.isascii()
            and decoded.encode("punycode") == body.encode()
            and unicodedata.is_normalized("NFKC", decoded)
        )
    except UnicodeError:
        return False


def _fits(labels: list[str]) -> bool:
    """Whether they have a form that DNS and CAs take, and are not too long together."""
    return all(_LABEL.fullmatch(label) for label in labels) and len(".".join(labels)) <= 253


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTED else text[:_LONGEST_QUOTED] + "…")


def object_name(text: str) -> str:
    """The name of a certificate, an account or a service: a file name too, so it is held narrow. Raises InvalidName."""
    if not _OBJECT_NAME.fullmatch(text) or ".." in text or text.endswith((".", ".toml")):
        raise InvalidName(
            f"{_quoted(text)} is not a valid name here: use a-z, 0-9, '-', '_' and single dots, at most 200 characters"
        )
    return text


def default_certificate_name(identifier: Identifier) -> str:
    """The name of a certificate that was given none: its first identifier, as a file name. One that begins with "::"
    gets the zero that stands there. object_name() refuses it where it is too long.
    """
    value = f"0{identifier.value}" if identifier.value.startswith(":") else identifier.value
    return value.replace("*.", "_.").replace(":", "-")
