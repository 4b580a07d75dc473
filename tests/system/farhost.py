# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another host, which has account keys: an sshd on the machine's loopback, and users of its own there."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.machine import Machine, Pebble, package
from tests.system.acmectl import Acmectl
from tests.system.installed import Installed

PORT = 2222
DIRECTORY = "/etc/ssh/far"
UNIT = "far-sshd.service"
KNOWN_HOSTS = "/etc/acmed/known_hosts"

# What keyd.toml begins with.
KEYD = 'log-file = "%h/keyd.log"\n[key]\nsource = "file:%h/account.key"\n'

# sshd as Debian has it, but for the port, and for sockets that are left when a connection breaks.
SSHD = f"""\
Port {PORT}
ListenAddress 127.0.0.1
HostKey {DIRECTORY}/host
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
StreamLocalBindUnlink yes
PidFile none
"""

KEYS = {
    "ec": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "rsa": "openssl genrsa -traditional 2048",
}


@dataclass(frozen=True)
class User:
    """Somebody on the other host."""

    machine: Machine
    name: str

    @property
    def home(self) -> str:
        return f"/home/{self.name}"

    @property
    def config(self) -> str:
        return f"{self.home}/.config/acmed/keyd.toml"

    def run(self, script: str, input: str = "") -> str:
        return self.machine.run(["sh", "-euc", f"umask 077\n{script}"], user=self.name, input=input).stdout

    def write(self, path: str, text: str) -> None:
        """A file below the home directory, or anywhere, that is the user's alone."""
        self.run(f"mkdir -p $(dirname {path}); cat >{path}", text)

    def make_key(self, kind: str, name: str = "account.key") -> None:
        self.run(f"{KEYS[kind]} >~/{name}")

    def authorize(self, identity: str, command: str = "") -> None:
        """Lets who has this ssh key log in, or only have this command run."""
        public = self.machine.read(f"{identity}.pub")
        options = f'restrict,command="{command}" ' if command else ""
        self.run("mkdir -p ~/.ssh; cat >>~/.ssh/authorized_keys", f"{options}{public}")

    def forbid(self) -> None:
        self.run("rm -f ~/.ssh/authorized_keys")

    def log(self) -> list[dict[str, str]]:
        """What its acme-keyd has put on record, where log-file is keyd.log."""
        return [json.loads(line) for line in self.run("cat ~/keyd.log 2>/dev/null || true").splitlines()]

    def signed(self, operation: str) -> int:
        """How many signatures of this operation there were."""
        return sum(entry["message"].startswith(f"Signed {operation} ") for entry in self.log())


@dataclass(frozen=True)
class FarHost:
    """Made by far_host()."""

    machine: Machine

    def start(self) -> None:
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", f"{DIRECTORY}/sshd_config"]
        options = ["--quiet", "--collect", f"--unit={UNIT}", "--property=RuntimeDirectory=sshd"]
        self.machine.run(["systemd-run", *options, *command])
        probe = ["ssh-keyscan", "-p", str(PORT), "127.0.0.1"]
        self.machine.wait_until("sshd to answer", lambda: self.machine.run(probe, check=False).stdout)

    def stop(self) -> None:
        """Its sessions end with it."""
        self.machine.run(["systemctl", "stop", UNIT])

    def user(self, name: str) -> User:
        self.machine.run(["useradd", "--create-home", "--shell", "/bin/sh", name])
        return User(self.machine, name)

    def identity(self, name: str) -> str:
        """A new ssh key of root's; its path."""
        path = f"/root/{name}"
        self.machine.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
        return path

    @property
    def host_key(self) -> str:
        """The line for known_hosts."""
        return f"[127.0.0.1]:{PORT} {self.machine.read(f'{DIRECTORY}/host.pub')}"


@contextlib.contextmanager
def far_host(machine: Machine) -> Iterator[FarHost]:
    """It runs, and the host's acmed knows its key."""
    far = FarHost(machine)
    machine.write(f"{DIRECTORY}/sshd_config", SSHD)
    machine.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{DIRECTORY}/host"])
    machine.write(KNOWN_HOSTS, far.host_key)
    far.start()
    try:
        yield far
    finally:
        far.stop()


@dataclass(frozen=True)
class Hosts:
    """A machine with acmed and Pebble, and the other host; on Debian 13 with lacme."""

    machine: Machine
    far: FarHost
    pebble: Pebble

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def configure(self, account: str, *lines: str) -> None:
        """An account at Pebble."""
        head = f'[account.{account}]\ndirectory = "{Pebble.directory}"\nca-file = "{Pebble.ca_file}"\n'
        text = "".join(f"{line}\n" for line in lines)
        self.machine.write(f"/etc/acmed/acmed.toml.d/{account}.toml", head + text)

    def register(self, account: str) -> str:
        """Its URL."""
        self.ctl.run("account", "add", account, "--agree-tos")
        uri: str = self.ctl.json("account", "show", account)["uri"]
        return uri

    def seal(self, account: str, identity: str) -> None:
        """Gives acme-store-ssh.service the ssh key for an account, as the manual has it."""
        sealed = f"/etc/credstore.encrypted/acmed.ssh-keys/{account}"
        self.machine.run(["systemd-creds", "encrypt", f"--name=sshkey_{account}", identity, sealed])
        self.machine.run(["systemctl", "try-restart", "acme-store-ssh.service"])

    def order(self, account: str, name: str) -> None:
        """It is issued."""
        self.ctl.run("order", name, "--account", account)
        self.installed(name).check(name)

    def make_due(self, account: str, name: str) -> None:
        """It is to be renewed by the timer."""
        lines = [f'names = ["{name}"]', f'account = "{account}"', "renew-before = 0.9999999"]
        self.machine.write(f"/etc/acmed/certificates.d/{name}.toml", "\n".join([*lines, ""]))
        self.machine.wait_until("it to be due", lambda: self.ctl.json("status", name)["state"] == "due")

    def installed(self, name: str) -> Installed:
        return Installed(self.machine, name)


@contextlib.contextmanager
def hosts(debs: Sequence[Path], release: str = "keys") -> Iterator[Hosts]:
    with Machine(release) as machine:
        package.install_at_rest(machine, debs)
        with far_host(machine) as far, Pebble(machine) as pebble:
            yield Hosts(machine, far, pebble)


def policy(*names: str, more: str = "", head: str = "[policy]") -> str:
    """For keyd.toml."""
    listed = ", ".join(f'"{name}"' for name in names)
    return f'{head}\ndirectories = ["{Pebble.directory}"]\nnames = [{listed}]\n{more}\n'
