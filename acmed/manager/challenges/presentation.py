# SPDX-License-Identifier: LGPL-2.1-or-later
"""What answers challenges is there while a CA looks, and always put away again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import groupby

from acmed import journal
from acmed.config import Account
from acmed.config.model import ChallengeType
from acmed.manager.challenges import alpn01, dns, files, http01
from acmed.manager.challenges.calls import at_once
from acmed.manager.challenges.offer import Challenge
from acmed.manager.challenges.record import Asker
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.known.state import DIRECTORY, PUBLISH, UPDATE, WEBROOT, Presented
from acmed.manager.tools import Tools

_OPENED = (ChallengeType.HTTP_01, ChallengeType.TLS_ALPN_01)


class Presentation:
    """What is presented. over() is called when the CA has seen it, and costs no time."""

    def __init__(self, job: Job, tools: Tools) -> None:
        self._job = job
        self._tools = tools
        self._withdrawal: asyncio.Task[None] | None = None

    def over(self) -> None:
        """Begins to put it away; the next steps need not wait for that."""
        self._withdrawal = self._withdrawal or asyncio.ensure_future(self._withdraw())

    async def withdrawn(self) -> None:
        """Puts it away, also where the job is cancelled meanwhile."""
        self.over()
        assert self._withdrawal
        try:
            await asyncio.shield(self._withdrawal)
        except asyncio.CancelledError:
            await self._withdrawal
            raise

    async def _withdraw(self) -> None:
        places = self._tools.places
        for one in self._job.record.presented:
            if one.how == DIRECTORY:
                files.remove((places.tokens if one.type == ChallengeType.HTTP_01 else places.answers) / one.value)
        await withdraw_left(self._job, self._tools)


@asynccontextmanager
async def presented(
    job: Job, tools: Tools, account: Account, challenges: Sequence[Challenge]
) -> AsyncIterator[Presentation]:
    """Has each challenge answered inside, and none outside, whatever happens. Raises Failure."""
    presentation = Presentation(job, tools)
    of_type = {kind: [one for one in challenges if one.type is kind] for kind in ChallengeType}
    http, alpn = of_type[ChallengeType.HTTP_01], of_type[ChallengeType.TLS_ALPN_01]
    records = [one for one in challenges if one not in http and one not in alpn]
    turns = AsyncExitStack()
    try:
        if records:
            await dns.present(job, tools, account, records)
        await _ports(job, tools, http, alpn, turns)
        yield presentation
    finally:
        try:
            await presentation.withdrawn()
        finally:
            await turns.aclose()


async def _ports(
    job: Job, tools: Tools, http: Sequence[Challenge], alpn: Sequence[Challenge], turns: AsyncExitStack
) -> None:
    """What needs a port. The lease on it has a deadline, so that what may take long comes before: name servers, and the
    turns of others.
    """
    if alpn:
        await alpn01.take_turns(tools, alpn, turns)
    await at_once(
        [
            *([http01.present(job, tools, http)] if http else []),
            *([alpn01.present(job, tools, alpn)] if alpn else []),
        ]
    )


async def withdraw_left(job: Job, tools: Tools) -> None:
    """Puts away what may be presented for a job, by this run, one that was killed, or an earlier job. What fails is
    logged, and stays with the job. Files of a run that was killed are gone (sweep): one of the same name is another
    job's.
    """
    if not job.record.presented:
        return
    left = await put_away(job, tools, job.record.presented)
    try:
        job.keep(durable=False, presented=left)
    except Failure as failure:
        journal.error("%s", failure.message)


async def put_away(asker: Asker, tools: Tools, everything: Sequence[Presented]) -> tuple[Presented, ...]:
    """Puts away all but files of ours, and returns what could not be; leases on ports end by themselves."""
    of = {how: [one for one in everything if one.how == how] for how in (WEBROOT, UPDATE, PUBLISH)}
    is_open = bool(asker.id) and any(one.type in _OPENED for one in everything)
    left = await asyncio.gather(
        *(_tried(dns.remove(asker, tools, zone, several), several) for zone, several in _zones(of[UPDATE])),
        *(_tried(dns.withdraw(asker, tools, several), several) for _, several in _zones(of[PUBLISH])),
        _close(asker, tools, of[WEBROOT], is_open),
    )
    return tuple(one for several in left for one in several)


async def _close(asker: Asker, tools: Tools, tokens: Sequence[Presented], is_open: bool) -> list[Presented]:
    """Removes tokens from document roots, and closes ports. Returns the tokens that are left."""
    left = []
    for one in tokens:
        left += await _tried(http01.withdraw(asker, tools, one), [one])
    if is_open:
        try:
            await tools.daemons.priv("CloseChallenge", job=asker.id, certificate=asker.name)
        except Failure as failure:
            journal.error("acme-privd did not close what it opened for %s: %s", asker.name, failure.message)
    return left


async def _tried(call: Awaitable[object], presented: list[Presented]) -> list[Presented]:
    """What is left, after a call that was to put it away."""
    try:
        await call
    except Failure as failure:
        for one in presented:
            where = one.name or one.identifier
            journal.error('The answer to %s, "%s", is left at %s: %s', one.type, one.value, where, failure.message)
        return presented
    return []


def _zones(presented: Iterable[Presented]) -> list[tuple[str, list[Presented]]]:
    def zone(one: Presented) -> str:
        return one.zone

    return [(name, list(several)) for name, several in groupby(sorted(presented, key=zone), key=zone)]
