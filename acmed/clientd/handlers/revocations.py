# SPDX-License-Identifier: LGPL-2.1-or-later
"""Revocations, and whether there was one."""

import re
from datetime import UTC, datetime, timedelta

from acmed.clientd import revocation
from acmed.clientd.handlers.answering import Answering, Reply, answering, decoded
from acmed.varlink import Call, invalid_parameter

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 1000  # characters of a message


class Revocations(Answering):
    """The methods that are about a revocation."""

    async def revoke(self, _: Call, job: int, account: str, certificate: str, der: str, reason: int) -> Reply:
        with answering(job=job, account=account, certificate=certificate):
            await revocation.revoke(self._session(account), decoded(der, "der"), reason)
            return {}

    async def revocation_nonce(self, _: Call, job: int, account: str) -> Reply:
        with answering(job=job, account=account):
            url, nonce = await revocation.prepare(self._authority(account))
            return {"url": url, "nonce": nonce}

    async def send_revocation(
        self, _: Call, job: int, account: str, protected: str, payload: str, signature: str
    ) -> Reply:
        jws = {"protected": protected, "payload": payload, "signature": signature}
        for name, text in jws.items():
            if not _BASE64URL.fullmatch(text):
                raise invalid_parameter(name)
        with answering(job=job, account=account):
            await revocation.send(self._authority(account), jws)
            return {}

    async def revocation_status(self, _: Call, job: int, account: str, certificate: str, chain: str) -> Reply:
        with answering(job=job, account=account, certificate=certificate):
            found = await self._inquiry.ask(self._account(account), chain)
            return {
                "status": found.word.value,
                "revokedAt": _microseconds(found.revoked_at),
                "reason": found.reason,
                "source": found.source,
                "askAgain": _microseconds(found.ask_again),
                "message": found.message[:_LONGEST],
            }


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)
