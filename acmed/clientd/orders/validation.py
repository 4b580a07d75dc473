# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answering challenges, and waiting for the CA to validate (RFC 8555 section 7.5.1)."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

from acme import messages

from acmed.clientd.ca import objects
from acmed.clientd.errors import AcmeError
from acmed.clientd.orders.polling import Deadline, Pace, waiting
from acmed.clientd.orders.shown import authorization, failure
from acmed.clientd.orders.store import KeptAuthorization
from acmed.clientd.orders.unfinished import Unfinished

Tell = Callable[[str], Awaitable[None]]


async def validate(unfinished: Unfinished, challenges: Collection[str]) -> None:
    """Returns when all authorizations are valid. challenges: the URLs of those that are to be answered.

    Raises AcmeError, final, with what went wrong for each name, and any ClientError.
    """
    order, limits = unfinished.order, unfinished.limits
    pending = [item for item in order.authorizations if item.status != "valid"]
    deadline = Deadline("challenge", unfinished.session.account.deadlines.authorization)
    gate = asyncio.Semaphore(limits.polls_at_once)
    await unfinished.report("challenge", 40, f"{len(challenges)} to answer")
    done = 0

    async def tell(detail: str) -> None:
        await unfinished.report("challenge", 40 + 25 * done // len(pending), detail)

    async def one(item: KeptAuthorization) -> KeptAuthorization | messages.Error:
        nonlocal done
        result = await _Validation(unfinished, item, deadline, gate).run(challenges, tell)
        if isinstance(result, KeptAuthorization):
            done += 1
            await tell(f"{item.name}: valid")
        return result

    results = await asyncio.gather(*map(one, pending), return_exceptions=True)
    problems = {
        item.name: result.update(identifier=_identifier(item))
        for item, result in zip(pending, results, strict=True)
        if isinstance(result, messages.Error)
    }
    if problems:
        raise AcmeError(order.url, _together(problems), 200, final=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    valid = {item.url: item for item in results if isinstance(item, KeptAuthorization)}
    authorizations = tuple(valid.get(item.url, item) for item in order.authorizations)
    await unfinished.keep(replace(order, status="ready", authorizations=authorizations))


class _Validation:
    """That of one identifier."""

    def __init__(
        self, unfinished: Unfinished, item: KeptAuthorization, deadline: Deadline, gate: asyncio.Semaphore
    ) -> None:
        self._session = unfinished.session
        self._limits = unfinished.limits
        self._item = item
        self._deadline = deadline
        self._gate = gate

    async def run(self, challenges: Collection[str], tell: Tell) -> KeptAuthorization | messages.Error:
        """Returns when the authorization is valid, or with what made it fail."""
        item = self._item
        retry_after, refused = await self._answered(challenges)
        pace = Pace(self._limits, self._limits.first_poll)
        while True:
            pause = pace.pause(retry_after)
            await self._deadline.sleep(pause, f"the CA has not validated {item.name}", retry_after)
            async with self._gate:
                answer, body = await authorization(self._session, item.url)
            if body.status == messages.STATUS_VALID:
                return replace(item, status="valid", expires=objects.expires(answer))
            if body.status != messages.STATUS_PENDING:
                otherwise = messages.Error(typ="about:blank", detail=f"the authorization is {body.status.name}")
                return failure(body) or otherwise
            if refused and not any(one.status == messages.STATUS_PROCESSING for one in body.challenges):
                raise refused
            if answer.retry_after is not None:
                retry_after = answer.retry_after
            await tell(f"{item.name}: {waiting(answer)}")

    async def _answered(self, challenges: Collection[str]) -> tuple[float | None, AcmeError | None]:
        """Answers its challenges. A refusal may mean that one was answered before: the poll will tell."""
        item = self._item
        chosen = [url for url in item.challenges if url in challenges]
        if not chosen:
            detail = f"{item.name} is pending, and none of its challenges was to be answered"
            return None, AcmeError.told(item.url, detail)
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
