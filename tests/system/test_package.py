# SPDX-License-Identifier: LGPL-2.1-or-later
"""The package's life on a machine of its own, in order: install, upgrade, remove, install again, purge.

And where systemd does not run while it is installed, as when an image is built.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.machine import Machine, Pebble, package
from tests.system.acmectl import Acmectl, running
from tests.system.busctl import Caller
from tests.system.conftest import add_account
from tests.system.standstill import frozen_ca, silent_host

NAME, LATE_NAME, PENDING_NAME = "www.package.example.com", "late.package.example.com", "pending.package.example.com"
NONINTERACTIVE = {"DEBIAN_FRONTEND": "noninteractive"}
STORES = [f"acme-store-{kind}" for kind in ("file", "gpg", "pkcs11", "ssh", "unix")]
HELPERS = ["acme-clientd", "acme-dnsd", "acme-keyd", "acme-privd", "acme-verify", *STORES]
SOCKETS = [f"{name}.socket" for name in (*HELPERS, "acme-keyd-permit")]
DAEMONS = ["acmed", *HELPERS, "acme-http01", "acme-renew"]
PROCESSES = "systemctl show --property=MainPID acmed.service acme-clientd.service"
HOST_KEY = "/var/lib/systemd/credential.secret"

# Everything that stays between two boots, but for what other packages write.
LIST_FILES = r"""
find /etc /opt /root /home /srv /usr /var -xdev \
    -path /var/cache -prune -o -path /var/log -prune -o -path /var/tmp -prune -o -path /var/lib/apt -prune \
    -o -path /var/lib/dpkg -prune -o -path /var/lib/systemd/catalog -prune -o -name '*.pyc' -prune -o -print
