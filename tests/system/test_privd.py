# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-privd in its unit: what it does through PID 1, and what its sandbox keeps it from."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.machine import Machine
from tests.system import privcall
from tests.system.lease import STAND_IN, STAND_IN_PATH, state
from tests.unit.privd.rig import issue

NAME = "priv.example.com"
LINK = f"/var/lib/acme/{NAME}"
TOKEN = "t" * 43
AUTHORIZATION = f"{TOKEN}.{'k' * 43}"

# A service that notes what happens to it, and may be told to fail.
SERVICE = """
[Service]
ExecStart=/bin/sh -c 'echo start >> /var/log/victim; exec sleep infinity'
ExecReload=/bin/sh -c 'echo reload >> /var/log/victim; test ! -e /run/victim-fails'
"""

CONFIGURATION = """
[account.priv]
directory = "https://localhost:14000/dir"

[service.victim]
units = ["victim.service"]
group = "www-data"

[service.restarted]
units = ["victim.service"]
action = "restart"

[service.absent]
units = ["absent.service", "victim-stopped.service"]

[service.elsewhere]
[service.elsewhere.files]
combined = "/etc/elsewhere/{name}.pem"

[service.foreign]
[service.foreign.files]
cert = "/srv/foreign/cert.pem"
"""
SERVICES = ["victim", "restarted", "absent", "elsewhere", "foreign"]


@dataclass
class Privd:
    """The daemon in `machine`, called as root or as the user acmed."""

    machine: Machine

    def call(self, method: str, user: str | None = "acmed", **parameters: Any) -> dict[str, Any]:
        return privcall.call(self.machine, method, user, **parameters)

    def order(self, job: int) -> None:
        """An order, with the CA in this process."""
        made = self.call("NewRequest", job=job, certificate=NAME, account=None, newKey=False)
        chain = issue(made["csr"])
        installed = self.call("Install", job=job, certificate=NAME, request=made["request"], chain=chain)
        assert "serialNumber" in installed, installed

    def deliver(self, *services: str) -> dict[str, str]:
        answer = self.call("Deliver", certificate=NAME, services=list(services))
        return {delivery["service"]: delivery["error"] for delivery in answer["deliveries"]}

    def shell(self, command: str) -> str:
        return self.machine.run(["sh", "-c", command]).stdout


@pytest.fixture(scope="module", params=["machine", "bookworm"])
def privd(request: pytest.FixtureRequest) -> Iterator[Privd]:
    machine: Machine = request.getfixturevalue(request.param)
    machine.write("/etc/systemd/system/victim.service", SERVICE)
    machine.write("/etc/systemd/system/victim-stopped.service", SERVICE)
    machine.write("/etc/acmed/acmed.toml.d/priv-test.toml", CONFIGURATION)
    machine.write(f"/etc/acmed/certificates.d/{NAME}.toml", f'names = ["{NAME}"]\naccount = "priv"\n')
    machine.write(STAND_IN_PATH, STAND_IN)
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "restart", "acmed.service", "victim.service"])
    privd = Privd(machine)
    services = ", ".join(f'"{service}"' for service in SERVICES)
    machine.write(
        f"/etc/acmed/certificates.d/{NAME}.toml", f'names = ["{NAME}"]\naccount = "priv"\nservices = [{services}]\n'
    )
    new_account(privd, "priv")
    privd.order(job=1)
    yield privd
    files = [
        "/etc/systemd/system/victim.service",
        "/etc/systemd/system/victim-stopped.service",
        "/etc/acmed/acmed.toml.d/priv-test.toml",
        "/etc/acmed/acmed.toml.d/account-priv.toml",
        f"/etc/acmed/certificates.d/{NAME}.toml",
        "/etc/credstore.encrypted/acmed.accounts/priv",
        STAND_IN_PATH,
    ]
    machine.run(["systemctl", "stop", "acmed.service", "acme-keyd.service", "victim.service"])
    machine.run(["rm", "-f", *files])
    machine.run(["systemctl", "daemon-reload"])


