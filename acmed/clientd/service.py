# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Client: checks what was asked, hands it on, and answers with the interface's own errors."""

import asyncio
import base64
import binascii
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from acme import messages

from acmed import journal
from acmed.clientd import account as accounts
from acmed.clientd.authority import Authorities
from acmed.clientd.errors import AcmeError, ClientError, NoSuchAccount
from acmed.clientd.finalize import Finalization
from acmed.clientd.order import UNREAD, Challenge, Wanted, begin
from acmed.clientd.session import Session
from acmed.clientd.signer import Signer
from acmed.clientd.store import KeptOrder, Store
from acmed.config.model import Configuration
from acmed.names import Identifier, InvalidName, object_name
from acmed.varlink import Call, VarlinkError, more

Progress = Callable[[dict[str, Any]], Any]


class Handlers:
    """The methods. configuration is asked at each call, so that an account is known as soon as it is configured."""

    def __init__(
        self, configuration: Callable[[], Configuration], authorities: Authorities, signer: Signer, store: Store
    ) -> None:
        self._configuration = configuration
        self._authorities = authorities
        self._signer = signer
        self._store = store
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # a call for each certificate at once

    async def register(self, _: Call, job: int, account: str) -> dict[str, Any]:
        with _answering(job=job, account=account):
            found = await accounts.register(self._session(account))
            return {"uri": found.uri, "status": found.status, "termsOfService": found.terms}

    @more
    async def order(
        self,
        _: Call,
        progress: Progress,
        job: int,
        account: str,
        certificate: str,
        identifiers: list[dict[str, str]],
        csr: str,
    ) -> dict[str, Any]:
        with _answering(job=job, account=account, certificate=certificate):
            wanted = Wanted(_name(certificate), _identifiers(identifiers), _digest(_base64(csr, "csr")))
            async with self._turns[certificate]:
                begun = await begin(self._session(account), self._store, wanted)
            challenges = [_challenge(item) for item in begun.challenges]
            return {"order": begun.order.url, "created": begun.created, "challenges": challenges}

    @more
    async def finalize(
        self, _: Call, progress: Progress, job: int, account: str, certificate: str, csr: str, challenges: list[str]
    ) -> dict[str, Any]:
        async def report(step: str, percent: int, detail: str) -> None:
            journal.debug("%s: %s", step, detail)
            await progress({"step": step, "progress": percent, "detail": detail, "chain": None})

        with _answering(job=job, account=account, certificate=certificate):
            request = _base64(csr, "csr")
            session = self._session(account)
            async with self._turns[_name(certificate)]:
                order = await self._kept(session, certificate, _digest(request))
                if not {url for item in order.authorizations for url in item.challenges} >= set(challenges):
                    raise _invalid("challenges")
                chain = await Finalization(session, self._store, certificate, order, report).run(request, challenges)
            journal.info("The CA issued the certificate", order=order.url)
            return {"step": "download", "progress": 95, "detail": "the chain is here", "chain": chain}

    async def drop(self, _: Call, job: int, certificate: str) -> dict[str, Any]:
        with _answering(job=job, certificate=certificate):
            async with self._turns[_name(certificate)]:
                await self._store.drop(certificate)
            return {}

    async def revoke(self, _: Call, job: int, account: str, certificate: str, der: str, reason: int) -> dict[str, Any]:
        with _answering(job=job, account=account, certificate=certificate):
            await accounts.revoke(self._session(account), _base64(der, "der"), reason)
            return {}

    def _session(self, name: str) -> Session:
        account = self._configuration().accounts.get(name)
        if account is None:
            raise NoSuchAccount(name)
        return Session(account, self._authorities.of(account), self._signer)

    async def _kept(self, session: Session, certificate: str, csr_sha256: str) -> KeptOrder:
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
            raise AcmeError(session.account.directory, messages.Error(typ="about:blank", detail=detail), 0, final=True)
        return kept


@contextmanager
def _answering(**fields: Any) -> Iterator[None]:
    """Adds journal fields, and turns the errors of this daemon into those of the interface."""
    with journal.fields(**fields):
        try:
            yield
        except ClientError as error:
            reply = error.reply()
            journal.notice("%s", error, error=reply.name.rpartition(".")[2])
            raise reply from error
        except OSError as error:
            journal.error("The kept orders cannot be used: %s", error)
            raise VarlinkError("org.acmed.InternalError") from error


def _invalid(parameter: str) -> VarlinkError:
    return VarlinkError("org.varlink.service.InvalidParameter", parameter=parameter)


def _challenge(item: Challenge) -> dict[str, Any]:
    return {
        "identifier": {"type": item.identifier.type, "value": item.identifier.value},
        "wildcard": item.wildcard,
        "type": item.type,
        "url": item.url,
        "token": item.token,
        "keyAuthorization": item.key_authorization,
    }


def _name(certificate: str) -> str:
    """The name of a certificate, fit to be a file's."""
    try:
        return object_name(certificate)
    except InvalidName:
        raise _invalid("certificate") from None


def _identifiers(items: list[dict[str, str]]) -> tuple[Identifier, ...]:
    if not items or any(item["type"] not in ("dns", "ip") for item in items):
        raise _invalid("identifiers")
    return tuple(dict.fromkeys(Identifier(item["type"], item["value"]) for item in items))


def _base64(text: str, parameter: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(parameter) from None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
