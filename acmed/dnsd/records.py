# SPDX-License-Identifier: LGPL-2.1-or-later
"""The TXT records that acme-dnsd sets: which, for whom, and at which name."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import dns.name
import dns.rdtypes.ANY.TXT
from dns.rdataclass import IN
from dns.rdatatype import TXT

from acmed.config.model import ChallengeType, Configuration
from acmed.names import InvalidName, dns_name

_PREFIX = "_acme-challenge"
_PERSISTENT_PREFIX = "_validation-persist"
_CHUNK = 255  # bytes of one string of a TXT record (RFC 1035 section 3.3)

# base64url of a SHA-256 (RFC 8555 section 8.4), and an issuer's name with parameters (RFC 8659 section 4.2).
_DIGEST = re.compile(r"[A-Za-z0-9_-]{43}")
_ISSUER_VALUE = re.compile(r"[A-Za-z0-9.-]{1,253}( *; *[A-Za-z0-9]+=[\x21-\x3a\x3c-\x7e]*)*")
_LONGEST_VALUE = 2000
_VALUES = {
    ChallengeType.DNS_01: _DIGEST,
    ChallengeType.DNS_ACCOUNT_01: _DIGEST,
    ChallengeType.DNS_PERSIST_01: _ISSUER_VALUE,
}


@dataclass(frozen=True)
class Record:
    """A TXT record that answers a challenge. identifier: a DNS name, without "*."; account: the account's URL."""

    identifier: str
    type: ChallengeType
    account: str
    value: str

    @property
    def name(self) -> dns.name.Name:
        """Where the CA asks for it, before CNAME records."""
        labels = {
            ChallengeType.DNS_01: _PREFIX,
            ChallengeType.DNS_ACCOUNT_01: f"{account_label(self.account)}.{_PREFIX}",
            ChallengeType.DNS_PERSIST_01: _PERSISTENT_PREFIX,
        }
        return dns.name.from_text(f"{labels[self.type]}.{self.identifier}.")

    @property
    def data(self) -> dns.rdtypes.ANY.TXT.TXT:
        """The record's data."""
        return txt(self.value.encode("ascii"))


def txt(value: bytes) -> dns.rdtypes.ANY.TXT.TXT:
    """The data of a TXT record, in as many strings as it takes."""
    return dns.rdtypes.ANY.TXT.TXT(IN, TXT, [value[start : start + _CHUNK] for start in range(0, len(value), _CHUNK)])


class NoRecord(ValueError):
    """Not a record that acme-dnsd sets; the argument is the field that is wrong."""


def record(fields: Mapping[str, str]) -> Record:
    """From a Record of the interface. Raises NoRecord."""
    try:
        kind = ChallengeType(fields["type"])
        accepted = _VALUES[kind]
    except (ValueError, KeyError):
        raise NoRecord("type") from None
    identifier, value = fields["identifier"], fields["value"]
    try:
        if dns_name(identifier) != identifier or identifier.startswith("*."):
            raise NoRecord("identifier")
        found = Record(identifier, kind, fields["account"], value)
        found.name  # noqa: B018 - may be too long with the labels in front
    except (InvalidName, dns.name.NameTooLong):
        raise NoRecord("identifier") from None
    if len(value) > _LONGEST_VALUE or not accepted.fullmatch(value):
        raise NoRecord("value")
    return found


def account_label(url: str) -> str:
    """The label of an account in draft-ietf-acme-dns-account-label: "_" and 16 characters of base32 (RFC 4648)."""
    return "_" + base64.b32encode(hashlib.sha256(url.encode()).digest()[:10]).decode().lower()


def is_configured(identifier: str, configuration: Configuration) -> bool:
    """Whether a certificate or an account's authorize names the identifier, or the wildcard below it."""
    named = (
        *(found for certificate in configuration.certificates.values() for found in certificate.identifiers),
        *(found for account in configuration.accounts.values() for found in account.authorize),
    )
    base = identifier.removeprefix("*.")
    return any(found.value.removeprefix("*.") == base for found in named)