def new_account(privd: Privd, name: str, **changes: Any) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "account": name,
        "directory": "https://localhost:14000/dir",
        "contact": ["mailto:admin@example.com"],
        "keyType": "ecdsa-p256",
        "caPem": None,
    }
    return privd.call("NewAccount", **(parameters | changes))


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048"])
def test_a_sealed_account_key(privd: Privd, key_type: str) -> None:
    name = f"sealed.{key_type}"
    blob = f"/etc/credstore.encrypted/acmed.accounts/{name}"
    assert new_account(privd, name, keyType=key_type) == {}
    assert privd.shell(f"stat -c '%a %U %G' {blob}") == "600 root root\n"
    assert privd.shell(f"base64 -d {blob} | grep -c -a PRIVATE || true") == "0\n"
    assert "PRIVATE KEY" in privd.shell(f"systemd-creds decrypt --name=account_{name} {blob} -")
    before = privd.shell(f"cat {blob}")
    assert new_account(privd, name) == {}, "an account that is there keeps its key"
    assert privd.shell(f"cat {blob}") == before
    assert privd.call("SetAccountUri", account=name, uri="https://localhost:14000/acct/7") == {}
    assert privd.call("SetAccountUri", account=name, uri="https://localhost:14001/acct/7")["error"] == (
        "InvalidConfiguration"
    )
    key = "/run/acmed/key.sock"
    command = (
        "import asyncio; from pathlib import Path; from acmed import varlink;"
        f"c = varlink.Client(varlink.load('org.acmed.Key'), Path('{key}'));"
        f"print(asyncio.run(c.call('GetAccount', timeout=20, account='{name}'))['uri'])"
    )
    assert privd.machine.run(["python3", "-c", command]).stdout == "https://localhost:14000/acct/7\n"
    privd.machine.run(["rm", blob, f"/etc/acmed/acmed.toml.d/account-{name}.toml"])


def test_what_an_interrupted_sealing_leaves_does_no_harm(privd: Privd) -> None:
    """PID 1 does not read a file whose name begins with a dot; any other would keep acme-keyd from starting."""
    leftover = "/etc/credstore.encrypted/acmed.accounts/.x.acmed-new"
    privd.machine.write(leftover, "half a blob")
    privd.machine.run(["systemctl", "restart", "acme-keyd.service"])
    privd.machine.run(["rm", leftover])


@pytest.fixture
def no_host_key(privd: Privd) -> Iterator[None]:
    """Neither a key that account keys are sealed with, nor anything that was sealed with it."""
    privd.machine.run(["systemctl", "stop", "acme-privd.service", "acme-keyd.service"])
    privd.shell(
        "mkdir /root/kept && mv /var/lib/systemd/credential.secret /etc/credstore.encrypted/acmed.accounts /root/kept/"
        " && mkdir -m 700 /etc/credstore.encrypted/acmed.accounts"
    )
    yield
    privd.machine.run(["systemctl", "stop", "acme-privd.service", "acme-keyd.service"])
    privd.shell(
        "rm -rf /var/lib/systemd/credential.secret /etc/credstore.encrypted/acmed.accounts"
        " && mv /root/kept/credential.secret /var/lib/systemd/"
        " && mv /root/kept/acmed.accounts /etc/credstore.encrypted/ && rmdir /root/kept"
    )


@pytest.mark.usefixtures("no_host_key")
def test_a_host_key_is_made_where_there_is_none(privd: Privd) -> None:
    """As on a machine from an image that the package was installed in; not by acme-privd, which may not write there."""
    assert new_account(privd, "unsealed") == {}
    assert privd.shell("stat -c '%a %U %G' /var/lib/systemd/credential.secret") == "400 root root\n"
    blob = "/etc/credstore.encrypted/acmed.accounts/unsealed"
    assert "PRIVATE KEY" in privd.shell(f"systemd-creds decrypt --name=account_unsealed {blob} -")
    privd.machine.run(["rm", "/etc/acmed/acmed.toml.d/account-unsealed.toml"])


@pytest.mark.usefixtures("no_host_key")
def test_without_a_host_key(privd: Privd) -> None:
    privd.machine.run(["systemctl", "mask", "--runtime", "acme-credential-key.service"])
    answer = new_account(privd, "unsealed")
    privd.machine.run(["systemctl", "unmask", "--runtime", "acme-credential-key.service"])
    assert answer["error"] == "KeyUnavailable"
    assert answer["reason"].endswith("Run: systemd-creds setup)")
    assert "unsealed" not in privd.shell("ls -A /etc/acmed/acmed.toml.d /etc/credstore.encrypted/acmed.accounts")


