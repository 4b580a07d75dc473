# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lacme gives to openssl for a request: the forms of req(1ssl), -subj, and of x509v3_config(5ssl)."""

import re
from collections.abc import Iterator

from acmed.config.words import quoted

# Those that OpenSSL has short names for, and RFC 4514 or a CA may have a use for.
_TYPES = {
    "CN": "2.5.4.3",
    "SN": "2.5.4.4",
    "serialNumber": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "street": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "title": "2.5.4.12",
    "GN": "2.5.4.42",
    "UID": "0.9.2342.19200300.100.1.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "emailAddress": "1.2.840.113549.1.9.1",
}
_LONG = {
    "commonName": "CN",
    "surname": "SN",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "streetAddress": "street",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "givenName": "GN",
    "userId": "UID",
    "domainComponent": "DC",
}
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")

# Short and long names of the bits.
_USAGES = {
    "Digital Signature": "digitalSignature",
    "Non Repudiation": "nonRepudiation",
    "Key Encipherment": "keyEncipherment",
    "Data Encipherment": "dataEncipherment",
    "Key Agreement": "keyAgreement",
    "Certificate Sign": "keyCertSign",
    "CRL Sign": "cRLSign",
    "Encipher Only": "encipherOnly",
    "Decipher Only": "decipherOnly",
}


class NotUnderstood(ValueError):
    """openssl does not take it, or acmed has nothing like it; the message says why."""


Attribute = tuple[str, str]  # an object identifier in numbers, and the value


def subject(text: str) -> list[list[Attribute]]:
    """The relative distinguished names of "/CN=www.example.com", in order. Raises NotUnderstood."""
    if not text.startswith("/"):
        raise NotUnderstood("openssl wants it to begin with '/', as in /CN=www.example.com")
    names: list[list[Attribute]] = []
    joined = False
    for part, end in _parts(text[1:]):
        written, equals, value = part
        if not equals:
            raise NotUnderstood(f"openssl wants a '=' behind {quoted(written)}")
        kind = _TYPES.get(_LONG.get(written, written)) or (written if _OID.fullmatch(written) else None)
        if kind is None:
            raise NotUnderstood(f"{quoted(written)} is no type of a name that is known here")
        if value:
            if joined and names:
                names[-1].append((kind, value))
            else:
                names.append([(kind, value)])
        joined = end == "+"
    return names


def _parts(text: str) -> Iterator[tuple[tuple[str, bool, str], str]]:
    """Type, whether there is a "=", and value of each; and what ends it: "/", "+" or nothing."""
    while text:
        written, equals, text = text.partition("=")
        value, end = "", ""
        while text and not end:
            char, text = text[0], text[1:]
            if char in "/+":
                end = char
            elif char == "\\":
                if not text:
                    raise NotUnderstood("it ends in a backslash")
                value, text = value + text[0], text[1:]
            else:
                value += char
        yield (written, bool(equals), value), end


def rfc4514(names: list[list[Attribute]]) -> str:
    """A distinguished name as acmed.toml has it. Raises NotUnderstood."""
    from cryptography import x509  # noqa: PLC0415  slow to load, and few subjects need it

    try:
        rdns = [
            x509.RelativeDistinguishedName([x509.NameAttribute(x509.ObjectIdentifier(k), v) for k, v in attributes])
            for attributes in names
        ]
        return x509.Name(rdns).rfc4514_string()
    except ValueError as error:
        raise NotUnderstood(str(error)) from None


def alternative_names(text: str) -> Iterator[tuple[str, str]]:
    """Kind ("DNS", "IP" and so on) and value of each."""
    for part in text.split(","):
        kind, _, value = part.strip().partition(":")
        if kind:
            yield kind.strip(), value.strip()


def key_usage(text: str) -> list[str]:
    """Raises NotUnderstood."""
    found: list[str] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        usage = _USAGES.get(word, word)
        if usage not in _USAGES.values() and usage != "critical":
            raise NotUnderstood(f"openssl knows no {quoted(word)}")
        if usage not in (*found, "critical"):
            found.append(usage)
    return found


def features(text: str) -> set[str]:
    """Of TLS (RFC 7633), by their names or numbers."""
    return {part.strip() for part in text.split(",") if part.strip()}
