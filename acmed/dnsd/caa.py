# SPDX-License-Identifier: LGPL-2.1-or-later
"""What CAA records allow: RFC 8659, with the account and the methods of RFC 8657. No DNS in here."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_CRITICAL = 128  # RFC 8659 section 4.1
_ALSO_CRITICAL = 1  # what many write for it; Let's Encrypt refuses it as well
_KNOWN = ("issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone")
_SPACE = " \t"
_TAG = re.compile(r"[A-Za-z0-9]+(-+[A-Za-z0-9]+)*")
_VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e]*")
_METHOD = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True)
class Property:
    """A CAA record."""

    flags: int
    tag: str
    value: str


@dataclass(frozen=True)
class Wanted:
    """What is to be issued. issuers: the domains by which CAA knows the CA; method: a challenge type, None for any."""

    wildcard: bool
    issuers: Collection[str]
    account: str
    method: str | None


@dataclass(frozen=True)
class _Issuer:
    """What one issue or issuewild property allows. domain is empty for nobody."""

    domain: str
    parameters: tuple[tuple[str, str], ...]

    def values(self, tag: str) -> list[str]:
        return [value for name, value in self.parameters if name == tag]


def refusal(records: Iterable[Property], wanted: Wanted) -> str:
    """Why these records, of the name or the next one above that has any, forbid it; empty where they do not."""
    records = list(records)
    for record in records:
        if record.tag.lower() not in _KNOWN and record.flags & (_CRITICAL | _ALSO_CRITICAL):
            return f"a critical property {record.tag!r}, which CAs do not know, forbids every issuance"
    issue = [record for record in records if record.tag.lower() == "issue"]
    wild = [record for record in records if record.tag.lower() == "issuewild"]
    relevant = wild if wanted.wildcard and wild else issue
    if not relevant:
        return ""
    reasons = [_refusal_by(record, wanted) for record in relevant]
    return "" if "" in reasons else "; ".join(dict.fromkeys(reasons))


def _refusal_by(record: Property, wanted: Wanted) -> str:
    """Why this property does not allow it; empty where it does."""
    issuer = _parse(record.value)
    written = f'{record.tag.lower()} "{record.value}"'
    if issuer is None:
        return f"{written} is malformed, and so allows nobody"
    if not issuer.domain:
        return f"{written} allows nobody"
    if issuer.domain.lower() not in {name.lower() for name in wanted.issuers}:
        return f"{written} is not for {' or '.join(sorted(wanted.issuers))}"
    accounts = issuer.values("accounturi")
    if accounts and accounts != [wanted.account]:
        return f"{written} is for another account than {wanted.account}"
    methods = issuer.values("validationmethods")
    if methods and wanted.method and not _has_method(methods, wanted.method):
        return f"{written} does not allow {wanted.method}"
    return ""


def _has_method(lists: list[str], method: str) -> bool:
    """RFC 8657 section 4; the parameter may be there once."""
    words = lists[0].split(",")
    return len(lists) == 1 and all(_METHOD.fullmatch(word) for word in words) and method in words


def _parse(value: str) -> _Issuer | None:
    """issue-value of RFC 8659 section 4.2; None where it is malformed."""
    domain, *parts = (part.strip(_SPACE) for part in value.split(";"))
    parameters = []
    for part in parts if parts != [""] else ():
        tag, equals, text = part.partition("=")
        tag, text = tag.rstrip(_SPACE), text.lstrip(_SPACE)
        if not (equals and _TAG.fullmatch(tag) and _VALUE.fullmatch(text)):
            return None
        parameters.append((tag.lower(), text))
    return _Issuer(domain, tuple(parameters))
