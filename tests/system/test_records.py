# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acme-privd has transient units do: challenge files of local zones and their reload, hooks, mail, and tokens."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine
from tests.system.privcall import call, call_all

NAME = "records.example.com"
ZONE, HOOK_ZONE = "local.example", "hook.example"
VALUE = "v" * 43
TOKEN = "t" * 43
AUTHORIZATION = f"{TOKEN}.{'k' * 43}"
HOOKS = "/etc/acmed/hooks.d"
DIRECTORY = "/srv/challenges"

CONFIGURATION = f"""
[zone."{ZONE}"]
method = "local"
directory = "{DIRECTORY}"
reload = ["/usr/local/bin/reload-zone", "zone={{zone}}", "$HOME; true"]

[zone."{HOOK_ZONE}"]
method = "hook"
hook = "provider"
"""

# Says who calls it with what, and what the zone's file had in it at that time.
RELOAD = f"""#!/bin/sh
echo "$@ ACMED_ZONE=$ACMED_ZONE $(id -un) $(cat {DIRECTORY}/{ZONE} 2>&1)" >>/var/log/reloads
test ! -e /run/reload-fails || {{ echo "first words" >&2; echo "zone has no SOA" >&2; exit 3; }}
"""

# What it says, its sandbox has let it find out.
HOOK = f"""#!/bin/sh
echo "call: $0 $* $ACMED_ZONE $ACMED_NAME $ACMED_VALUE $ACMED_EVENT $ACMED_CERTIFICATE"
echo "message: $ACMED_MESSAGE"
echo "user: $(id -u)"
echo "secret: $(cat "$CREDENTIALS_DIRECTORY/hook" 2>/dev/null)"
echo "interfaces: $(ls /sys/class/net | tr '\\n' ' ')"
echo "variables: $(env | sed -n 's/^\\(ACMED_[A-Z]*\\|NOTIFY_SOCKET\\)=.*/\\1/p' | sort | tr '\\n' ' ')"
touch /tmp/file && echo "wrote: /tmp"
for place in /etc /var /srv /run /root {HOOKS}; do
    touch $place/hook-was-here 2>/dev/null && echo "wrote: $place"
done
cat /var/lib/acme/*/privkey.pem /etc/shadow 2>/dev/null && echo "read: a secret"
test ! -e /etc/hook-fails || {{ echo "the provider says no" >&2; exit 7; }}
"""

SENDMAIL = """#!/bin/sh
test "$*" = "-i -t" || exit 64
cat >/var/spool/mail-for-tests
"""

# Runs as root, with acme-privd's own module: python3 SCRIPT TIMEOUT PROGRAM ARGUMENT...
TRANSIENT = """
import asyncio, sys
from acmed.privd import pid1, transient
from acmed.privd.delivery import hooks

async def main():
    order = {"argv": sys.argv[2:], "environment": {}, "input": None}
    program = transient.Program("hook", "Test", "acmed.runner", order, int(sys.argv[1]), hooks._HOOK)
    async with pid1.connected() as manager:
        failure = await transient.run(manager, program)
        print(failure.reason if failure else "done")

asyncio.run(main())
"""


@pytest.fixture(scope="module", params=["machine", "bookworm"])
def host(request: pytest.FixtureRequest) -> Iterator[Machine]:
    machine: Machine = request.getfixturevalue(request.param)
    machine.write("/etc/acmed/acmed.toml.d/records-test.toml", CONFIGURATION)
    machine.write("/usr/local/bin/reload-zone", RELOAD, 0o755)
    machine.write(f"{HOOKS}/provider", HOOK, 0o755)
    machine.run(["install", "-d", "-o", "nobody", "-g", "www-data", DIRECTORY])
    yield machine
    files = [
        "/etc/acmed/acmed.toml.d/records-test.toml",
        "/usr/local/bin/reload-zone",
        f"{HOOKS}/provider",
        "/var/log/reloads",
        "/var/spool/mail-for-tests",
        "/usr/sbin/sendmail",
    ]
    machine.run(["rm", "-rf", DIRECTORY, *files])


@pytest.fixture(autouse=True)
def nothing_stays(host: Machine) -> Iterator[None]:
    yield
    failed = ["systemctl", "list-units", "--failed", "--no-legend", "acme-*-*"]
    assert host.run(failed).stdout == "", "nothing stays loaded"


