# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copies of a certificate's own, with its owner, group and mode, and the hook of a service that has it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.system.timer import run_timer

NAME = "certfiles.example.com"
FILE = f"/etc/acmed/certificates.d/{NAME}.toml"
LINK = f"/var/lib/acme/{NAME}"
DIRECTORY = "/etc/certfiles"
HOOK = "/etc/acmed/hooks.d/certfiles"
UNDELIVERED = 8  # acmectl(1)

UNIT = """
[Service]
ExecStart=/usr/bin/sleep infinity
ExecReload=/bin/sh -c 'echo reload >>/run/certfiles; test ! -e /run/certfiles-unit-fails'
"""
SERVICE = """
[service.certfiles]
units = ["certfiles.service"]
hook = "certfiles"
"""
CERTIFICATE = f"""
names = ["{NAME}"]
services = ["certfiles"]
owner = "mail"
group = "www-data"
mode = "0440"

[files]
privkey = "{DIRECTORY}/{{name}}.key"
cert = "{DIRECTORY}/{{name}}.crt"
chain = "{DIRECTORY}/chain.pem"
fullchain = "{DIRECTORY}/fullchain.pem"
combined = "{DIRECTORY}/all.pem"
"""
KINDS = {"privkey": f"{NAME}.key", "cert": f"{NAME}.crt", "chain": "chain.pem", "fullchain": "fullchain.pem"}

# Says what it was told, and what its sandbox lets it see.
HOOK_SCRIPT = """#!/bin/sh
echo "call: $0 $* $ACMED_CERTIFICATE $ACMED_SERVICE $ACMED_NAMES $ACMED_DIRECTORY"
echo "files: $ACMED_PRIVKEY $ACMED_CERT $ACMED_CHAIN $ACMED_FULLCHAIN"
echo "before: $(cat /run/certfiles)"
echo "serial: $(openssl x509 -noout -serial -in "$ACMED_FULLCHAIN")"
cat "$ACMED_PRIVKEY" /etc/certfiles/*.key 2>/dev/null && echo "read: a key"
touch "$ACMED_DIRECTORY/hook" /etc/certfiles/hook 2>/dev/null && echo "wrote: a file"
test ! -e /etc/certfiles-fails || { echo "the appliance does not answer" >&2; exit 3; }
"""

# Whether another user can ever open a file of these names, as long as it is there.
READER = """
import os, sys, time
print("reading", flush=True)
while os.path.exists("/run/certfiles-watch"):
    for path in sys.argv[1:]:
        try:
            os.close(os.open(path, os.O_RDONLY))
        except OSError:
            continue
        print("opened", path)
        sys.exit(1)
    time.sleep(0)
"""


@dataclass
class Host:
    """The machine as its administrator knows it."""

    machine: Machine

    def acmectl(self, *words: str) -> tuple[int, str]:
        done = self.machine.run(["acmectl", *words], check=False)
        return done.returncode, done.stdout + done.stderr

    def shell(self, command: str) -> str:
        return self.machine.run(["sh", "-euc", command]).stdout

    def serial(self) -> str:
        return self.shell(f"openssl x509 -noout -serial -in {LINK}/cert.pem").strip()

    def access(self, *paths: str) -> list[str]:
        return self.shell(f"stat -c '%a %U:%G' {' '.join(paths)}").splitlines()

    def copies(self) -> list[str]:
        """The access that each copy has, once it is what is installed, and nothing lies beside them."""
        same = "; ".join(f"cmp {LINK}/{kind}.pem {name}" for kind, name in KINDS.items())
        self.shell(f"cd {DIRECTORY}; {same}; cat {LINK}/privkey.pem {LINK}/fullchain.pem | cmp - all.pem")
        assert self.shell(f"ls -A {DIRECTORY}").split() == sorted((*KINDS.values(), "all.pem"), key=str.lower)
        return self.access(*(f"{DIRECTORY}/{name}" for name in (*KINDS.values(), "all.pem")))

    def hook(self) -> list[dict[str, str]]:
        """What each of its runs has said since the last call."""
        self.machine.run(["journalctl", "--sync"])
        command = ["journalctl", "-o", "cat", "-t", "acme-hook", "--cursor-file=/run/certfiles-cursor"]
        runs: list[dict[str, str]] = []
        for line in self.machine.run(command, check=False).stdout.splitlines():  # it fails where there is nothing
            key, colon, words = line.partition(": ")
            if colon and key == "call":
                runs.append({})
            if colon and runs:
                runs[-1][key] = words
        self.shell("rm -f /run/certfiles")
        return runs

    def edit(self, **values: str) -> None:
        """The certificate's file, with other values for some keys; with "" without the key."""
        lines = CERTIFICATE.splitlines()
        for key, value in values.items():
            (index,) = (number for number, line in enumerate(lines) if line.startswith(f"{key} = "))
            lines[index] = f'{key} = "{value}"' if value else ""
        self.machine.write(FILE, "\n".join(lines))


