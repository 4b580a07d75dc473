# SPDX-License-Identifier: LGPL-2.1-or-later
"""http-01 (RFC 8555 section 8.3): a file for acme-http01, or one in a web server's document root."""

from collections.abc import Sequence

from acmed.config.model import ChallengeType
from acmed.manager.challenges import files
from acmed.manager.challenges.calls import to_the_end
from acmed.manager.challenges.offer import Challenge
from acmed.manager.challenges.record import Asker, opened, remember
from acmed.manager.jobs import Job
from acmed.manager.known.state import DIRECTORY, WEBROOT, Presented
from acmed.manager.tools import Tools


async def present(job: Job, tools: Tools, challenges: Sequence[Challenge]) -> None:
    """Has each token reachable. Raises Failure."""
    http01 = tools.catalogue.configuration.http01
    webroot = [challenge for challenge in challenges if http01.directory(challenge.name)]
    own = [challenge for challenge in challenges if challenge not in webroot]
    remember(job, [_presented(one, WEBROOT) for one in webroot], durable=True)
    remember(job, [_presented(one, DIRECTORY) for one in own])
    if own and await opened(job, tools, ChallengeType.HTTP_01) == WEBROOT:
        # acme-privd has read a newer configuration, which has no port.
        remember(job, [_presented(one, WEBROOT) for one in own], durable=True)
        own, webroot = [], [*webroot, *own]
    for challenge in own:
        files.write(tools.places.tokens / challenge.token, challenge.key_authorization)
    await to_the_end(
        [
            tools.daemons.priv(
                "PublishToken",
                job=job.id,
                certificate=job.name,
                identifier=challenge.name,
                token=challenge.token,
                keyAuthorization=challenge.key_authorization,
            )
            for challenge in webroot
        ]
    )


async def withdraw(asker: Asker, tools: Tools, one: Presented) -> None:
    """Has acme-privd remove a token from a document root. Raises Failure."""
    await tools.daemons.priv(
        "WithdrawToken", job=asker.id, certificate=asker.name, identifier=one.identifier, token=one.value
    )


def _presented(challenge: Challenge, how: str) -> Presented:
    return Presented(challenge.type.value, challenge.name, how, challenge.token)