def record(method: str, host: str = "www", value: str = VALUE, zone: str = ZONE) -> tuple[str, dict[str, str]]:
    name = f"_acme-challenge.{host}.{zone}" if host else f"_acme-challenge.{zone}"
    return f"{method}Record", {"certificate": NAME, "zone": zone, "name": name, "value": value}


def change(machine: Machine, method: str, *arguments: str, **named: str) -> dict[str, str]:
    name, parameters = record(method, *arguments, **named)
    return call(machine, name, **parameters)


def reloads(machine: Machine) -> list[str]:
    """Since the last call."""
    return machine.run(["sh", "-c", "cat /var/log/reloads 2>/dev/null; rm -f /var/log/reloads"]).stdout.splitlines()


def test_a_local_zone(host: Machine) -> None:
    reloads(host)
    assert change(host, "Publish") == {}
    content = json.dumps({f"www.{ZONE}": VALUE})
    assert host.read(f"{DIRECTORY}/{ZONE}") == content
    assert host.run(["stat", "-c", "%a %U %G", f"{DIRECTORY}/{ZONE}"]).stdout == "644 nobody www-data\n"
    # No shell and no variable is made of an argument.
    told = f"zone={ZONE} $HOME; true ACMED_ZONE={ZONE} root"
    assert reloads(host) == [f"{told} {content}"]
    assert change(host, "Withdraw") == {}
    assert host.run(["ls", "-A", DIRECTORY]).stdout == ""
    (said,) = reloads(host)
    assert said == f"{told} cat: {DIRECTORY}/{ZONE}: No such file or directory"
    assert change(host, "Withdraw") == {}, "once more is no error"


def test_orders_at_once_lose_nothing(host: Machine) -> None:
    values = {f"h{number}": f"{number}".rjust(43, "x") for number in range(8)}
    answers = call_all(host, [record("Publish", name, value) for name, value in values.items()])
    assert answers == [{}] * len(values)
    found = json.loads(host.read(f"{DIRECTORY}/{ZONE}"))
    assert found == {f"{name}.{ZONE}": value for name, value in values.items()}
    half = list(values.items())[:4]
    both = [record("Withdraw", name, value) for name, value in half] + [
        record("Publish", ""),
        record("Publish", "", VALUE[::-1]),
    ]
    assert call_all(host, both) == [{}] * len(both)
    found = json.loads(host.read(f"{DIRECTORY}/{ZONE}"))
    assert found == {f"{name}.{ZONE}": value for name, value in list(values.items())[4:]} | {ZONE: VALUE}
    rest = [record("Withdraw", name, value) for name, value in list(values.items())[4:]] + [record("Withdraw", "")]
    assert call_all(host, rest) == [{}] * len(rest)
    assert host.run(["ls", "-A", DIRECTORY]).stdout == ""


def test_a_reload_that_fails(host: Machine) -> None:
    host.run(["touch", "/run/reload-fails"])
    answer = change(host, "Publish")
    host.run(["rm", "/run/reload-fails"])
    assert answer["error"] == "HookFailed"
    start = f"/usr/local/bin/reload-zone zone={ZONE} $HOME; true: exit status 3: zone has no SOA; see: journalctl -u "
    assert answer["message"].startswith(f"{start}acme-reload-")
    assert host.run(["ls", "-A", DIRECTORY]).stdout == "", "the value is taken back"
    unit = answer["message"].rpartition(" ")[2]
    assert "first words" in host.journal(unit)


def test_a_program_that_is_not_there(host: Machine) -> None:
    host.run(["chmod", "-x", "/usr/local/bin/reload-zone"])
    answer = change(host, "Publish")
    host.run(["chmod", "+x", "/usr/local/bin/reload-zone"])
    assert answer["error"] == "HookFailed"
    assert "it is not executable" in answer["message"]


def test_a_challenge_directory_that_its_owner_may_not_write(host: Machine) -> None:
    host.run(["chmod", "555", DIRECTORY])
    answer = change(host, "Publish")
    host.run(["chmod", "755", DIRECTORY])
    assert answer["error"] == "ChallengeUnavailable"
    assert (
        f"cannot write to {DIRECTORY} as user 65534: {DIRECTORY}/.{ZONE}.acmed-new: Permission denied"
        in answer["message"]
    )


