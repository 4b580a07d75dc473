# SPDX-License-Identifier: LGPL-2.1-or-later
"""An unmodified lacme whose account key is with acme-keyd: behind a socket, as its own child, or on another host."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.machine import Machine, Pebble, package
from tests.system.farhost import KEYS, KNOWN_HOSTS, PORT, far_host

USER = "jane"
HOME = f"/home/{USER}"
RUNTIME = f"/run/{USER}"
ENVIRONMENT = {"HOME": HOME, "XDG_RUNTIME_DIR": RUNTIME}
SOCKET = f"{RUNTIME}/acme-keyd.sock"
CONFIG = f"{HOME}/.config/acmed/keyd.toml"
ROOT = "/etc/lacme/root.pem"
LOST = "lost connection with lacme-accountd"

SSH = f"ssh -o UserKnownHostsFile={KNOWN_HOSTS} -i /root/id_far -p {PORT} {USER}@127.0.0.1 lacme-accountd"
SOURCES = {
    "socket": f"[client]\nserver = {{server}}\nsocket = {SOCKET}\n",
    "stdio": f"[client]\nserver = {{server}}\n[accountd]\ncommand = /usr/bin/acme-keyd\nconfig = {CONFIG}\n"
    f"user = {USER}\ngroup = {USER}\n",
    "ssh": f"[client]\nserver = {{server}}\n[accountd]\ncommand = {SSH}\nconfig =\nquiet = Yes\n",
}


@pytest.fixture(scope="module")
def keys(debs: list[Path]) -> Iterator[Machine]:
    """A Debian 13 with lacme, and acmed; root may have acme-keyd started over ssh."""
    with Machine("keys") as machine:
        package.install_at_rest(machine, debs)
        with far_host(machine) as far:
            user = far.user(USER)
            user.authorize(far.identity("id_far"), "acme-keyd --stdio")
            machine.run(["install", "-d", "-o", USER, "-g", USER, "-m", "700", RUNTIME])
            yield machine


@pytest.fixture(scope="module")
def ca(keys: Machine) -> Iterator[Pebble]:
    with Pebble(keys) as pebble:
        keys.write(ROOT, pebble.root_pem())
        keys.run(["sh", "-c", f"cp {Pebble.ca_file} /usr/local/share/ca-certificates/pebble.crt"])
        keys.run(["update-ca-certificates"])
        yield pebble


@dataclass
class Lacme:
    """lacme, run by root, and acme-keyd, which has an account's key of this kind and this way to it."""

    machine: Machine
    pebble: Pebble
    kind: str
    way: str

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.way}.lacme.example"

    def configure(self, operations: str, more: str = "", uri: str = "") -> None:
        names = f'names = ["{self.name}", "*.{self.name}"]'
        text = (
            f'log-file = "%h/keyd.log"\n[key]\nsource = "file:%h/{self.kind}.key"\n{uri}\n'
            f'[policy]\ndirectories = ["{self.pebble.directory}"]\n{names}\noperations = [{operations}]\n{more}\n'
        )
        self.as_user(f"mkdir -p $(dirname {CONFIG}); cat >{CONFIG}", input=text)

    def as_user(self, script: str, input: str = "") -> str:
        return self.machine.run(["sh", "-euc", script], user=USER, env=ENVIRONMENT, input=input).stdout

    @contextlib.contextmanager
    def keyd(self) -> Iterator[None]:
        """acme-keyd in a terminal of the user's, where it is not lacme that starts it."""
        if self.way != "socket":
            yield
            return
        command = ["sh", "-c", "echo $$; exec acme-keyd --socket"]
        process = self.machine.popen(command, user=USER, env=ENVIRONMENT)
        assert process.stdout
        pid, said = process.stdout.readline().strip(), process.stdout.readline()
        try:
            assert "Listening" in said, said
            yield
        finally:
            self.machine.run(["kill", "-TERM", pid])
            process.communicate(timeout=30)
            assert process.returncode == 0
            assert self.machine.run(["test", "-e", SOCKET], check=False).returncode == 1

    def run(self, *words: str, code: int = 0) -> str:
        """What lacme says."""
        done = self.machine.run(["lacme", *words], check=False, timeout=120)
        said = done.stdout + done.stderr
        assert (done.returncode == 0) == (code == 0), said
        return said

    def section(self, name: str) -> None:
        """A certificate that lacme is to get."""
        files = f"/etc/lacme/tls/{name}"
        self.machine.run(["mkdir", "-p", "/etc/lacme/tls"])
        self.machine.run(["sh", "-euc", f"{KEYS['ec']} >{files}.key"])
        self.machine.write(
            "/etc/lacme/lacme-certs.conf",
            f"[{name}]\ncertificate-key = {files}.key\ncertificate-chain = {files}.pem\nsubject = /CN={name}\n"
            f"subjectAltName = DNS:{name}\nCAfile = {ROOT}\n",
        )

    def log(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.as_user("cat ~/keyd.log").splitlines()]


