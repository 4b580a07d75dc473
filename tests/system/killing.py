# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes that a test stops and kills while an order is held, and what may be left of that order afterwards."""

import re
from dataclasses import dataclass

from tests.machine import Machine
from tests.system.gate.gate import Gate
from tests.system.lease import wait_closed

ALWAYS = ("acmed", "acme-privd", "acme-clientd", "acme-keyd")

# The files fit each other, and are what Pebble issued; nothing lies beside them.
WHOLE = """
set -eu
cd /var/lib/acme/$1
test "$(openssl pkey -in privkey.pem -pubout)" = "$(openssl x509 -in cert.pem -noout -pubkey)"
cat cert.pem chain.pem | cmp - fullchain.pem
openssl verify -CAfile /run/gate/root.pem -untrusted chain.pem -verify_hostname $1 cert.pem
test "$(ls | xargs)" = 'cert.pem chain.pem fullchain.pem privkey.pem'
test "$(ls -Ad ../.$1.* | wc -l)" = 1
"""
LEFT = """
find /run/acmed/http01 /run/acmed/alpn01 /var/lib/acmed/jobs -type f
find /var/lib/acme* /var/lib/private/acme-clientd /etc/acmed /etc/credstore.encrypted \
    -name '*new' -o -name '*.partial' -o -name '*.link' -o -name '*.broken'
systemctl list-units --all --plain --no-legend 'acme-*lease@*' 'acme-hook-*'
"""


@dataclass
class Victims:
    """The daemons of a machine, by the names of their services, and the gate before a CA. left: leftovers() before."""

    machine: Machine
    gate: Gate
    left: str

    def main_pid(self, victim: str) -> int:
        show = ["systemctl", "show", "--property=MainPID", "--value", f"{victim}.service"]
        return int(self.machine.run(show).stdout)

    def signal(self, name: str, victim: str, check: bool = True) -> None:
        kill = ["systemctl", "kill", f"--signal={name}", "--kill-whom=main", f"{victim}.service"]
        self.machine.run(kill, check=check)

    def freeze(self, victim: str) -> None:
        """Start a daemon and stop it with SIGSTOP, so that whoever calls it waits."""
        self.machine.run(["systemctl", "start", f"{victim}.service"])
        self.signal("STOP", victim)

    def stall(self, responder: str, port: int) -> None:
        """Stop a responder with SIGSTOP, and let the CA ask it: returns when that is in its queue."""
        self.signal("STOP", responder)
        self.gate.release()
        queue = ["ss", "--no-header", "-ltn", f"sport = :{port}"]
        self.machine.wait_until("the CA to ask", lambda: self.machine.run(queue).stdout.split()[1] != "0")

    def thaw(self, *victims: str) -> None:
        """Those that run go on."""
        for victim in victims:
            if self.main_pid(victim):
                self.signal("CONT", victim, check=False)  # the order goes on, and may be over by now

    def step(self) -> str:
        """That of the only job; empty where there is none."""
        jobs = self.machine.run(["busctl", "call", "org.acmed1", "/org/acmed1", "org.acmed1.Manager", "ListJobs"])
        path = re.search(r"/org/acmed1/job/_\d+", jobs.stdout)
        if not path:
            return ""
        get = ["busctl", "get-property", "org.acmed1", path[0], "org.acmed1.Job", "Step"]
        return self.machine.run(get).stdout.strip().removeprefix("s ").strip('"')

    def kill(self, victim: str) -> None:
        """SIGKILL; it hits, or this fails."""
        pid = self.main_pid(victim)
        assert pid, f"{victim} does not run here"
        self.machine.run(["kill", "-KILL", str(pid)])
        self.machine.wait_until(f"{victim} to be gone", lambda: self.main_pid(victim) != pid)

    def wait_file(self, path: str) -> None:
        probe = ["test", "-e", path]
        self.machine.wait_until(f"{path} to be there", lambda: self.machine.run(probe, check=False).returncode == 0)

    def check_whole(self, name: str) -> None:
        """The certificate is installed, and nothing else has changed."""
        self.machine.run(["sh", "-c", WHOLE, "sh", name])
        wait_closed(self.machine)
        assert leftovers(self.machine) == self.left


def leftovers(machine: Machine) -> str:
    return machine.run(["sh", "-c", LEFT]).stdout