def said(machine: Machine) -> dict[str, list[str]]:
    """What the hook has said since the last call."""
    machine.run(["journalctl", "--sync"])
    command = ["journalctl", "-o", "cat", "-t", "acme-hook", "--cursor-file=/run/hook-cursor"]
    found: dict[str, list[str]] = {}
    for line in machine.run(command, check=False).stdout.splitlines():  # it fails where there is nothing
        key, colon, words = line.partition(": ")
        if colon:
            found.setdefault(key, []).append(words)
    return found


def test_a_hook(host: Machine) -> None:
    said(host)
    for method, verb in (("Publish", "set"), ("Withdraw", "clear")):
        assert change(host, method, zone=HOOK_ZONE) == {}
        words = said(host)
        name = f"_acme-challenge.www.{HOOK_ZONE}"
        assert words["call"] == [f"{HOOKS}/provider {verb} {HOOK_ZONE} {name} {VALUE}"]
        assert words["variables"] == ["ACMED_NAME ACMED_VALUE ACMED_ZONE"]
        assert 61184 <= int(words["user"][0]) <= 65519
        assert "secret" not in words
        assert "lo" in words["interfaces"][0]
        assert words["wrote"] == ["/tmp"]
        assert "read" not in words
    assert host.run(["find", HOOKS, "/etc", "/srv", "/run", "-maxdepth", "1", "-name", "hook-was-here"]).stdout == ""


def test_a_hooks_secret(host: Machine) -> None:
    """Sealed by root for the hook, which alone gets it."""
    sealed = "/etc/credstore.encrypted/acmed.hooks/provider"
    host.run(
        [
            "sh",
            "-c",
            f"test -e /var/lib/systemd/credential.secret || systemd-creds setup; mkdir -p -m 700 $(dirname {sealed})",
        ]
    )
    host.run(["systemd-creds", "encrypt", "--name=hook", "-", sealed], input="hunter2")
    said(host)
    assert change(host, "Publish", zone=HOOK_ZONE) == {}
    assert said(host)["secret"] == ["hunter2"]
    host.write(sealed, "no blob", 0o600)
    answer = change(host, "Publish", zone=HOOK_ZONE)
    host.run(["rm", sealed])
    assert answer["error"] == "HookFailed"
    assert f"{HOOKS}/provider set: its credential cannot be opened" in answer["message"]


def test_a_hook_that_fails(host: Machine) -> None:
    host.run(["touch", "/etc/hook-fails"])
    answer = change(host, "Publish", zone=HOOK_ZONE)
    host.run(["rm", "/etc/hook-fails"])
    assert answer["error"] == "HookFailed"
    start = f"{HOOKS}/provider set: exit status 7: the provider says no; see: journalctl -u acme-hook-"
    assert answer["message"].startswith(start)


def test_a_hook_of_somebody_else(host: Machine) -> None:
    path = f"{HOOKS}/provider"
    host.run(["chown", "nobody", path])
    answer = change(host, "Publish", zone=HOOK_ZONE)
    host.run(["chown", "root", path])
    assert answer["error"] == "HookFailed"
    assert answer["message"].startswith(f"{path}: it must be owned by root")
    host.run(["mv", path, f"{path}.away"])
    answer = change(host, "Publish", zone=HOOK_ZONE)
    host.run(["mv", f"{path}.away", path])
    assert answer == {"error": "HookFailed", "message": f"{path}: No such file or directory"}


def test_a_deadline(host: Machine) -> None:
    """The module itself, with a shorter one than configuration can have."""
    host.write("/run/transient.py", TRANSIENT)
    for script, expected in (
        ("exit 0", "done"),
        ("echo asking the provider >&2; sleep 60", "not done after 2 s, killed by SIGTERM: asking the provider"),
        ("trap '' TERM; sleep 60; sleep 60", "not done after 2 s"),
        ("sleep 60 & exit 0", "done"),
    ):
        said = host.run(["python3", "/run/transient.py", "2", "/bin/sh", "-c", script]).stdout
        assert said == f"{expected}\n"
    assert host.run(["sh", "-c", "pgrep -f '[s]leep 60' || true"]).stdout == "", "nothing runs on"
    host.run(["rm", "/run/transient.py"])


def notify(machine: Machine, settings: str, message: str = "The CA says no.") -> dict[str, str]:
    machine.write("/etc/acmed/acmed.toml.d/notify-test.toml", f"[notify]\n{settings}\n")
    answer = call(machine, "Notify", certificate=NAME, event="failed", message=message)
    machine.run(["rm", "/etc/acmed/acmed.toml.d/notify-test.toml"])
    return answer


