# SPDX-License-Identifier: LGPL-2.1-or-later
"""BIND in a machine: any number of them, each at addresses of its own, as servers of zones or as the resolver."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.machine.nameserver import NameServer
from tests.machine.zones import TsigKey, Zone

ROOT_ZONE = """\
. 1 SOA localhost. root.localhost. 1 1 1 1 1
. 1 NS localhost.
localhost. 1 A 127.0.0.1
"""


@dataclass
class Bind(NameServer):
    """A named: `with Bind(machine, "ns1", ["127.0.0.11"], zones, keys) as bind: ...`.

    forward: for a resolver, the address of a server for each zone; all other names do not exist. control: the key that
    rndc(8) needs to have at its first address; rndc_key is a file with it.
    """

    program = "named"

    forward: Mapping[str, str] | None = None
    control: TsigKey | None = None

    def write(self) -> None:
        super().write()
        if self.forward is not None:
            self.machine.write(f"{self.directory}/root.zone", ROOT_ZONE)
        if self.control:
            self.machine.write(self.rndc_key, self.control.bind)

    @property
    def settings(self) -> str:
        return f"{self.directory}/named.conf"

    @property
    def rndc_key(self) -> str:
        return f"{self.directory}/rndc.key"

    def start(self) -> None:
        """Run it; returns when it answers. It listens on addresses that an interface has, and 127.0.0.0/8 is none."""
        for address in self.addresses:
            prefix = "128" if ":" in address else "8" if address == "127.0.0.1" else "32"
            self.machine.run(["ip", "address", "replace", f"{address}/{prefix}", "dev", "lo"])
        self.run("-f", "-n", "1", "-c", self.settings)
        for address in self.addresses:
            self.machine.wait_until(f"{self.name} to answer", lambda address=address: self._answers(address))  # type: ignore[misc]

    def _answers(self, address: str) -> bool:
        name = self.zones[0].name if self.zones else "."
        question = ["dig", "+time=1", "+tries=1", "+norecurse", f"@{address}", name, "SOA"]
        done = self.machine.run(question, check=False)
        return done.returncode == 0 and "status:" in done.stdout

    def configuration(self) -> str:
        listen = {
            "listen-on": [address for address in self.addresses if ":" not in address],
            "listen-on-v6": [address for address in self.addresses if ":" in address],
        }
        options = [
            f'directory "{self.directory}"; pid-file none; session-keyfile none; dnssec-validation no;',
            *(f"{key} {{ {' '.join(f'{address};' for address in some) or 'none;'} }};" for key, some in listen.items()),
            f"recursion {'no' if self.forward is None else 'yes'}; max-cache-ttl 1; max-ncache-ttl 1;",
            "allow-transfer { any; }; allow-notify { any; }; notify no; notify-delay 0; minimal-responses no;",
        ]
        lines = ["options {", *options, "};", *(key.bind for key in self.keys), *self._controls()]
        lines += [self._zone(zone) for zone in self.zones]
        if self.forward is not None:
            lines.append('zone "." { type primary; file "root.zone"; };')
            for name, address in self.forward.items():
                lines.append(f'zone "{name}" {{ type static-stub; server-addresses {{ {address}; }}; }};')
        return "\n".join(lines) + "\n"

    def _controls(self) -> list[str]:
        if self.control is None:
            return ["controls { };"]
        reached = f"inet {self.addresses[0]} allow {{ any; }} keys {{ {self.control.name}; }};"
        return [self.control.bind, f"controls {{ {reached} }};"]

    def _zone(self, zone: Zone) -> str:
        source = f"type secondary; primaries {{ {zone.primary}; }};" if zone.primary else "type primary;"
        told = " ".join(f"{address};" for address in zone.notify)
        notify = f"notify explicit; also-notify {{ {told} }};" if told else ""
        return f'zone "{zone.name}" {{ {source} file "{zone.name}.zone"; {zone.updates} {notify} }};'
