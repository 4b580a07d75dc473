# SPDX-License-Identifier: LGPL-2.1-or-later
"""newOrder (RFC 8555 section 7.4) and newAuthz (section 7.4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from acmed import journal
from acmed.clientd.ca.directory import Directory
from acmed.clientd.ca.session import Session, nothing
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError
from acmed.clientd.orders.polling import together
from acmed.clientd.orders.recovery import Recovery
from acmed.clientd.orders.shown import OPEN, checked, lost, shown, unread
from acmed.clientd.orders.store import KeptOrder, Store
from acmed.names import Identifier

# What CAs answer where they do not take "replaces" (RFC 9773 section 5): Let's Encrypt 409, 403, 404 or 400, Pebble
# also 500 for a certificate that it does not know.
_ABOUT_REPLACES = ("", "alreadyReplaced", "conflict", "malformed", "unauthorized", "serverInternal")
_BUSY = (429, 503)


@dataclass(frozen=True)
class Wanted:
    """What is to be ordered: the certificate's name here, the identifiers, and the CSR's SHA-256 (hexadecimal).

    Without a CSR, authorizations are all that is wanted. not_before, not_after: RFC 3339. replaces: RFC 9773 section
    4.1.
    """

    certificate: str
    identifiers: tuple[Identifier, ...]
    csr_sha256: str | None
    profile: str | None = None
    not_before: str | None = None
    not_after: str | None = None
    replaces: str | None = None


async def create(session: Session, store: Store, wanted: Wanted) -> KeptOrder | None:
    """Asks for the order, or for the authorizations alone. None where the CA does not take it as one that replaces
    another. Raises any ClientError.
    """
    directory = await session.authority.resources.directory()
    if wanted.profile is not None and wanted.profile not in directory.profiles:
        directory = await session.authority.resources.directory(fetched=True)
    if wanted.csr_sha256 is None and "newAuthz" in directory.resources and not _has_wildcard(wanted):
        return await _authorizations(session, wanted)
    answer = await _new_order(session, store, wanted, directory)
    if answer is None:
        return None
    url = session.location(answer)
    if not answer.is_object():
        answer = await session.get(url)  # it is made, and what was said of it is not all that is to be had
    order = checked(session, answer, wanted.identifiers)
    if order.status.name not in OPEN:
        raise lost(answer, order.error, f"the CA answered newOrder with an order that is {order.status.name}")
    # RFC 9773 section 5: the order of a CA that takes it as a replacement says so.
    replaced = wanted.replaces is not None and answer.object().get("replaces") == wanted.replaces
    return shown(replace(_kept(session, wanted, url, order.finalize, order.status.name), replaced=replaced), order)


async def _new_order(session: Session, store: Store, wanted: Wanted, directory: Directory) -> Answer | None:
    if wanted.profile is not None and not directory.profiles:
        detail = f"this CA has no profiles, and {wanted.profile!r} is asked for"
        raise AcmeError.told(session.authority.directory_url, detail, "invalidProfile")
    payload: dict[str, Any] = {"identifiers": [_fields(item) for item in wanted.identifiers]}
    payload |= {"profile": wanted.profile} if wanted.profile is not None else {}
    payload |= {"notBefore": wanted.not_before} if wanted.not_before is not None else {}
    payload |= {"notAfter": wanted.not_after} if wanted.not_after is not None else {}
    if wanted.replaces is None:
        return await _sent(session, store, wanted, payload)
    if "renewalInfo" not in directory.resources:
        return None
    try:
        return await _sent(session, store, wanted, payload | {"replaces": wanted.replaces})
    except AcmeError as error:
        if error.type not in _ABOUT_REPLACES or not error.understood or error.status in _BUSY:
            raise
        journal.notice("The CA does not take the order as a replacement: %s", error)
        return None


async def _sent(session: Session, store: Store, wanted: Wanted, payload: Mapping[str, Any]) -> Answer:
    recovery = Recovery(session, store, wanted.certificate, wanted.identifiers, payload)
    if (made := await recovery.begun()) is not None:
        return made
    try:
        return await session.create("newOrder", payload, recovery.find)
    except AcmeError as error:
        recovery.refused(error)
        if error.type == "invalidProfile":
            profiles = (await session.authority.resources.directory()).profiles
            error.advise(f"this CA has {', '.join(sorted(profiles)) or 'no profiles'}")
        raise


async def _authorizations(session: Session, wanted: Wanted) -> KeptOrder:
    async def ask(identifier: Identifier) -> str:
        return session.location(await session.create("newAuthz", {"identifier": _fields(identifier)}, nothing))

    urls = await together(session.authority.limits.polls_at_once, map(ask, wanted.identifiers))
    authorizations = tuple(unread(url) for url in dict.fromkeys(urls))
    return replace(_kept(session, wanted, "", "", "pending"), authorizations=authorizations)


def _kept(session: Session, wanted: Wanted, url: str, finalize: str, status: str) -> KeptOrder:
    return KeptOrder(
        account=session.account.name,
        uri=session.uri,
        directory=session.account.directory,
        identifiers=wanted.identifiers,
        csr_sha256=wanted.csr_sha256,
        url=url,
        finalize=finalize,
        status=status,
        profile=wanted.profile,
    )


def _has_wildcard(wanted: Wanted) -> bool:
    """newAuthz takes no such name."""
    return any(item.value.startswith("*.") for item in wanted.identifiers)


def _fields(identifier: Identifier) -> dict[str, str]:
    return {"type": identifier.type, "value": identifier.value}
