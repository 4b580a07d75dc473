# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed1.Account"""

import json
from collections.abc import Mapping
from typing import Any

from acmed.bus import Variant
from acmed.bus.server import Call, Handler
from acmed.bus.xml import load
from acmed.config import Account
from acmed.manager import clock
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.known.remembered import AccountState
from acmed.manager.requests import Accounts


class AccountObject:
    """An account on the bus."""

    def __init__(self, name: str, catalogue: Catalogue, requests: Accounts) -> None:
        self.interface = load()["org.acmed1.Account"]
        self._name = name
        self._catalogue = catalogue
        self._requests = requests

    def methods(self) -> Mapping[str, Handler]:
        return {
            "Update": self._update,
            "Deactivate": self._deactivate,
            "RolloverKey": self._rollover,
            "Describe": self._describe,
        }

    def properties(self) -> Mapping[str, Any]:
        account: Account = self._catalogue.configuration.accounts[self._name]
        state, now = self._catalogue.account(self._name), clock.now()
        attempts = state if account.authorize else AccountState()
        return {
            "Name": self._name,
            "Directory": account.directory,
            "URI": account.uri or "",
            "Contact": list(account.contact),
            "Status": state.status,
            "TermsOfService": state.terms,
            "KeySource": str(account.key or ""),
            "Authorize": [str(identifier) for identifier in account.authorize],
            "LastError": [attempts.error_name, attempts.error_message],
            "LastErrorTimestamp": attempts.error_time,
            "Failures": attempts.failures,
            "RetryAt": attempts.waits_until(now),
        }

    async def _update(self, call: Call, options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._requests.update(call, self._name, options)
        return job.id, job.path

    async def _deactivate(self, call: Call, options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._requests.deactivate(call, self._name, options)
        return job.id, job.path

    async def _rollover(self, call: Call, options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._requests.rollover(call, self._name, options)
        return job.id, job.path

    async def _describe(self, _: Call) -> tuple[str]:
        return (json.dumps(self.properties()),)