@pytest.fixture(scope="module")
def installed(machine: Machine, pebble: Pebble, account: str) -> Iterator[Host]:
    drop_in = "/etc/systemd/system/acme-privd.service.d/certfiles.conf"
    unit, service = "/etc/systemd/system/certfiles.service", "/etc/acmed/acmed.toml.d/certfiles.toml"
    machine.write(unit, UNIT)
    machine.write(drop_in, f"[Service]\nReadWritePaths=-{DIRECTORY}\n")
    machine.write(service, SERVICE)
    machine.write(FILE, CERTIFICATE)
    machine.write(HOOK, HOOK_SCRIPT, 0o755)
    machine.run(["mkdir", DIRECTORY])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-privd.service"])
    machine.run(["systemctl", "start", "certfiles.service"])
    host = Host(machine)
    host.hook()
    machine.run(["acmectl", "order", "--name", NAME])
    yield host
    machine.run(["acmectl", "forget", NAME])
    machine.run(["systemctl", "stop", "certfiles.service"])
    machine.run(["rm", "-rf", unit, drop_in, service, HOOK, DIRECTORY, "/run/certfiles-cursor"])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-privd.service"])


@pytest.fixture
def host(installed: Host) -> Iterator[Host]:
    """With the certificate as it was configured first, and all of it delivered."""
    yield installed
    installed.shell("rm -f /etc/certfiles-fails /run/certfiles-unit-fails")
    installed.machine.write(HOOK, HOOK_SCRIPT, 0o755)
    installed.edit()
    installed.machine.run(["acmectl", "renew", "--due"])
    installed.hook()


def test_files_have_the_owner_group_and_mode(host: Host) -> None:
    assert host.copies() == ["440 mail:www-data"] * 5
    assert host.access(f"{LINK}/privkey.pem") == ["440 mail:www-data"]
    assert host.access(f"{LINK}/cert.pem") == ["644 root:root"]
    for user, status in (("mail", 0), ("www-data", 0), ("nobody", 1)):
        for path in (f"{LINK}/privkey.pem", f"{DIRECTORY}/{NAME}.key", f"{DIRECTORY}/all.pem"):
            assert host.machine.run(["cat", path], user=user, check=False).returncode == status, (user, path)
    assert host.acmectl("status", NAME)[0] == 0


def test_a_renewal_keeps_them_and_nobody_else_reads_a_key(host: Host) -> None:
    host.hook()
    before = host.serial()
    host.shell("touch /run/certfiles-watch")
    names = [f"{LINK}/privkey.pem"]
    for name in (KINDS["privkey"], "all.pem"):
        names += [f"{DIRECTORY}/{name}", f"{DIRECTORY}/.{name}.acmed-new"]
    reader = host.machine.popen(["python3", "-c", READER, *names], user="nobody")
    try:
        assert reader.stdout
        assert reader.stdout.readline() == "reading\n"
        assert host.acmectl("renew", "--force", NAME)[0] == 0
    finally:
        host.shell("rm /run/certfiles-watch")
        said, _ = reader.communicate(timeout=30)
    assert (reader.returncode, said) == (0, "")
    assert host.serial() != before
    assert host.copies() == ["440 mail:www-data"] * 5
    assert host.access(f"{LINK}/privkey.pem") == ["440 mail:www-data"]


