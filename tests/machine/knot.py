# SPDX-License-Identifier: LGPL-2.1-or-later
"""Knot DNS in a machine."""

from dataclasses import dataclass

from tests.machine.nameserver import NameServer


@dataclass
class Knot(NameServer):
    """A knotd: `with Knot(machine, "ns2", ["127.0.0.21"], zones, keys) as knot: ...`.

    updates of a zone is the body of an ACL: "key: acme" or "address: 127.0.0.0/8", and what it is to be limited to.
    """

    program = "knotd"

    @property
    def settings(self) -> str:
        return f"{self.directory}/knot.conf"

    def start(self) -> None:
        self.run("-c", self.settings)
        self.machine.wait_until(f"{self.name} to answer", lambda: self.control("status", check=False))

    def control(self, *words: str, check: bool = True) -> bool:
        """knotc(8): zone-refresh has a secondary ask its primary now."""
        done = self.machine.run(["knotc", "-b", "-c", self.settings, *words], check=check)
        return done.returncode == 0

    def configuration(self) -> str:
        sources = sorted({zone.primary for zone in self.zones if zone.primary})
        told = sorted({address for zone in self.zones for address in zone.notify})
        lines = ["server:", f"    rundir: {self.directory}", "    user: root"]
        lines.append(f"    listen: [{', '.join(f'{address}@53' for address in self.addresses)}]")
        lines += ["database:", f"    storage: {self.directory}"]
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
            lines += [f"  - domain: {zone.name}", f"    storage: {self.directory}", f"    file: {zone.name}.zone"]
            lines += [f"    acl: {acl}"]
            lines += [f"    master: {_id(zone.primary)}"] if zone.primary else []
            lines += [f"    notify: [{', '.join(map(_id, zone.notify))}]"] if zone.notify else []
        return "\n".join(lines) + "\n"


def _id(name: str) -> str:
    return "r-" + name.replace(".", "-").replace(":", "-")
