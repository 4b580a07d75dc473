# SPDX-License-Identifier: LGPL-2.1-or-later
"""Orders, each by the name of its certificate."""

import hashlib
from collections.abc import Callable
from typing import Any

from acmed import journal
from acmed.clientd.ca.session import Session
from acmed.clientd.errors import AcmeError
from acmed.clientd.handlers.answering import Answering, Reply, answering, decoded, telling_unsent
from acmed.clientd.orders.authorizations import Challenge
from acmed.clientd.orders.creation import Wanted
from acmed.clientd.orders.finalize import finalize
from acmed.clientd.orders.order import Begun, Made, begin
from acmed.clientd.orders.recovery import settle
from acmed.clientd.orders.shown import UNREAD
from acmed.clientd.orders.store import KeptOrder
from acmed.clientd.orders.unfinished import Unfinished
from acmed.names import Identifier, InvalidName, object_name
from acmed.varlink import Call, invalid_parameter, more

Progress = Callable[[Reply], Any]


class Orders(Answering):
    """The methods that are about an order. Those for one certificate wait for each other."""

    @more
    async def resume(
        self,
        _: Call,
        progress: Progress,
        job: int,
        account: str,
        certificate: str,
        identifiers: list[dict[str, str]],
        csr: str | None,
        profile: str | None,
    ) -> Reply:
        with answering(job=job, account=account, certificate=certificate):
            wanted = _wanted(certificate, identifiers, csr, profile)
            return _begun(await self._begin(self._session(account), wanted, None))

    @more
    async def order(
        self,
        _: Call,
        progress: Progress,
        job: int,
        account: str,
        certificate: str,
        identifiers: list[dict[str, str]],
        csr: str | None,
        profile: str | None,
        not_before: str | None,
        not_after: str | None,
        replaces: str | None,
    ) -> Reply:
        with answering(job=job, account=account, certificate=certificate):
            wanted = _wanted(certificate, identifiers, csr, profile, not_before, not_after, replaces)
            session = self._session(account)
            with telling_unsent(session):
                return _ordered(await self._begin(session, wanted, lambda made: progress(_ordered(made))))

    @more
    async def finalize(
        self,
        _: Call,
        progress: Progress,
        job: int,
        account: str,
        certificate: str,
        csr: str | None,
        preferred_chain: str | None,
        challenges: list[str],
    ) -> Reply:
        async def report(step: str, percent: int, detail: str) -> None:
            journal.debug("%s: %s", step, detail)
            await progress(_progress(step, percent, detail))

        with answering(job=job, account=account, certificate=certificate):
            request = _csr(csr)
            session = self._session(account)
            async with self._turns[_name(certificate)]:
                order = await self._kept(session, certificate, _digest(request))
                if not {url for item in order.authorizations for url in item.challenges} >= set(challenges):
                    raise invalid_parameter("challenges")
                unfinished = Unfinished(session, self._store, certificate, order, report)
                chain = await finalize(unfinished, request, preferred_chain, challenges)
            result = {"done": True, "chain": chain, "expires": unfinished.order.expires}
            if chain is None:
                journal.info("The CA has validated all names", order=order.url)
                return _progress("challenge", 95, "all authorizations are valid") | result
            journal.info("The CA issued the certificate", order=order.url)
            return _progress("download", 95, "the chain is here") | result

    async def drop(self, _: Call, job: int, certificate: str) -> Reply:
        with answering(job=job, certificate=certificate):
            async with self._turns[_name(certificate)]:
                await self._store.drop(certificate)
                settle(self._authorities.notes, certificate)
            return {}

    async def _begin(self, session: Session, wanted: Wanted, made: Made | None) -> Begun | None:
        async with self._turns[wanted.certificate]:
            return await begin(session, self._store, wanted, made)

    async def _kept(self, session: Session, certificate: str, csr_sha256: str | None) -> KeptOrder:
        """The order that Order() left. Where it is not there, a new one is needed, as after any other loss."""
        kept = await self._store.load(certificate)
        whose = (session.account.name, session.account.directory)
        if (
            kept is None
            or (kept.account, kept.directory) != whose
            or kept.csr_sha256 != csr_sha256
            or (kept.status == "pending" and any(item.status == UNREAD for item in kept.authorizations))
        ):
            detail = f"there is no order for this request of {certificate}; it has to be ordered again"
            raise AcmeError.told(session.account.directory, detail, final=True)
        return kept


def _progress(step: str, percent: int, detail: str) -> Reply:
    return {"step": step, "progress": percent, "detail": detail, "done": False, "chain": None, "expires": None}


def _begun(begun: Begun | None) -> Reply:
    if begun is None:
        return {"order": None, "replaced": False, "challenges": []}
    challenges = [_challenge(item) for item in begun.challenges]
    return {"order": begun.order.url, "replaced": begun.order.replaced, "challenges": challenges}


def _ordered(begun: Begun | None) -> Reply:
    return _begun(begun) | {"created": begun is not None and begun.created}


def _challenge(item: Challenge) -> Reply:
    return {
        "identifier": {"type": item.identifier.type, "value": item.identifier.value},
        "wildcard": item.wildcard,
        "type": item.type,
        "url": item.url,
        "token": item.token,
        "keyAuthorization": item.key_authorization,
        "issuers": list(item.issuers),
    }


def _wanted(
    certificate: str,
    identifiers: list[dict[str, str]],
    csr: str | None,
    profile: str | None,
    not_before: str | None = None,
    not_after: str | None = None,
    replaces: str | None = None,
) -> Wanted:
    if csr is None and (profile, not_before, not_after, replaces) != (None,) * 4:
        raise invalid_parameter("csr")
    digest = _digest(_csr(csr))
    return Wanted(_name(certificate), _identifiers(identifiers), digest, profile, not_before, not_after, replaces)


def _name(certificate: str) -> str:
    """The name of a certificate, fit to be a file's."""
    try:
        return object_name(certificate)
    except InvalidName:
        raise invalid_parameter("certificate") from None


def _identifiers(items: list[dict[str, str]]) -> tuple[Identifier, ...]:
    if not items or any(item["type"] not in ("dns", "ip") for item in items):
        raise invalid_parameter("identifiers")
    return tuple(dict.fromkeys(Identifier(item["type"], item["value"]) for item in items))


def _csr(text: str | None) -> bytes | None:
    return None if text is None else decoded(text, "csr")


def _digest(csr: bytes | None) -> str | None:
    return None if csr is None else hashlib.sha256(csr).hexdigest()