@pytest.fixture
def lost_host_key(privd: Privd) -> Iterator[None]:
    """As on a host that got a backup of /etc, or a clone: what is there was sealed with another key."""
    privd.machine.run(["systemctl", "stop", "acme-privd.service", "acme-keyd.service"])
    privd.shell("mkdir /root/kept && mv /var/lib/systemd/credential.secret /root/kept/")
    privd.shell("cp -a /etc/credstore.encrypted/acmed.accounts /root/kept/")
    yield
    privd.machine.run(["systemctl", "stop", "acme-privd.service", "acme-keyd.service"])
    privd.shell("rm -rf /var/lib/systemd/credential.secret /etc/credstore.encrypted/acmed.accounts")
    privd.shell("mv /root/kept/credential.secret /var/lib/systemd/")
    privd.shell("mv /root/kept/acmed.accounts /etc/credstore.encrypted/ && rmdir /root/kept")


@pytest.mark.usefixtures("lost_host_key")
def test_a_host_key_that_is_lost(privd: Privd) -> None:
    """Another one would open nothing. What acmed(8) says then works."""
    assert new_account(privd, "unsealed")["error"] == "KeyUnavailable"
    assert privd.shell("ls /var/lib/systemd/credential.secret 2>/dev/null || echo none") == "none\n"
    assert privd.shell("systemctl is-failed acme-credential-key.service || true") == "inactive\n"
    privd.shell("rm /etc/credstore.encrypted/acmed.accounts/* && systemd-creds setup")
    assert new_account(privd, "unsealed") == {}
    privd.machine.run(["rm", "/etc/acmed/acmed.toml.d/account-unsealed.toml"])


def test_only_acmed_may_call(privd: Privd) -> None:
    for user in ("nobody", "www-data"):
        assert (
            "Permission denied" in privd.call("NewRequest", user, certificate=NAME, account=None, newKey=True)["error"]
        )


def test_the_key_is_given_to_the_group(privd: Privd) -> None:
    assert privd.shell(f"stat -L -c '%a %U %G %n' {LINK} {LINK}/*") == (
        f"755 root root {LINK}\n"
        f"644 root root {LINK}/cert.pem\n"
        f"644 root root {LINK}/chain.pem\n"
        f"644 root root {LINK}/fullchain.pem\n"
        f"640 root www-data {LINK}/privkey.pem\n"
    )
    assert privd.machine.run(["cat", f"{LINK}/privkey.pem"], user="www-data").returncode == 0
    for secret in (f"{LINK}/privkey.pem", f"/var/lib/acme-privd/sets/{NAME}"):
        assert privd.machine.run(["cat", secret], user="nobody", check=False).returncode == 1


def happened(privd: Privd) -> list[str]:
    """What happened to victim.service since the last call."""
    return privd.shell("cat /var/log/victim 2>/dev/null; rm -f /var/log/victim").split()


def test_reload_and_restart(privd: Privd) -> None:
    happened(privd)
    assert privd.deliver("victim") == {"victim": ""}
    assert happened(privd) == ["reload"]
    assert privd.deliver("restarted") == {"restarted": ""}
    assert happened(privd) == ["start"]


def test_a_reload_that_fails(privd: Privd) -> None:
    privd.machine.run(["touch", "/run/victim-fails"])
    error = privd.deliver("victim")["victim"]
    privd.machine.run(["rm", "/run/victim-fails"])
    assert error == "reload of victim.service: failed; see: journalctl -u victim.service"
    assert state(privd.machine, "victim.service") == "active"
    assert privd.deliver("victim") == {"victim": ""}


def test_what_does_not_run_is_not_started(privd: Privd) -> None:
    happened(privd)
    privd.machine.run(["systemctl", "stop", "victim.service"])
    assert privd.deliver("absent", "victim", "restarted") == {"absent": "", "victim": "", "restarted": ""}
    assert happened(privd) == []
    privd.machine.run(["systemctl", "start", "victim.service"])


def test_a_directory_that_the_unit_does_not_name(privd: Privd) -> None:
    privd.machine.run(["mkdir", "-p", "/etc/elsewhere"])
    error = privd.deliver("elsewhere")["elsewhere"]
    assert "Read-only file system" in error
    assert error.endswith("'acmectl config check' prints the drop-in for its unit that lets it")
    drop_in = "/run/systemd/system/acme-privd.service.d/test.conf"
    privd.machine.write(drop_in, "[Service]\nReadWritePaths=-/etc/elsewhere\n")
    privd.machine.run(["systemctl", "daemon-reload"])
    privd.machine.run(["systemctl", "stop", "acme-privd.service"])
    assert privd.deliver("elsewhere") == {"elsewhere": ""}
    target = f"/etc/elsewhere/{NAME}.pem"
    assert privd.shell(f"stat -c '%a %U %G' {target}") == "600 root root\n"
    assert privd.shell(f"cat {LINK}/privkey.pem {LINK}/fullchain.pem") == privd.shell(f"cat {target}")
    privd.machine.run(["rm", "-r", drop_in, "/etc/elsewhere"])
    privd.machine.run(["systemctl", "daemon-reload"])
    privd.machine.run(["systemctl", "stop", "acme-privd.service"])


