# SPDX-License-Identifier: LGPL-2.1-or-later
"""Revocations."""

import re

from acmed.clientd import revocation
from acmed.clientd.handlers.answering import Answering, Reply, answering, decoded
from acmed.varlink import Call, invalid_parameter

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


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
