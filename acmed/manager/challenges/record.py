# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is presented is remembered before it is, so that it is put away whoever is killed."""

from collections.abc import Sequence
from typing import Protocol

from acmed.config.model import ChallengeType
from acmed.manager.jobs import Job
from acmed.manager.known.state import Presented
from acmed.manager.tools import Tools


class Asker(Protocol):
    """For whom something is put away: a job, or what an earlier one has left."""

    @property
    def id(self) -> int:
        """Of the job; 0 for none."""

    @property
    def name(self) -> str:
        """Of what it is about."""


def remember(job: Job, new: Sequence[Presented], durable: bool = False) -> None:
    """durable: it outlives a power failure, and so what it is about. Raises Failure."""
    if new:
        job.keep(durable, presented=tuple(dict.fromkeys((*job.record.presented, *new))))


async def opened(job: Job, tools: Tools, kind: ChallengeType) -> str:
    """Has acme-privd open the port of a type of challenge; the answer is how acmed is to pass its answers on."""
    answer = await tools.daemons.priv("OpenChallenge", job=job.id, certificate=job.name, type=kind.value)
    return str(answer["method"])