def test_a_directory_of_another_user(privd: Privd) -> None:
    """Without CAP_DAC_OVERRIDE root is no more than another user there; the error says what to do."""
    drop_in = "/run/systemd/system/acme-privd.service.d/test.conf"
    privd.machine.write(drop_in, "[Service]\nReadWritePaths=/srv\n")
    privd.machine.run(["install", "-d", "-o", "nobody", "-m", "700", "/srv/foreign"])
    privd.machine.run(["systemctl", "daemon-reload"])
    privd.machine.run(["systemctl", "stop", "acme-privd.service"])
    error = privd.deliver("foreign")["foreign"]
    assert "Permission denied" in error
    assert "must belong to root" in error
    privd.machine.run(["rm", "-r", drop_in, "/srv/foreign"])
    privd.machine.run(["systemctl", "daemon-reload"])
    privd.machine.run(["systemctl", "stop", "acme-privd.service"])


def opened(privd: Privd, job: int) -> dict[str, Any]:
    return privd.call("OpenChallenge", job=job, certificate=NAME, type="http-01")


def listening(privd: Privd) -> str:
    return privd.shell("ss -Hltn 'sport = :80'")


def test_the_port_is_open_while_somebody_asked_for_it(privd: Privd) -> None:
    assert listening(privd) == ""
    assert opened(privd, 11) == {"method": "directory"}
    assert listening(privd)
    assert opened(privd, 12) == {"method": "directory"}
    assert privd.call("CloseChallenge", job=11, certificate=NAME) == {}
    assert listening(privd), "another job needs it"
    assert privd.call("CloseChallenge", job=12, certificate=NAME) == {}
    assert listening(privd) == ""
    assert privd.call("CloseChallenge", job=12, certificate=NAME) == {}, "nothing to close is no error"


def test_a_port_that_is_taken(privd: Privd) -> None:
    privd.machine.run(["systemd-run", "--quiet", "--unit=other", "nc", "-l", "-k", "-p", "80"])
    privd.machine.wait_until("the port to be taken", lambda: listening(privd))
    answer = opened(privd, 13)
    privd.machine.run(["systemctl", "stop", "other.service"])
    assert listening(privd) == ""
    assert answer["error"] == "ChallengeUnavailable"
    for part in ("port 80", "ss -ltnp 'sport = :80'", '"webroot"', '"proxied"'):
        assert part in answer["message"]
    assert state(privd.machine, "acme-http01-lease@13.service") == "inactive"
    assert opened(privd, 13) == {"method": "directory"}
    privd.call("CloseChallenge", job=13, certificate=NAME)


def http01(privd: Privd, text: str) -> None:
    privd.machine.write("/etc/acmed/acmed.toml.d/priv-http01.toml", f"[http01]\n{text}\n" if text else "")


def test_behind_a_web_server(privd: Privd) -> None:
    http01(privd, 'mode = "proxied"')
    assert opened(privd, 14) == {"method": "directory"}
    assert listening(privd) == ""
    assert privd.shell("test -S /run/acmed/http01.sock && echo there") == "there\n"
    assert privd.call("CloseChallenge", job=14, certificate=NAME) == {}
    http01(privd, "")


def publish(privd: Privd, token: str = TOKEN) -> dict[str, Any]:
    authorization = f"{token}{AUTHORIZATION[len(TOKEN) :]}"
    return privd.call("PublishToken", certificate=NAME, identifier=NAME, token=token, keyAuthorization=authorization)


