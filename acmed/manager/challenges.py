# SPDX-License-Identifier: LGPL-2.1-or-later
"""http-01 tokens (RFC 8555 section 8.3): presented while a challenge is pending, and always put away again."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from acmed import journal
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_HTTP01 = "http-01"


def choose(offered: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The challenges to answer, from what acme-clientd lists. Raises Failure where an identifier has none that works
    here, or where acme-clientd made one up: its answer comes from the network.
    """
    chosen = [challenge for challenge in offered if challenge["type"] == _HTTP01]
    for challenge in offered:
        name = _name(challenge)
        if not any(_name(other) == name for other in chosen):
            types = ", ".join(sorted({other["type"] for other in offered if _name(other) == name}))
            wildcard = "; for a wildcard a CA never offers http-01" if challenge["wildcard"] else ""
            raise Failure(
                errors.CHALLENGE_UNAVAILABLE,
                f"{name} cannot be validated: the CA offers {types}, and http-01 is what acmed can answer{wildcard}",
            )
    for challenge in chosen:
        token, _, thumbprint = challenge["keyAuthorization"].partition(".")
        if token != challenge["token"] or not _TOKEN.fullmatch(token) or not _THUMBPRINT.fullmatch(thumbprint):
            raise Failure(errors.CHALLENGE_UNAVAILABLE, f"The token for {_name(challenge)} is not one (RFC 8555, 8.3)")
    return chosen


def rows(challenges: Sequence[dict[str, Any]], status: str) -> list[list[str]]:
    """As the property Challenges has them: identifier, type, status."""
    return [[_name(challenge), challenge["type"], status] for challenge in challenges]


class Presentation:
    """Tokens that are presented. over() is called when the CA has seen them, and costs no time."""

    def __init__(self, job: Job, tools: Tools) -> None:
        self._job = job
        self._tools = tools
        self._withdrawal: asyncio.Task[None] | None = None

    def over(self) -> None:
        """Begins to put them away; the next steps need not wait for it."""
        self._withdrawal = self._withdrawal or asyncio.ensure_future(_withdraw(self._job, self._tools))

    async def withdrawn(self) -> None:
        """Puts them away, also where the job is cancelled meanwhile."""
        self.over()
        assert self._withdrawal
        try:
            await asyncio.shield(self._withdrawal)
        except asyncio.CancelledError:
            await self._withdrawal
            raise


@asynccontextmanager
async def presented(job: Job, tools: Tools, challenges: Sequence[dict[str, Any]]) -> AsyncIterator[Presentation]:
    """Has each token reachable inside, and none outside, whatever happens. Raises Failure."""
    presentation = Presentation(job, tools)
    job.keep(durable=False, tokens=tuple(challenge["token"] for challenge in challenges))
    try:
        await _present(job, tools, challenges)
        yield presentation
    finally:
        await presentation.withdrawn()


async def withdraw_left(job: Job, tools: Tools) -> None:
    """Puts away what a run that was killed had presented for a job."""
    if job.resumed and job.record.tokens:
        await _withdraw(job, tools)


async def _withdraw(job: Job, tools: Tools) -> None:
    """Removes the job's tokens and closes the port. Failures are logged: the lease on the port ends by itself."""
    if not job.record.tokens:
        return
    for token in job.record.tokens:
        remove(tools.tokens / token)
    try:
        if job.record.webroot:
            for token in job.record.tokens:
                await tools.daemons.priv("WithdrawToken", job=job.id, certificate=job.name, token=token)
    except Failure as failure:
        journal.error("A token of %s is left in the webroot: %s", job.name, failure.message)
    try:
        await tools.daemons.priv("CloseChallenge", job=job.id, certificate=job.name)
    except Failure as failure:
        journal.error("acme-privd did not close what it opened for %s: %s", job.name, failure.message)


def sweep(directory: Path) -> None:
    """Removes the tokens of a run that was killed. Its jobs present theirs again."""
    try:
        left = list(directory.iterdir())
    except OSError as error:
        journal.error("Cannot read %s: %s", directory, error.strerror)
        return
    for path in left:
        remove(path)


def remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        journal.error("Cannot remove %s: %s", path, error.strerror)


async def _present(job: Job, tools: Tools, challenges: Sequence[dict[str, Any]]) -> None:
    if not challenges:
        return
    answer = await tools.daemons.priv("OpenChallenge", job=job.id, certificate=job.name)
    if answer["method"] == "webroot":
        job.keep(webroot=True)
    for challenge in challenges:
        token, content = challenge["token"], challenge["keyAuthorization"]
        if answer["method"] == "webroot":
            await tools.daemons.priv(
                "PublishToken", job=job.id, certificate=job.name, token=token, keyAuthorization=content
            )
        else:
            _write(tools.tokens / token, content)


def _write(path: Path, content: str) -> None:
    """For acme-http01, which is another user. The CA hears of it later, so nobody reads half of it."""
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
    except OSError as error:
        raise Failure(
            errors.CHALLENGE_UNAVAILABLE, f"Cannot write a token to {path.parent}: {error.strerror}"
        ) from error


def _name(challenge: dict[str, Any]) -> str:
    return ("*." if challenge["wildcard"] else "") + str(challenge["identifier"]["value"])
