# SPDX-License-Identifier: LGPL-2.1-or-later
"""Knot DNS in a machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.machine.machine import Machine
from tests.machine.zones import TsigKey, Zone


@dataclass
class Knot:
    """A knotd: `with Knot(machine, "ns2", ["127.0.0.21"], zones, keys) as knot: ...`.

    updates of a zone is the body of an ACL: "key: acme" or "address: 127.0.0.0/8", and what it is to be limited to.
    """

    machine: Machine
    name: str
    addresses: Sequence[str]
    zones: Sequence[Zone] = ()
    keys: Sequence[TsigKey] = ()

    def __enter__(self) -> Self:
        self.machine.write(f"{self._directory}/knot.conf", self._configuration())
        for zone in self.zones:
            if not zone.primary:
                self.machine.write(f"{self._directory}/{zone.name}.zone", zone.file)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.machine.run(["rm", "-r", self._directory])

    @property
    def unit(self) -> str:
        """Its service."""
        return f"knotd-{self.name}.service"

    def start(self) -> None:
        """Run it; returns when it answers."""
        command = ["knotd", "-c", f"{self._directory}/knot.conf"]
        self.machine.run(["systemd-run", "--quiet", "--collect", f"--unit={self.unit}", "--", *command])
        self.machine.wait_until(f"{self.name} to answer", lambda: self.control("status", check=False))

    def stop(self) -> None:
        """It is gone."""
        self.machine.run(["systemctl", "stop", self.unit], check=False)

    def control(self, *words: str, check: bool = True) -> bool:
        """knotc(8): zone-refresh has a secondary ask its primary now."""
        done = self.machine.run(["knotc", "-b", "-c", f"{self._directory}/knot.conf", *words], check=check)
        return done.returncode == 0

    @property
    def _directory(self) -> str:
        return f"/var/lib/knotd-{self.name}"

    def _configuration(self) -> str:
        sources = sorted({zone.primary for zone in self.zones if zone.primary})
        told = sorted({address for zone in self.zones for address in zone.notify})
        lines = ["server:", f"    rundir: {self._directory}", "    user: root"]
        lines.append(f"    listen: [{', '.join(f'{address}@53' for address in self.addresses)}]")
        lines += ["database:", f"    storage: {self._directory}"]
        if self.keys:
            lines.append("key:")
            lines += [line for key in self.keys for line in key.knot.splitlines()[1:]]
        remotes = sorted({*sources, *told})
        if remotes:
            lines.append("remote:")
            lines += [line for address in remotes for line in (f"  - id: {_id(address)}", f"    address: {address}")]
        lines += ["acl:", "  - id: everybody", "    action: [transfer, notify]"]
        for zone in self.zones:
            if zone.updates:
                lines += [f"  - id: {_id(zone.name)}", "    action: update"]
                lines += [f"    {line.strip()}" for line in zone.updates.splitlines()]
        lines.append("zone:")
        for zone in self.zones:
            acl = f"[everybody, {_id(zone.name)}]" if zone.updates else "everybody"
            lines += [f"  - domain: {zone.name}", f"    storage: {self._directory}", f"    file: {zone.name}.zone"]
            lines += [f"    acl: {acl}"]
            lines += [f"    master: {_id(zone.primary)}"] if zone.primary else []
            lines += [f"    notify: [{', '.join(map(_id, zone.notify))}]"] if zone.notify else []
        return "\n".join(lines) + "\n"


def _id(name: str) -> str:
    return "r-" + name.replace(".", "-").replace(":", "-")
