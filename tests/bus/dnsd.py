# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Varlink server in the place of acme-dnsd."""

from collections.abc import Sequence
from typing import Any

from acmed import varlink
from acmed.manager.places import Places
from acmed.varlink import more
from tests.bus.peers import Peer


class Dnsd(Peer):
    """acme-dnsd. methods: how each zone is changed, for all names in it. records: what it has set (name and value).
    findings: what Check answers. refused_accounts: URLs of those that CAA records forbid, where there are any. lagging:
    what Wait tells before its answer.
    """

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.methods: dict[str, str] = {}
        self.records: set[tuple[str, str]] = set()
        self.findings: list[dict[str, str]] = []
        self.refused_accounts: set[str] = set()
        self.lagging: list[str] = []

    def find_error(self, check: str, subject: str, message: str, severity: str = "error") -> None:
        """Has Check find something."""
        self.findings.append({"check": check, "subject": subject, "severity": severity, "message": message})

    async def find(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Find", **given)
        return {"places": [self._place(record) for record in given["records"]]}

    async def present(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Present", **given)
        self.records |= _set(given["records"])
        return {}

    @more
    async def wait(self, _: varlink.Call, progress: Any, **given: Any) -> dict[str, Any]:
        for detail in self.lagging:
            await progress({"done": False, "detail": detail})
        await self.note("Wait", **given)
        return {"done": True, "detail": ""}

    async def remove(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Remove", **given)
        self.records -= _set(given["records"])
        return {}

    async def check(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Check", **given)
        asked = {identifier["value"] for identifier in given["identifiers"]}
        found = [finding for finding in self.findings if finding["subject"] in asked]
        if self.refused_accounts:
            severity, message = (
                ("error", "forbidden") if given["account"] in self.refused_accounts else ("ok", "allowed")
            )
            found += [{"check": "caa", "subject": name, "severity": severity, "message": message} for name in asked]
        return {"findings": found}

    def _place(self, record: dict[str, str]) -> dict[str, Any]:
        zone = ".".join(record["identifier"].split(".")[-2:])
        method = self.methods.get(zone, "none")
        return {"record": record, "name": f"_acme-challenge.{record['identifier']}", "zone": zone, "method": method}


def _set(records: Sequence[dict[str, str]]) -> set[tuple[str, str]]:
    return {(record["identifier"], record["value"]) for record in records}
