# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a name may look like, and the identifiers of RFC 8555 and RFC 8738."""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

# One label of a DNS name as CAs issue for it: letters, digits and inner hyphens, or an underscore in front.
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_OBJECT_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,199}")


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
            raise InvalidName(f"{text!r} has a zone, which no certificate can have")
        return cls("ip", str(address))


def dns_name(text: str) -> str:
    """A DNS name in lower-case A-labels, without the final dot; "*." may stand in front. Raises InvalidName."""
    wildcard, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    name = name.removesuffix(".").lower()
    if not name.isascii():
        try:
            ascii_name = name.encode("idna")
            if ascii_name.decode("idna") != unicodedata.normalize("NFC", name):
                # What Python knows is IDNA 2003, which makes strasse.de of straße.de, another one's name perhaps.
                raise InvalidName(f"{text!r} is not the same name in all versions of IDNA; write its A-label, xn--…")
            name = ascii_name.decode()
        except UnicodeError as error:
            raise InvalidName(f"{text!r} is not a DNS name: {error}") from None
    labels = name.split(".")
    if len(name) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidName(f"{text!r} is not a DNS name that a CA issues for")
    if labels[-1].isdigit():
        raise InvalidName(f"{text!r} is neither a DNS name nor an IP address")
    return wildcard + name


def object_name(text: str) -> str:
    """The name of a certificate, an account or a service: a file name too, so it is held narrow. Raises InvalidName."""
    if not _OBJECT_NAME.fullmatch(text) or ".." in text or text.endswith((".", ".toml")):
        raise InvalidName(
            f"{text!r} is not a valid name here: use a-z, 0-9, '-', '_' and single dots, at most 200 characters"
        )
    return text


def default_certificate_name(identifier: Identifier) -> str:
    """The name of a certificate that was given none: its first identifier, as a file name."""
    return identifier.value.replace("*.", "_.").replace(":", "-")
