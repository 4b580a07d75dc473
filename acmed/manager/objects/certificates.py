# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed1.Certificate"""

import json
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from acmed.bus import Variant
from acmed.bus.server import Call, Handler
from acmed.bus.xml import load
from acmed.config import Certificate
from acmed.manager import clock
from acmed.manager.jobs import Queue
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.known.remembered import LOST
from acmed.manager.known.status import Status
from acmed.manager.requests import Certificates, Revocations


class CertificateObject:
    """A certificate on the bus."""

    def __init__(
        self, name: str, catalogue: Catalogue, queue: Queue, requests: Certificates, revocations: Revocations
    ) -> None:
        self.interface = load()["org.acmed1.Certificate"]
        self._name = name
        self._catalogue = catalogue
        self._queue = queue
        self._requests = requests
        self._revocations = revocations

    def methods(self) -> Mapping[str, Handler]:
        return {
            "Renew": self._renew,
            "Revoke": self._revoke,
            "Restore": self._restore,
            "Check": self._check,
            "ListRecords": self._list_records,
            "Forget": self._forget,
            "Describe": self._describe,
        }

    def properties(self) -> Mapping[str, Any]:
        status, now = self._catalogue.status(self._name), clock.now()
        job = self._queue.find(self._name)
        return {
            "Name": self._name,
            "Identifiers": status.identifiers,
            **_configured(status.configured),
            **_installed(status),
            **_renewal(status, now),
            "State": status.word(now),
            "Paths": self._catalogue.paths(self._name) if status.installed else {},
            "LastError": list(status.error),
            "LastErrorTimestamp": status.state.error_time,
            "LastErrorJob": status.error_job,
            "Failures": status.state.failures,
            "Unrevoked": status.unrevoked,
            "Undelivered": [[service, error] for service, error in status.undelivered.items()],
            "Job": [job.id, job.path] if job else [0, "/"],
        }

    async def _renew(self, call: Call, options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._requests.renew(call, self._name, options)
        return job.id, job.path

    async def _revoke(self, call: Call, reason: int, options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._revocations.revoke(call, self._name, reason, options)
        return job.id, job.path

    async def _restore(self, call: Call, options: dict[str, Variant]) -> tuple[int, str]:
        job = await self._requests.restore(call, self._name, options)
        return job.id, job.path

    async def _check(self, call: Call, options: dict[str, Variant]) -> tuple[list[list[Any]]]:
        return ([list(astuple(one)) for one in await self._requests.check(call, self._name, options)],)

    async def _list_records(self, _: Call, options: dict[str, Variant]) -> tuple[list[list[Any]]]:
        return ([list(astuple(one)) for one in await self._requests.records(self._name, options)],)

    async def _forget(self, call: Call) -> None:
        await self._requests.forget(call, self._name)

    async def _describe(self, _: Call) -> tuple[str]:
        return (json.dumps(self.properties()),)


def _configured(certificate: Certificate | None) -> dict[str, Any]:
    if certificate is None:
        return {"Account": "", "Failover": [], "KeyType": "", "Services": [], "Challenge": "", "Profile": ""}
    return {
        "Account": certificate.account,
        "Failover": list(certificate.failover),
        "KeyType": certificate.key_type.value,
        "Services": list(certificate.services),
        "Challenge": certificate.challenge.value if certificate.challenge else "",
        "Profile": certificate.profile or "",
    }


def _installed(status: Status) -> dict[str, Any]:
    installed = status.installed
    return {
        "NotBefore": installed.not_before if installed else 0,
        "NotAfter": installed.not_after if installed else 0,
        "SerialNumber": installed.serial_number if installed else "",
        "Issuer": installed.issuer if installed else "",
        "FingerprintSHA256": status.fingerprint,
        "Differences": list(status.differences),
        "Damaged": status.damaged or status.state.files == LOST,
    }


def _renewal(status: Status, now: int) -> dict[str, Any]:
    window = status.window
    return {
        "RenewAt": status.renew_at,
        "RenewalWindow": [window.start, window.end] if window else [0, 0],
        "RenewalExplanation": window.explanation if window else "",
        "RetryAt": status.state.waits_until(now),
        "Endangered": status.endangered(now),
    }