@pytest.fixture(params=[(kind, way) for kind in KEYS for way in SOURCES], ids="-".join)
def lacme(request: pytest.FixtureRequest, keys: Machine, ca: Pebble) -> Lacme:
    kind, way = request.param
    lacme = Lacme(keys, ca, kind, way)
    lacme.as_user(f"rm -rf ~/keyd.log; umask 077; {KEYS[kind]} >~/{kind}.key")
    source = SOURCES[way].format(server=ca.directory)
    keys.write("/etc/lacme/lacme.conf", f"{source}[webserver]\nlisten = [::]:80\n")
    return lacme


def test_lacme_issues_through_acme_keyd(lacme: Lacme) -> None:
    registered = register(lacme)
    lacme.configure('"order"')
    with lacme.keyd():
        issue(lacme, lacme.name)
        rules = {entry["operation"]: entry["rule"] for entry in lacme.log()}
        assert (rules["account lookup"], rules["finalize"]) == ("origin", "policy:order")
        lacme.section("bank.example.com")
        assert LOST in lacme.run("newOrder", code=1)
        assert LOST in lacme.run("account", "mailto:evil@example.net", code=1)
        assert LOST in lacme.run("revokeCert", f"/etc/lacme/tls/{lacme.name}.pem", code=1)
        refused = [entry["operation"] for entry in lacme.log() if entry["message"].startswith("Refused")]
        assert refused == ["newOrder", "account update", "revokeCert"]
    hide_jwk(lacme, registered)


def register(lacme: Lacme) -> str:
    """The new account's URL."""
    lacme.configure('"newAccount", "update"')
    with lacme.keyd():
        said = lacme.run("account", "--register", "--tos-agreed", "mailto:admin@example.com")
    return next(line.split()[-1] for line in said.splitlines() if line.startswith("Key ID:"))


def issue(lacme: Lacme, name: str) -> None:
    lacme.section(name)
    lacme.run("newOrder")
    check = ["openssl", "verify", "-CAfile", ROOT, "-untrusted", f"/etc/lacme/tls/{name}.pem"]
    lacme.machine.run([*check, "-verify_hostname", name, f"/etc/lacme/tls/{name}.pem"])


def hide_jwk(lacme: Lacme, account: str) -> None:
    lacme.configure('"order", "revoke"', "hide-jwk = true", f'uri = "{account}"')
    with lacme.keyd():
        issue(lacme, f"hidden.{lacme.name}")
        lacme.run("revokeCert", f"/etc/lacme/tls/{lacme.name}.pem")
        assert LOST in lacme.run("account", code=1)
    assert "account lookup" not in [entry.get("operation") for entry in lacme.log()][-2:]


def test_the_journal_has_it(lacme: Lacme) -> None:
    """Also what another program started, with --quiet."""
    register(lacme)
    entries = lacme.machine.run(
        [
            "journalctl",
            "--boot",
            "SYSLOG_IDENTIFIER=acme-keyd",
            "_COMM=acme-keyd",
            "ACME_OPERATION=newAccount",
            "--output=json",
        ]
    ).stdout.splitlines()
    last = json.loads(entries[-1])
    assert (last["ACME_RULE"], last["ACME_ACCOUNT"]) == ("policy:newAccount", "default")