find /run -name '*acme*'
"""
MODES = """\
755 root root /etc/acmed
755 root root /etc/acmed/acmed.toml.d
755 root root /etc/acmed/ca
755 root root /etc/acmed/certificates.d
755 root root /etc/acmed/hooks.d
644 root root /etc/acmed/acmed.toml
700 root root /etc/credstore.encrypted
700 root root /etc/credstore.encrypted/acmed.accounts
700 root root /etc/credstore.encrypted/acmed.next-accounts
700 root root /etc/credstore.encrypted/acmed.bindings
700 root root /etc/credstore.encrypted/acmed.dns
700 root root /etc/credstore.encrypted/acmed.hooks
700 root root /etc/credstore.encrypted/acmed.passphrases
700 root root /etc/credstore.encrypted/acmed.pins
700 root root /etc/credstore.encrypted/acmed.ssh-keys
755 root root /var/lib/acme
700 acme-gpg acme-gpg /var/lib/acme-gpg
700 root root /var/lib/acme-privd
755 root root /run/acmed
755 acmed acmed /run/acmed/http01
755 acmed acmed /run/acmed/alpn01
750 root acme-store /run/acmed/stores
600 acmed acmed /run/acmed/client.sock
600 acmed acmed /run/acmed/dns.sock
600 root root /run/acmed/key-permit.sock
660 root acme-key /run/acmed/key.sock
660 root acmed /run/acmed/priv.sock
600 root root /run/acmed/verify.sock
660 root acme-store /run/acmed/stores/file.sock
660 root acme-store /run/acmed/stores/gpg.sock
660 root acme-store /run/acmed/stores/pkcs11.sock
660 root acme-store /run/acmed/stores/ssh.sock
660 root acme-store /run/acmed/stores/unix.sock
"""
# What an administrator made, and what acmed has for them: what `apt remove` leaves.
KEPT = "find /etc/acmed /etc/credstore.encrypted /var/lib/acme /var/lib/acme-privd -type f -exec sha256sum {} +"
# What only the administrator could make again: a key where acme-keyd(8) has it, a hook, and a file of configuration.
OWN = {
    "/etc/acmed/account.pem": "a key",
    "/etc/acmed/acmed.toml.d/mine.toml": 'log-level = { acmed = "info" }\n',
    "/etc/acmed/hooks.d/tell": "#!/bin/sh\n",
    "/etc/acmed/known_hosts": "signer.example.com ssh-ed25519 AAAA\n",
}
# What an administrator may have meant to keep: what `apt purge` leaves where it was not told otherwise.
VALUABLE = (
    f"find {' '.join(OWN)} /etc/credstore.encrypted /var/lib/acme /var/lib/acme-privd -type f -exec sha256sum {{}} +"
)


@dataclass
class Host:
    """A machine, with what it had before the package came."""

    machine: Machine
    pebble: Pebble
    debs: Sequence[Path]
    before: set[str]

    def shell(self, command: str) -> str:
        return self.machine.run(["sh", "-c", command]).stdout

    def files(self) -> set[str]:
        return set(self.shell(LIST_FILES).splitlines())

    def apt(self, *words: str) -> str:
        words = ("apt-get", "--quiet", "--yes", *words)
        result = self.machine.run(words, env=NONINTERACTIVE, timeout=180)
        return result.stdout + result.stderr

    def states(self, what: str, *units: str) -> list[str]:
        """What `systemctl is-active` or `is-enabled` says of each."""
        return self.machine.run(["systemctl", what, *units], check=False).stdout.split()


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, debs: list[Path]) -> Iterator[Host]:
    with Machine(request.param) as machine, Pebble(machine) as pebble:
        host = Host(machine, pebble, debs, set())
        host.before = host.files()
        yield host


def check_running(host: Host) -> None:
    """An installed acmed is its sockets and its timer; nothing runs."""
    enabled, active = [*SOCKETS, "acme-renew.timer", "acmed.service"], [*SOCKETS, "acme-renew.timer"]
    assert host.states("is-enabled", *enabled) == ["enabled"] * len(enabled)
    assert host.states("is-active", *active) == ["active"] * len(active)
    assert host.shell("systemctl --failed --no-legend") == ""
    assert host.shell("dpkg --audit; dpkg --verify acmed") == ""


def test_install(host: Host) -> None:
    package.install(host.machine, host.debs)
    check_running(host)
    assert host.states("is-active", *(f"{daemon}.service" for daemon in DAEMONS)) == ["inactive"] * len(DAEMONS)
    assert host.shell("ss -Hltn 'sport = :80'") == ""
    account = host.shell("getent passwd acmed").rstrip("\n").split(":")
    assert account[5:] == ["/var/lib/acmed", "/usr/sbin/nologin"]
    assert host.shell("getent group acme-key acme-store | cut -d: -f4") == "\n\n", "they have no member"
    paths = [line.split()[-1] for line in MODES.splitlines()]
    assert host.shell(f"stat --format='%a %U %G %n' {' '.join(paths)}") == MODES


def test_units_are_good(host: Host) -> None:
    """systemd finds nothing to complain about in any of them, and knows every setting."""
    names = host.shell(
        "dpkg --listfiles acmed | grep -E '^/usr/lib/systemd/system/.*[.](service|socket|timer)$'"
    ).split()
    units = [Path(name).name.replace("@.", "@80.") for name in names]
    verified = host.machine.run(["systemd-analyze", "verify", "--man=no", *units], check=False)
    complaints = [line for line in verified.stderr.splitlines() if "acme" in line]
    assert (len(units), complaints) == (len(names), [])
    assert len(names) >= 18


def test_first_certificate(host: Host) -> None:
    """The key that account keys are sealed with was not there before."""
    assert host.shell(f"test -e {HOST_KEY} || echo none") == "none\n"
    add_account(host.machine, host.pebble)
    assert host.shell(f"stat --format='%a %U %G' {HOST_KEY}") == "400 root root\n"
    host.machine.run(["acmectl", "order", NAME])
    for path, content in OWN.items():
        host.machine.write(path, content)
    host.machine.run(["acmectl", "config", "check"])


@pytest.fixture(scope="module")
def newer(debs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same packages, of a later version."""
    folder = tmp_path_factory.mktemp("newer")
    for deb in debs:
        tree = folder / "tree"
        subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
        control = tree / "DEBIAN" / "control"
        control.write_text(re.sub(r"(?m)^Version: .*$", r"\g<0>+newer", control.read_text()))
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, folder / deb.name], check=True)
        shutil.rmtree(tree)
    return [folder / deb.name for deb in debs]


def test_upgrade_while_a_job_runs(host: Host, newer: list[Path]) -> None:
    """The job goes on, under its number, and whoever waits for it gets what they waited for."""
    sockets = host.shell("systemctl show --property=InvocationID acme-keyd.socket acme-renew.timer")
    root = Caller(host.machine)
    # A helper that does not answer keeps the job where it is, until the helper is started again.
    host.machine.run(["systemctl", "start", "acme-clientd.service"])
    host.machine.run(["systemctl", "kill", "--signal=STOP", "acme-clientd.service"])
    with running(host.machine, "order", LATE_NAME) as order:
        host.machine.wait_until("the job", lambda: LATE_NAME in root.jobs().values())
        jobs, processes = root.jobs(), host.shell(PROCESSES)
        package.install(host.machine, newer)
        assert not set(host.shell(PROCESSES).split()) & set(processes.split())
        code, said = order.end()
    assert (code, said.count("Traceback")) == (0, 0), said
    numbers = [number for number, name in jobs.items() if name == LATE_NAME]
    assert f"Job {numbers[0]} (order {LATE_NAME}) goes on" in host.machine.journal("acmed.service")
    assert host.shell("dpkg-query --show --showformat='${Version}' acmed").endswith("+newer")
    assert host.shell("systemctl show --property=InvocationID acme-keyd.socket acme-renew.timer") == sockets
    check_running(host)
    host.machine.run(["openssl", "x509", "-noout", "-in", f"/var/lib/acme/{LATE_NAME}/cert.pem"])


