# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resolvers that know the name servers of a test's own, a CA that asks one of them, and what acmed has to know."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.machine import Machine, Pebble
from tests.machine.bind import Bind
from tests.system.acmectl import Acmectl
from tests.system.authority import account, another, forget
from tests.system.busctl import JOB, Caller, job_path
from tests.system.installed import Installed
from tests.system.lease import wait_closed

# That of the machine, and that of the CA: what the one remembers for a second, the other may not know yet.
RESOLVER, RESOLVER_OF_CA = "127.0.0.53", "127.0.0.54"
PORT = 14200
Table = Mapping[str, object]


@dataclass(frozen=True)
class Site:
    """A machine with name servers. name: of the test's account, and how the names of its certificates begin."""

    machine: Machine
    pebble: Pebble
    name: str

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def configure(self, zones: Mapping[str, Table], **deadlines: int) -> None:
        """[zone] tables, and the account's deadlines."""
        tables = {f"zone.{json.dumps(zone)}": table for zone, table in zones.items()}
        if deadlines:
            tables[f"account.{self.name}.deadlines"] = deadlines
        text = "".join(f"[{title}]\n{_settings(table)}" for title, table in tables.items())
        self.machine.write(f"/etc/acmed/acmed.toml.d/{self.name}.toml", text)

    def order(self, name: str, names: Sequence[str], code: int = 0, **settings: object) -> str:
        """Has a certificate configured and ordered; what acmectl says, to both outputs. One that is to fail is then
        forgotten, as acmed would try again by itself.
        """
        configured = self.certificate(name, names, **settings)
        result = self.ctl.run("order", "--name", configured, code=code)
        if code:
            self.ctl.run("forget", configured)
        return result.stdout + result.stderr

    def certificate(self, name: str, names: Sequence[str], **settings: object) -> str:
        """Has it configured. challenges of the settings is a table."""
        challenges = settings.pop("challenges", None)
        text = _settings({"names": list(names), "account": self.name, **settings})
        if isinstance(challenges, Mapping):
            text += f"[challenges]\n{_settings({json.dumps(key): value for key, value in challenges.items()})}"
        name = f"{self.name}-{name}"
        self.machine.write(f"/etc/acmed/certificates.d/{name}.toml", text)
        return name

    def installed(self, name: str) -> Installed:
        return Installed(self.machine, f"{self.name}-{name}")

    def texts(self, name: str, server: str) -> set[str]:
        """The TXT values that a server has at a name."""
        answer = self.machine.run(["dig", "+short", "+norecurse", f"@{server}", name, "TXT"]).stdout
        return {line.replace('" "', "").strip('"') for line in answer.splitlines()}

    def job(self) -> dict[str, Any]:
        """The properties of the only job; nothing where there is none."""
        caller = Caller(self.machine)
        numbers = list(caller.jobs())
        return caller.properties(job_path(numbers[0]), JOB) if numbers else {}

    def wait_detail(self, words: str) -> dict[str, Any]:
        """Returns the job when its detail has these words."""

        def told() -> dict[str, Any]:
            job = self.job()
            return job if words in job.get("Detail", "") else {}

        return self.machine.wait_until(f"the job to say {words!r}", told)

    def assert_nothing_is_left(self, server: str, *zones: str) -> None:
        """No value of an order's own in these zones, no file, no open port."""
        for zone in zones:
            transfer = self.machine.run(["dig", "+noall", "+answer", f"@{server}", zone, "AXFR"]).stdout
            values = [line for line in transfer.splitlines() if "\tTXT\t" in line and "_acme-challenge" in line]
            assert [line for line in values if OTHERS not in line] == []
        assert self.machine.run(["find", "/run/acmed/http01", "/run/acmed/alpn01", "-type", "f"]).stdout == ""
        wait_closed(self.machine)


OTHERS = "of-somebody-else"


@contextlib.contextmanager
def site(
    machine: Machine, name: str, forward: Mapping[str, str], keys: Mapping[str, str], **settings: Any
) -> Iterator[Site]:
    """There are `pebble` and `account`, and the servers of the zones. forward: the one that resolvers ask, by zone.
    keys: TSIG keys by their name in [zone]. settings: of Pebble. A name that is to be validated must be new to the CA,
    which reuses an authorization now and then.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(machine.run, ["rm", "-f", f"/etc/acmed/acmed.toml.d/{name}.toml"])
        stack.enter_context(sealed(machine, "dns", "tsig_{}", keys))
        stack.enter_context(Bind(machine, "resolver", [RESOLVER], forward=forward))
        stack.callback(machine.write, "/etc/resolv.conf", machine.read("/etc/resolv.conf"))
        machine.write("/etc/resolv.conf", f"nameserver {RESOLVER}\n")
        stack.enter_context(Bind(machine, "resolver-of-ca", [RESOLVER_OF_CA], forward=forward))
        asked = {"asks": f"{RESOLVER_OF_CA}:53", "authz_reuse": 0} | settings
        pebble = stack.enter_context(another(machine, name, PORT, **asked))
        stack.enter_context(account(machine, name, pebble.directory))
        stack.callback(forget, machine, f"{name}-")
        yield Site(machine, pebble, name)


@contextlib.contextmanager
def sealed(machine: Machine, directory: str, credential: str, contents: Mapping[str, str]) -> Iterator[None]:
    """Files with credentials, of which acme-dnsd knows those of its start. credential: with {} for the file's name."""
    paths = {name: f"/etc/credstore.encrypted/acmed.{directory}/{name}" for name in contents}
    try:
        for name, content in contents.items():
            seal = ["systemd-creds", "encrypt", f"--name={credential.format(name)}", "-", paths[name]]
            machine.run(seal, input=content)
        machine.run(["systemctl", "stop", "acme-dnsd.service"])
        yield
    finally:
        machine.run(["rm", "-f", *paths.values()])
        machine.run(["systemctl", "stop", "acme-dnsd.service"])


def _settings(table: Table) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
