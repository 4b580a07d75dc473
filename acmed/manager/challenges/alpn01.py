# SPDX-License-Identifier: LGPL-2.1-or-later
"""tls-alpn-01 (RFC 8737; RFC 8738 for addresses): a file for acme-alpn01, named as what a CA asks for in SNI."""

import ipaddress
from collections.abc import Sequence
from contextlib import AsyncExitStack

from acmed.config.model import ChallengeType
from acmed.manager.challenges import files
from acmed.manager.challenges.offer import Challenge
from acmed.manager.challenges.record import opened, remember
from acmed.manager.jobs import Job
from acmed.manager.known.state import DIRECTORY, Presented
from acmed.manager.tools import Tools
from acmed.names import Identifier


async def take_turns(tools: Tools, challenges: Sequence[Challenge], turns: AsyncExitStack) -> None:
    """There is one answer for a name, so another order's for the same one, of a certificate with another type of key,
    is waited for. turns: until it is closed, others wait.
    """
    for name in sorted({server_name(one.ordered) for one in challenges}):  # in one order, lest two wait for each other
        await turns.enter_async_context(tools.turns[name])


async def present(job: Job, tools: Tools, challenges: Sequence[Challenge]) -> None:
    """Has acme-alpn01 answer for each name; it is our turn. Raises Failure."""
    remember(job, [Presented(one.type.value, one.name, DIRECTORY, server_name(one.ordered)) for one in challenges])
    for challenge in challenges:
        path = tools.places.answers / server_name(challenge.ordered)
        files.write(path, f"{challenge.name} {challenge.key_authorization}\n")
    await opened(job, tools, ChallengeType.TLS_ALPN_01)


def server_name(identifier: Identifier) -> str:
    """What a CA asks for: the name, or of an address its reverse name (RFC 8738 section 6)."""
    if identifier.type == "ip":
        return ipaddress.ip_address(identifier.value).reverse_pointer
    return identifier.value
