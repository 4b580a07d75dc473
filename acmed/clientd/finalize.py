# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second half of an order: answer the challenges, wait, finalize, wait, download (RFC 8555 sections 7.4, 7.5)."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

from acme import messages

from acmed import journal
from acmed.clientd import objects
from acmed.clientd.errors import AcmeError, TimedOut, Unreachable
from acmed.clientd.order import checked, failure, lost, shown
from acmed.clientd.polling import Deadline, Pace
from acmed.clientd.session import Session, b64url
from acmed.clientd.store import KeptAuthorization, KeptOrder, Store
from acmed.clientd.transport import Answer

# step (challenge, finalize, download), percent of the order, detail
Report = Callable[[str, int, str], Awaitable[None]]

_CHAIN_TYPE = "application/pem-certificate-chain"
# PEM (RFC 7468). acme-privd lets it be parsed, and trusts nothing of it; this keeps web pages away.
_CHAIN = re.compile(r"\s*-----BEGIN CERTIFICATE-----[\x20-\x7e\r\n\t]*-----END CERTIFICATE-----\s*")


class Finalization:
    """One order on its way from "pending" or any later status to its chain."""

    def __init__(self, session: Session, store: Store, certificate: str, order: KeptOrder, report: Report) -> None:
        self._session = session
        self._store = store
        self._certificate = certificate
        self._order = order
        self._report = report
        self._limits = session.authority.limits
        self._gate = asyncio.Semaphore(self._limits.polls_at_once)

    async def run(self, csr: bytes, challenges: Collection[str]) -> str:
        """The chain (PEM). challenges: the URLs of those that are to be answered. Raises any ClientError."""
        try:
            if self._order.status == "pending":
                await self._authorize(challenges)
            url = await self._issue(csr)
            return await self._download(url)
        except AcmeError as error:
            if error.final:
                await self._store.drop(self._certificate)
            raise

    async def _authorize(self, challenges: Collection[str]) -> None:
        pending = [item for item in self._order.authorizations if item.status != "valid"]
        deadline = Deadline("challenge", self._limits.authorize)
        await self._report("challenge", 40, f"{len(challenges)} challenges to answer")
        done = 0

        async def tell(detail: str) -> None:
            await self._report("challenge", 40 + 25 * done // len(pending), detail)

        async def one(item: KeptAuthorization) -> messages.Error | None:
            nonlocal done
            problem = await self._authorized(item, challenges, deadline, tell)
            if problem is None:
                done += 1
                await tell(f"{item.name}: valid")
            return problem

        results = await asyncio.gather(*map(one, pending), return_exceptions=True)
        problems = {
            item.name: result.update(identifier=_identifier(item))
            for item, result in zip(pending, results, strict=True)
            if isinstance(result, messages.Error)
        }
        if problems:
            raise AcmeError(self._order.url, _together(problems), 200, final=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        authorizations = tuple(replace(item, status="valid") for item in self._order.authorizations)
        await self._keep(replace(self._order, status="ready", authorizations=authorizations))

    async def _authorized(
        self,
        item: KeptAuthorization,
        challenges: Collection[str],
        deadline: Deadline,
        tell: Callable[[str], Awaitable[None]],
    ) -> messages.Error | None:
        """Returns when the authorization is valid, or with what made it fail."""
        retry_after, refused = await self._answered(item, challenges)
        pace = Pace(self._limits, self._limits.first_poll)
        while True:
            await deadline.sleep(pace.pause(retry_after), f"the CA has not validated {item.name}")
            async with self._gate:
                answer = await self._session.get(item.url)
            body = objects.authorization(answer)
            if body.status == messages.STATUS_VALID:
                return None
            if body.status != messages.STATUS_PENDING:
                otherwise = messages.Error(typ="about:blank", detail=f"the authorization is {body.status.name}")
                return failure(body) or otherwise
            if refused and not any(one.status == messages.STATUS_PROCESSING for one in body.challenges):
                raise refused
            if answer.retry_after is not None:
                retry_after = answer.retry_after
            await tell(f"{item.name}: {_waiting(answer)}")

    async def _answered(
        self, item: KeptAuthorization, challenges: Collection[str]
    ) -> tuple[float | None, AcmeError | None]:
        """Answers its challenges. A refusal may mean that one was answered before: the poll will tell."""
        chosen = [url for url in item.challenges if url in challenges]
        if not chosen:
            detail = f"{item.name} is pending, and none of its challenges was to be answered"
            return None, AcmeError(item.url, messages.Error(typ="about:blank", detail=detail), 0)
        retry_after = None
        for url in chosen:
            try:
                async with self._gate:
                    answer = await self._session.post(url, {}, repeatable=True)
            except AcmeError as error:
                if error.status not in (400, 403, 404, 409) or error.type in ("accountDoesNotExist", "badNonce"):
                    raise
                return None, error
            retry_after = answer.retry_after
        return retry_after, None

    async def _issue(self, csr: bytes) -> str:
        """The URL of the certificate."""
        deadline = Deadline("finalize", self._limits.finalize)
        await self._report("finalize", 70, "asking for the certificate")
        if self._order.status == "ready":
            answer, order = await self._ask(csr)
        else:
            answer, order = await self._poll()
        pace = Pace(self._limits, self._limits.first_issuance_poll)
        asked = 1
        while order.status != messages.STATUS_VALID:
            if order.status == messages.STATUS_INVALID:
                raise lost(answer, order.error, "the CA made the order invalid and does not say why")
            subject = f"the order is still {order.status.name}"
            pause = pace.pause(answer.retry_after)
            await self._report("finalize", 80, _waiting(answer))
            await deadline.sleep(pause, subject)
            if order.status != messages.STATUS_READY:
                answer, order = await self._poll()
            elif asked < self._limits.finalize_tries:
                asked += 1
                answer, order = await self._ask(csr)
            else:
                raise TimedOut("finalize", f"{subject} after {asked} finalize requests")
        if not order.certificate:
            raise Unreachable(answer.url, "answered with a valid order that has no certificate")
        return str(order.certificate)

    async def _ask(self, csr: bytes) -> tuple[Answer, messages.Order]:
        """Sends finalize. Where the CA says that the order is not ready, its status tells what to do."""
        try:
            answer = await self._session.post(self._order.finalize, {"csr": b64url(csr)})
        except AcmeError as error:
            if error.type != "orderNotReady":
                raise
            journal.info("The CA is not ready to finalize: %s", error.problem.detail)
            return await self._poll()
        return await self._seen(answer)

    async def _poll(self) -> tuple[Answer, messages.Order]:
        return await self._seen(await self._session.get(self._order.url))

    async def _seen(self, answer: Answer) -> tuple[Answer, messages.Order]:
        order = checked(self._session, answer, self._order.identifiers)
        await self._keep(shown(self._order, order))
        return answer, order

    async def _download(self, url: str) -> str:
        await self._report("download", 90, "downloading the chain")
        answer = await self._session.get(url, accept=_CHAIN_TYPE)
        text = answer.body.decode("ascii", "replace")
        if answer.content_type != _CHAIN_TYPE or not _CHAIN.fullmatch(text):
            raise Unreachable(url, f"answered with {answer.content_type or 'no type'} that is no chain of certificates")
        return text

    async def _keep(self, order: KeptOrder) -> None:
        if order != self._order:
            self._order = order
            await self._store.save(self._certificate, order)


def _waiting(answer: Answer) -> str:
    return f"waiting for the CA (Retry-After {answer.retry_after:g} s)" if answer.retry_after else "waiting for the CA"


def _identifier(item: KeptAuthorization) -> messages.Identifier:
    value = item.identifier.value
    return messages.Identifier(typ=messages.IdentifierType.from_json(item.identifier.type), value=value)


def _together(problems: dict[str, messages.Error]) -> messages.Error:
    """One problem for all names that failed. "compound" (RFC 8555 section 6.7.1) where they failed differently."""
    kinds = {problem.typ for problem in problems.values()}
    return messages.Error(
        typ=kinds.pop() if len(kinds) == 1 else f"{messages.ERROR_PREFIX}compound",
        detail="; ".join(f"{name}: {problem.detail}" for name, problem in problems.items()),
        subproblems=tuple(problems.values()),
    )
