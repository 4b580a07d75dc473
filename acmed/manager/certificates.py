# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed1.Certificate"""

import json
from collections.abc import Mapping
from typing import Any

from acmed.bus import Variant
from acmed.bus.server import Call, Handler
from acmed.bus.xml import load
from acmed.manager import clock
from acmed.manager.catalogue import Catalogue
from acmed.manager.jobs import Queue
from acmed.manager.requests import Requests


class CertificateObject:
    """A certificate on the bus."""

    def __init__(self, name: str, catalogue: Catalogue, queue: Queue, requests: Requests) -> None:
        self.interface = load()["org.acmed1.Certificate"]
        self._name = name
        self._catalogue = catalogue
        self._queue = queue
        self._requests = requests

    def methods(self) -> Mapping[str, Handler]:
        return {"Renew": self._renew, "Revoke": self._revoke, "Forget": self._forget, "Describe": self._describe}

    def properties(self) -> Mapping[str, Any]:
        status = self._catalogue.status(self._name)
        installed, job = status.installed, self._queue.find(self._name)
        return {
            "Name": self._name,
            "Identifiers": status.identifiers,
            "Account": status.configured.account if status.configured else "",
            "KeyType": status.configured.key_type.value if status.configured else "",
            "Services": list(status.configured.services) if status.configured else [],
            "State": status.word(clock.now()),
            "NotBefore": installed.not_before if installed else 0,
            "NotAfter": installed.not_after if installed else 0,
            "RenewAt": status.renew_at,
            "SerialNumber": installed.serial_number if installed else "",
            "Issuer": installed.issuer if installed else "",
            "FingerprintSHA256": status.fingerprint,
            "Paths": self._catalogue.paths(self._name) if installed else {},
            "LastError": list(status.error),
            "LastErrorTimestamp": status.state.error_time,
            "Failures": status.state.failures,
            "Undelivered": [[service, error] for service, error in status.undelivered.items()],
            "Job": [job.id, job.path] if job else [0, "/"],
        }

    async def _renew(self, call: Call, options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._requests.renew(call, self._name, options)
        return job.id, job.path

    async def _revoke(self, call: Call, reason: int, options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._requests.revoke(call, self._name, reason, options)
        return job.id, job.path

    async def _forget(self, call: Call) -> None:
        await self._requests.forget(call, self._name)

    async def _describe(self, _: Call) -> tuple[str]:
        return (json.dumps(self.properties()),)