def test_the_hook_runs_once_after_each_installation(host: Host) -> None:
    host.hook()
    for _ in range(2):
        assert host.acmectl("renew", "--force", NAME)[0] == 0
        assert host.hook() == [
            {
                "call": f"{HOOK} deliver {NAME} certfiles {NAME} {LINK}",
                "files": f"{LINK}/privkey.pem {LINK}/cert.pem {LINK}/chain.pem {LINK}/fullchain.pem",
                "before": "reload",
                "serial": host.serial(),
            }
        ]
    run_timer(host.machine)
    assert host.hook() == []


def test_what_is_configured_otherwise_is_applied_without_an_order(host: Host) -> None:
    before = host.serial()
    host.hook()
    host.edit(owner="www-data", group="", mode="0644")
    status, words = host.acmectl("status", NAME)
    assert (status, "Undelivered: its files: not tried yet" in words) == (UNDELIVERED, True), words
    status, words = host.acmectl("renew", NAME)
    assert (status, f"{NAME}: delivered\n" in words) == (0, True), words
    secret, public = "640 www-data:root", "644 www-data:root"
    assert host.copies() == [secret, public, public, public, secret]
    assert host.access(f"{LINK}/privkey.pem") == [secret]
    run_timer(host.machine)
    assert host.access(f"{LINK}/privkey.pem") == [secret], "the timer finds nothing to put back"

    host.machine.write(FILE, f'names = ["{NAME}"]\nservices = ["certfiles"]\n')
    run_timer(host.machine)
    assert host.access(f"{LINK}/privkey.pem") == ["600 root:root"]
    assert host.acmectl("status", NAME)[0] == 0
    assert host.serial() == before
    assert host.hook() == [], "services have what they had"


def test_a_key_that_its_owner_changes_is_put_back(host: Host) -> None:
    host.edit(mode="0640")
    assert host.acmectl("renew", NAME)[0] == 0
    before = host.shell(f"sha256sum {LINK}/*")
    host.machine.run(["sh", "-c", f"echo >{LINK}/privkey.pem"], user="mail")
    assert host.acmectl("renew", NAME)[0] == 0
    assert host.shell(f"sha256sum {LINK}/*") == before
    assert host.access(f"{LINK}/privkey.pem") == ["640 mail:www-data"]


def test_what_was_only_touched_is_not_delivered_again(host: Host) -> None:
    """acme-privd may not read a key that is another user's, and knows all the same that nobody has changed it."""
    inode = host.shell(f"stat -L -c %i {LINK}/privkey.pem")
    host.hook()
    host.shell(f"touch {LINK}/chain.pem")
    assert host.acmectl("renew", NAME)[0] == 0
    assert (host.hook(), host.shell(f"stat -L -c %i {LINK}/privkey.pem")) == ([], inode)


def test_where_the_kept_key_is_damaged_copies_stay_as_they_are(host: Host) -> None:
    """What is published is another user's, so that it cannot stand in for it."""
    before, serial = host.shell(f"sha256sum {DIRECTORY}/*"), host.serial()
    host.shell(f"truncate -s 100 /var/lib/acme-privd/sets/{NAME}/*/privkey.pem")
    host.edit(mode="0640")
    status, words = host.acmectl("renew", NAME)
    assert (status != 0, "that acme-privd keeps is damaged" in words) == (True, True), words
    assert host.shell(f"sha256sum {DIRECTORY}/*") == before
    status, words = host.acmectl("status", NAME)
    assert (status, "that acme-privd keeps is damaged" in words) == (UNDELIVERED, True), words
    status, words = host.acmectl("restore", NAME)
    assert (status != 0, "it is ordered again" in words) == (True, True), words
    host.machine.wait_until("the next certificate", lambda: host.acmectl("status", NAME)[0] == 0)
    assert host.serial() != serial
    assert host.shell(f"cd {LINK} && openssl pkey -pubout <privkey.pem") == host.shell(
        f"openssl x509 -in {DIRECTORY}/all.pem -noout -pubkey"
    )


