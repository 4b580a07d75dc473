# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts at CAs."""

from acmed.clientd.accounts import accounts
from acmed.clientd.accounts.keychange import change_key
from acmed.clientd.handlers.answering import Answering, Reply, answering, telling_unsent
from acmed.varlink import Call


class Accounts(Answering):
    """The methods that are about an account."""

    async def register(self, _: Call, job: int, account: str) -> Reply:
        with answering(job=job, account=account):
            session = self._session(account)
            with telling_unsent(session):
                found = await accounts.register(session)
            return {"uri": found.uri, "status": found.status, "termsOfService": found.terms}

    async def find_account(self, _: Call, job: int, account: str) -> Reply:
        with answering(job=job, account=account):
            session = self._session(account)
            with telling_unsent(session):
                found = await accounts.find(session)
            return {"uri": found.uri, "status": found.status}

    async def read_account(self, _: Call, job: int, account: str) -> Reply:
        with answering(job=job, account=account):
            status, contact = await accounts.read(self._session(account))
            return {"status": status, "contact": contact}

    async def update_account(self, _: Call, job: int, account: str, contact: list[str]) -> Reply:
        with answering(job=job, account=account):
            await accounts.update(self._session(account), contact)
            return {}

    async def deactivate_account(self, _: Call, job: int, account: str) -> Reply:
        with answering(job=job, account=account):
            await accounts.deactivate(self._session(account))
            return {}

    async def change_key(self, _: Call, job: int, account: str) -> Reply:
        with answering(job=job, account=account):
            session = self._session(account)
            async with self._turns[f"key of {account}"]:
                await change_key(session, self._outstanding)
            return {}