def test_people_are_told(host: Machine) -> None:
    said(host)
    host.write("/usr/sbin/sendmail", SENDMAIL, 0o755)
    settings = 'hook = "provider"\nmail = "admin@example.com"'
    assert notify(host, settings, "It is so:\n\x1b[31mBcc: x") == {}
    words = said(host)
    assert words["call"] == [f"{HOOKS}/provider notify    failed {NAME}"]
    assert words["message"] == ["It is so:"]
    mail = host.read("/var/spool/mail-for-tests")
    assert mail.startswith(f"To: admin@example.com\nSubject: acmed: {NAME} cannot be renewed\n")
    assert mail.endswith("\n\nIt is so:\n\\x1b[31mBcc: x\n")
    host.run(["rm", "/usr/sbin/sendmail", "/var/spool/mail-for-tests"])


def test_nobody_can_be_told(host: Machine) -> None:
    host.run(["touch", "/etc/hook-fails"])
    answer = notify(host, 'hook = "provider"\nmail = "admin@example.com"')
    host.run(["rm", "/etc/hook-fails"])
    assert answer["error"] == "HookFailed"
    assert f"{HOOKS}/provider notify: exit status 7: the provider says no" in answer["message"]
    assert "there is no /usr/sbin/sendmail" in answer["message"]
    assert f"Nobody was told that {NAME} cannot be renewed" in host.journal("acme-privd.service")


def http01(machine: Machine, text: str) -> None:
    machine.write("/etc/acmed/acmed.toml.d/records-http01.toml", f"[http01]\n{text}\n" if text else "")


def publish(machine: Machine, identifier: str) -> dict[str, str]:
    return call(
        machine,
        "PublishToken",
        certificate=NAME,
        identifier=identifier,
        token=TOKEN,
        keyAuthorization=AUTHORIZATION,
    )


@pytest.fixture
def sites(host: Machine) -> Iterator[Path]:
    """Where a user has a document root for each of his names, below a directory of his own."""
    host.run(["install", "-d", "-o", "www-data", "-g", "www-data", "/srv/sites", "/srv/sites/www.site.example"])
    http01(host, 'mode = "webroot"\nwebroot = "/srv/sites/{fqdn}"')
    yield Path("/srv/sites")
    http01(host, "")
    host.run(["rm", "-r", "/srv/sites"])


def test_a_webroot_by_pattern(host: Machine, sites: Path) -> None:
    assert publish(host, "www.site.example") == {}
    path = f"{sites}/www.site.example/.well-known/acme-challenge/{TOKEN}"
    assert host.read(path) == AUTHORIZATION
    assert host.run(["stat", "-c", "%a %U %G", path]).stdout == "644 www-data www-data\n"
    withdrawn = call(host, "WithdrawToken", certificate=NAME, identifier="www.site.example", token=TOKEN)
    assert withdrawn == {}
    assert host.run(["sh", "-c", f"ls {path} 2>&1"], check=False).returncode != 0
    missing = publish(host, "mail.site.example")
    assert missing["error"] == "ChallengeUnavailable"
    assert f"[http01] webroot for mail.site.example: {sites}/mail.site.example: No such file" in missing["message"]
    assert publish(host, "../sites/www.site.example") == {"error": "InvalidParameter", "parameter": "identifier"}


def test_a_webroot_that_its_user_leads_elsewhere(host: Machine, sites: Path) -> None:
    """Who owns the directory above puts a link to one of root's in the place of the document root."""
    host.run(["install", "-d", "/srv/roots"])
    host.run(["ln", "-s", "/srv/roots", f"{sites}/mail.site.example"])
    host.run(["chown", "-h", "www-data", f"{sites}/mail.site.example"])
    answer = publish(host, "mail.site.example")
    assert "user 33 made a symbolic link on the way, which is not followed" in answer["message"]
    assert host.run(["ls", "-A", "/srv/roots"]).stdout == ""
    host.run(["chown", "-h", "root", f"{sites}/mail.site.example"])
    assert publish(host, "mail.site.example") == {}, "root may have it so"
    assert host.run(["ls", "-A", "/srv/roots"]).stdout == ".well-known\n"
    host.run(["rm", "-r", "/srv/roots"])
