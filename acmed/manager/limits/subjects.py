# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the limits of a CA are about, as Let's Encrypt counts (letsencrypt.org/docs/rate-limits)."""

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any

from acmed.names import Identifier

_IPV6_NETWORK = 64  # bits; Let's Encrypt counts an IPv6 address as its network


def registered(identifiers: Iterable[Identifier]) -> list[str]:
    """What Let's Encrypt counts certificates by: the registered domain of a name, an IPv4 address, the network of an
    IPv6 address.
    """
    return sorted({_domain(one.value) if one.type == "dns" else _network(one.value) for one in identifiers})


def exact(identifiers: Iterable[Identifier]) -> str:
    """A set of identifiers, in few characters."""
    return hashlib.sha256(",".join(sorted(map(str, identifiers))).encode()).hexdigest()[:32]


def plain(identifiers: Iterable[Identifier]) -> list[str]:
    """What is validated: a wildcard by the name under it."""
    return sorted({identifier.value.removeprefix("*.") for identifier in identifiers})


def _network(address: str) -> str:
    from ipaddress import IPv4Address, ip_address, ip_network  # noqa: PLC0415  few certificates have one

    found = ip_address(address)
    return address if isinstance(found, IPv4Address) else str(ip_network((found, _IPV6_NETWORK), strict=False))


def _domain(name: str) -> str:
    """The name right below the longest public suffix; one that is a suffix itself counts as such."""
    without = name.removeprefix("*.")
    # A top-level domain that is not in the list is a public suffix too (publicsuffix.org/list, "*").
    return _suffixes().get_sld(without, strict=True) or ".".join(without.split(".")[-2:])


@cache
def _suffixes() -> Any:
    # Reads a list of ten thousand, for which only accounts with such a limit have a use.
    from publicsuffix2 import PublicSuffixList  # noqa: PLC0415

    return PublicSuffixList()