@pytest.mark.parametrize(("key", "kind"), [("owner", "user"), ("group", "group")])
def test_who_is_not_there(host: Host, key: str, kind: str) -> None:
    before, keys = host.serial(), host.access(f"{LINK}/privkey.pem")
    host.edit(**{key: "nosuchone"})
    line = host.machine.read(FILE).splitlines().index(f'{key} = "nosuchone"') + 1
    assert f"{FILE}:{line}: there is no {kind} 'nosuchone' here" in host.acmectl("config", "check")[1]
    told = f"{FILE}: {key} = 'nosuchone': there is no such {kind} on this host"
    status, words = host.acmectl("renew", NAME)
    assert (status, told in words) == (UNDELIVERED, True), words
    status, words = host.acmectl("renew", "--force", NAME)
    assert status not in (0, UNDELIVERED)
    assert told in words, "before the CA is asked"
    assert (host.serial(), host.access(f"{LINK}/privkey.pem")) == (before, keys)
    host.edit()
    assert host.acmectl("renew", "--force", NAME)[0] == 0


def test_a_directory_that_is_not_there(host: Host) -> None:
    anew = "systemctl try-restart acme-privd.service"
    host.shell(f"mv {DIRECTORY} {DIRECTORY}-away && {anew}")
    try:
        checked = host.acmectl("config", "check")[1]
        status, words = host.acmectl("renew", "--force", NAME)
    finally:
        host.shell(f"mv {DIRECTORY}-away {DIRECTORY} && {anew}")
    assert f"{FILE}:8: the directory {DIRECTORY} is not there\n    mkdir -p {DIRECTORY} && {anew}\n" in checked
    assert status == UNDELIVERED, words
    assert f"{NAME}: its files have not got it yet: {DIRECTORY}/" in words
    assert len(host.hook()) == 1, "services have got it"
    run_timer(host.machine)
    assert len(host.hook()) == 1, "they may read what has come only now"
    assert host.copies() == ["440 mail:www-data"] * 5


def test_a_hook_that_fails_is_owed(host: Host) -> None:
    host.hook()
    host.shell("touch /etc/certfiles-fails")
    status, words = host.acmectl("renew", "--force", NAME)
    assert status == UNDELIVERED
    assert (
        f"the hook of certfiles has not got it yet: {HOOK} deliver: exit status 3: the appliance does not answer"
        in words
    )
    assert host.copies() == ["440 mail:www-data"] * 5
    run_timer(host.machine, fails=True)
    status, words = host.acmectl("status", NAME)
    assert (status, "Undelivered: hook of certfiles: " in words) == (UNDELIVERED, True), words
    assert [run["before"] for run in host.hook()] == ["reload", "reload"], "the unit is left alone meanwhile"
    host.shell("rm /etc/certfiles-fails")
    run_timer(host.machine)
    assert host.acmectl("status", NAME)[0] == 0
    assert len(host.hook()) == 1
    run_timer(host.machine)
    assert host.hook() == []


def test_the_hook_waits_for_the_units(host: Host) -> None:
    host.hook()
    host.shell("touch /run/certfiles-unit-fails")
    assert host.acmectl("renew", "--force", NAME)[0] == UNDELIVERED
    assert host.hook() == []
    host.shell("rm /run/certfiles-unit-fails")
    assert host.acmectl("renew", NAME)[0] == 0
    assert len(host.hook()) == 1


def test_a_hook_of_somebody_else_is_not_run(host: Host) -> None:
    host.hook()
    host.shell(f"chmod 777 {HOOK}")
    assert (
        f"/etc/acmed/acmed.toml.d/certfiles.toml:4: {HOOK} may be written by others"
        in host.acmectl("config", "check")[1]
    )
    status, words = host.acmectl("renew", "--force", NAME)
    assert (status, f"{HOOK}: it must be owned by root, and writable for nobody else" in words) == (UNDELIVERED, True)
    assert host.hook() == []