def test_remove_while_a_challenge_is_pending(host: Host) -> None:
    """The port closes before what closes it is gone. All that is anybody's stays."""
    host.machine.run(["systemctl", "start", *(f"{name}.service" for name in STORES)])  # they make their directories
    with silent_host(host.machine, host.pebble, PENDING_NAME), running(host.machine, "order", PENDING_NAME):
        host.machine.wait_until("port 80", lambda: host.shell("ss -Hltn 'sport = :80'"))
        with frozen_ca(host.machine):  # it would give the name up within seconds
            kept = host.shell(KEPT)
            said = host.apt("remove", "acmed")
        assert host.shell("ss -Hltn 'sport = :80'") == ""
        assert "rror" not in said
    assert kept
    assert host.shell(KEPT) == kept
    assert host.shell("ls /var/lib/acmed/jobs") != ""
    assert host.shell("systemctl list-units --no-legend --state=active,activating,deactivating,failed 'acme*'") == ""
    assert host.shell("find /run -name '*acme*'") == ""
    assert host.shell("ps -eo args | grep '[a]cmed' || true") == ""


def test_reinstall_takes_up_where_it_was(host: Host, newer: list[Path]) -> None:
    package.install(host.machine, newer)
    check_running(host)
    ctl = Acmectl(host.machine)
    host.machine.wait_until("the interrupted job to end", lambda: not Caller(host.machine).jobs())
    states = {certificate["name"]: certificate["state"] for certificate in ctl.json("list")}
    assert states.pop(PENDING_NAME) in ("valid", "failing")  # the CA may have given it up in between
    assert states == {NAME: "valid", LATE_NAME: "valid"}
    assert [account["name"] for account in ctl.json("account", "list")] == ["default"]
    ctl.run("renew", "--force", NAME)


def left_over(host: Host) -> set[str]:
    """What the package leaves when it is purged. Any credential of the host may be sealed with its key; the directory
    is where systemd has all timers' stamps.
    """
    return host.files() - host.before - {HOST_KEY, "/var/lib/systemd/timers"}


def test_purge_keeps_what_is_not_acmeds(host: Host) -> None:
    """Certificates, keys of accounts and what the administrator made, as nobody said otherwise; it tells of the last.
    What acmed wrote itself in /etc/acmed goes.
    """
    valuable = host.shell(VALUABLE)
    assert "# Written by acmed for 'acmectl order'" in host.machine.read(f"/etc/acmed/certificates.d/{NAME}.toml")
    said = host.apt("purge", "acmed")
    assert host.shell(VALUABLE) == valuable
    assert sorted(re.findall(r"(?m)^  (/\S+)$", said)) == sorted(OWN), said
    host.machine.run(["openssl", "pkey", "-noout", "-in", f"/var/lib/acme/{NAME}/privkey.pem"])
    own = {*OWN, "/etc/acmed", "/etc/acmed/acmed.toml.d", "/etc/acmed/hooks.d"}
    kept = ("/var/lib/acme/", "/var/lib/acme-privd", "/etc/credstore.encrypted")
    assert {path for path in left_over(host) if not path.startswith(kept)} == {"/var/lib/acme", *own}
    assert host.before - host.files() == set()


def test_purge_removes_them_where_it_was_told_so(host: Host, newer: list[Path]) -> None:
    package.install(host.machine, newer)
    host.machine.run(["debconf-set-selections"], input="acmed acmed/purge-certificates boolean true\n")
    host.apt("purge", "acmed")
    assert left_over(host) == set()
    assert host.before - host.files() == set()
    assert host.shell("debconf-show acmed") == ""


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def image(request: pytest.FixtureRequest, debs: list[Path]) -> Iterator[Host]:
    """A machine that the package was installed in while it was not running.

    To whatever is started in a mount namespace with another /run, systemd is not there.
    """
    with Machine(request.param) as machine:
        for deb in debs:
            machine.put(deb, f"/var/tmp/{deb.name}")
        script = "mount -t tmpfs tmpfs /run && test ! -e /run/systemd && apt-get --quiet --yes install /var/tmp/*.deb"
        machine.run(["unshare", "--mount", "sh", "-c", script], env=NONINTERACTIVE, timeout=180)
        machine.reboot()
        with Pebble(machine) as pebble:
            yield Host(machine, pebble, debs, set())


def test_install_without_systemd(image: Host) -> None:
    check_running(image)
    assert image.shell(f"test -e {HOST_KEY} || echo none") == "none\n", "machines of one image would share it"
    add_account(image.machine, image.pebble)
    image.machine.run(["acmectl", "order", NAME])