def test_webroot(privd: Privd) -> None:
    http01(privd, 'mode = "webroot"\nwebroot = "/srv/www"')
    assert "/srv/www" in opened(privd, 15)["message"]
    privd.machine.run(["install", "-d", "-o", "www-data", "-g", "www-data", "/srv/www"])
    assert opened(privd, 15) == {"method": "webroot"}
    assert publish(privd) == {}
    path = f"/srv/www/.well-known/acme-challenge/{TOKEN}"
    assert privd.machine.read(path) == AUTHORIZATION
    assert privd.shell(f"stat -c '%a %U %G' {path}") == "644 www-data www-data\n"
    assert privd.call("WithdrawToken", certificate=NAME, identifier=NAME, token=TOKEN) == {}
    assert privd.shell("ls /srv/www/.well-known/acme-challenge") == ""
    assert publish(privd, "../" * 10) == {"error": "InvalidParameter", "parameter": "token"}
    assert privd.call("CloseChallenge", job=15, certificate=NAME) == {}

    outside = "/var/tmp/outside"
    privd.machine.run(["install", "-d", "-m", "777", outside])
    privd.shell(f"rm -r /srv/www/.well-known; ln -s {outside} /srv/www/.well-known")
    answer = publish(privd)
    assert answer["error"] == "ChallengeUnavailable"
    assert "Not a directory" in answer["message"]
    assert privd.shell(f"ls {outside}") == ""
    assert privd.shell("systemctl list-units --failed --no-legend 'acme-webroot-*'") == "", "nothing stays loaded"
    http01(privd, "")
    privd.machine.run(["rm", "-r", "/srv/www", outside])


def test_a_webroot_of_roots(privd: Privd) -> None:
    http01(privd, 'mode = "webroot"\nwebroot = "/srv/www"')
    privd.machine.run(["mkdir", "/srv/www"])
    assert publish(privd) == {}
    assert privd.machine.read(f"/srv/www/.well-known/acme-challenge/{TOKEN}") == AUTHORIZATION
    http01(privd, "")
    privd.machine.run(["rm", "-r", "/srv/www"])


# Runs as acme-privd does, in its place.
ATTEMPTS = """
import json, os, socket
def outcome(act):
    try:
        act()
    except OSError as error:
        return error.strerror
    return "done"
def connect():
    with socket.socket() as peer:
        peer.connect(("127.0.0.1", 1))
print(json.dumps({
    "write /etc": outcome(lambda: open("/etc/x", "w")),
    "write /usr": outcome(lambda: open("/usr/x", "w")),
    "write /var/lib": outcome(lambda: open("/var/lib/x", "w")),
    "write /etc/acmed": outcome(lambda: open("/etc/acmed/x", "w")),
    "internet": outcome(connect),
    "another's file": outcome(lambda: open("/var/lib/private-file").read()),
    "shell": outcome(lambda: os.execv("/bin/sh", ["sh", "-c", "true"])),
    "setuid": outcome(lambda: os.setuid(65534)),
    "give away": outcome(lambda: os.chown("/etc/acmed/x", 65534, 65534)),
    "kernel": outcome(lambda: open("/sys/kernel/uevent_helper", "w")),
    "interfaces": outcome(lambda: os.listdir("/sys/class/net")),
}))
"""


def test_what_the_sandbox_keeps_it_from(privd: Privd) -> None:
    machine = privd.machine
    machine.run(["install", "-o", "nobody", "-m", "600", "/dev/null", "/var/lib/private-file"])
    machine.write("/usr/lib/attempts.py", ATTEMPTS)
    drop_in = "/run/systemd/system/acme-privd.service.d/test.conf"
    start = shlex.join(["/usr/bin/python3", "-I", "/usr/lib/attempts.py"])
    machine.write(drop_in, f"[Unit]\nRequires=\n[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart={start}\n")
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "restart", "acme-privd.service"])
    invocation = machine.run(["systemctl", "show", "-P", "InvocationID", "acme-privd.service"]).stdout.strip()
    lines = machine.run(["journalctl", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={invocation}"]).stdout.splitlines()
    machine.run(["rm", "-r", drop_in, "/usr/lib/attempts.py", "/var/lib/private-file", "/etc/acmed/x"])
    machine.run(["systemctl", "daemon-reload"])
    outcomes = json.loads(next(line for line in lines if line.startswith("{")))
    assert outcomes.pop("write /etc/acmed") == "done"
    for path in ("/etc", "/usr", "/var/lib"):
        assert outcomes.pop(f"write {path}") == "Read-only file system"
    assert outcomes.pop("another's file") == "Permission denied"
    assert outcomes.pop("shell") == "Permission denied"
    assert "done" not in outcomes.values(), outcomes


def test_it_ends_when_idle_and_no_call_is_lost(privd: Privd) -> None:
    def ended() -> bool:
        return state(privd.machine, "acme-privd.service") == "inactive"

    privd.call("CloseChallenge", job=99, certificate=NAME)
    privd.machine.wait_until("acme-privd to end", ended, timeout=40)
    assert privd.call("CloseChallenge", job=99, certificate=NAME) == {}
