# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records of dns-persist-01 (draft-ietf-acme-dns-persist): whether one of them lets this account have the name."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Persisted:
    """The value of a _validation-persist record. until: seconds since the epoch."""

    issuer: str
    account: str
    wildcard: bool
    until: int | None


def fault(values: Iterable[bytes], issuers: Collection[str], account: str, wildcard: bool, now: float) -> str:
    """Why none of the values does; empty where one does.

    issuers may be empty, where the CA does not say. now: seconds since the epoch.
    """
    reasons = [_fault(value, issuers, account, wildcard, now) for value in values]
    if not reasons:
        return "there is none"
    return "" if "" in reasons else "; ".join(reasons)


def _fault(value: bytes, issuers: Collection[str], account: str, wildcard: bool, now: float) -> str:
    written = repr(value.decode("ascii", "replace"))
    found = _parse(value)
    if found is None:
        return f"{written} is malformed"
    if issuers and found.issuer not in {name.lower() for name in issuers}:
        return f"{written} is not for {' or '.join(sorted(issuers))}"
    if found.account != account:
        return f"{written} is for another account than {account}"
    if wildcard and not found.wildcard:
        return f"{written} is without policy=wildcard"
    if found.until is not None and found.until <= now:
        return f"{written} has run out"
    return ""


def _parse(value: bytes) -> Persisted | None:
    """The syntax is that of issue in CAA (RFC 8659 section 4.2); parameters that are not known are ignored."""
    try:
        issuer, *parts = (part.strip(" \t") for part in value.decode("ascii").split(";"))
        parameters = {}
        for part in filter(None, parts):
            tag, equals, text = part.partition("=")
            if not equals or tag.lower() in parameters:
                return None
            parameters[tag.strip(" \t").lower()] = text.strip(" \t")
        until = int(parameters["persistuntil"]) if "persistuntil" in parameters else None
    except ValueError:
        return None
    wildcard = parameters.get("policy", "").lower() == "wildcard"
    return Persisted(issuer.lower().removesuffix("."), parameters.get("accounturi", ""), wildcard, until)
