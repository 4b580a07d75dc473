# SPDX-License-Identifier: LGPL-2.1-or-later
"""Zones that take no updates of acmed's: by a JSON file and a reload, as acmebot's users have it, and by hooks."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from tests.machine import Machine, Pebble
from tests.machine.bind import Bind
from tests.machine.zones import TsigKey, Zone
from tests.system.nameservers import OTHERS, Site, Table, sealed, site

SERVER = "127.0.0.11"
CONTROL, PROVIDER = TsigKey("rndc"), TsigKey("provider")
SERVERS = (("ns1", (SERVER,)),)
HOOKS = "/etc/acmed/hooks.d"
CHALLENGES = "/var/lib/localzone/challenges"
RELOAD = "/usr/local/sbin/reload-zone"
INCLUDED = "/var/lib/named-ns1/local.test.challenges"
LOG = "/var/lib/localzone/log"

# What makes records of the file, and has named load the zone; it notes what it was told, and what it found.
RELOADER = f"""\
#!/usr/bin/python3
import json, os, subprocess, sys
from pathlib import Path

zone = sys.argv[1]
file = Path("{CHALLENGES}", zone)
values = json.loads(file.read_text()) if file.exists() else {{}}
records = [(host.removeprefix("*."), value) for host, value in values.items()]
Path("{INCLUDED}").write_text("".join(f'_acme-challenge.{{host}}. TXT "{{value}}"\\n' for host, value in records))
seen = {{"zone": [zone, os.environ["ACMED_ZONE"]], "hosts": sorted(values), "file": file.exists()}}
seen["owner"] = file.owner() if file.exists() else None
with open("{LOG}", "a") as log:
    log.write(json.dumps(seen) + "\\n")
rndc = ["/usr/sbin/rndc", "-k", "/var/lib/named-ns1/rndc.key", "-s", "{SERVER}"]
sys.exit(subprocess.run([*rndc, "reload", zone]).returncode)
"""

PROVIDERS_HOOK = f"""\
#!/bin/sh
# In the place of a provider's API: nsupdate with a credential that nobody else has.
case $1 in set) change=add ttl=1 ;; clear) change=delete ttl= ;; *) exit 2 ;; esac
printf 'server {SERVER}\\nzone %s\\nupdate %s %s. %s TXT "%s"\\nsend\\n' \\
    "$ACMED_ZONE" "$change" "$ACMED_NAME" "$ttl" "$ACMED_VALUE" | nsupdate -k "$CREDENTIALS_DIRECTORY/hook"
"""
FAILING_HOOK = "#!/bin/sh\necho 'asking the provider' >&2\necho \"quota of $ACMED_ZONE exceeded\" >&2\nexit 3\n"
# It does not listen to SIGTERM either.
HANGING_HOOK = "#!/bin/sh\ntest $1 = set || exit 0\ntrap '' TERM\necho 'waiting for the provider' >&2\nsleep 1000\n"
HANGS = 60  # seconds: what a hook has at least

ZONES = [
    Zone("local.test", SERVERS, records=f"$INCLUDE {INCLUDED}"),
    Zone("hook.test", SERVERS, records=f'_acme-challenge TXT "{OTHERS}"', updates="allow-update { key provider; };"),
    Zone("hang.test", SERVERS),
]
LOCAL = {"method": "local", "directory": CHALLENGES, "reload": [RELOAD, "{zone}"]}
CONFIGURED: dict[str, Table] = {
    "local.test": LOCAL,
    "hook.test": {"method": "hook", "hook": "provider"},
    "hang.test": {"method": "hook", "hook": "hanging"},
}


@dataclass
class Rig:
    """The site, and an order that hangs while the other tests run."""

    site: Site
    hanging: "subprocess.Popen[str]"
    began: float = field(default_factory=time.monotonic)

    @property
    def machine(self) -> Machine:
        return self.site.machine

    def configure(self, **changes: Mapping[str, object]) -> None:
        """local or hook: what is other than usual in that zone's table."""
        zones = {f"{name}.test": {**CONFIGURED[f"{name}.test"], **change} for name, change in changes.items()}
        self.site.configure(CONFIGURED | zones)

    def reloads(self) -> list[dict[str, object]]:
        """What the reload command has noted so far; it is forgotten."""
        lines = self.machine.run(["cat", LOG], check=False).stdout.splitlines()
        self.machine.run(["rm", "-f", LOG])
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def servers(machine: Machine, pebble: Pebble, account: str) -> Iterator[Rig]:
    machine.run(["install", "-d", "-o", "bind", "-g", "bind", CHALLENGES])
    machine.write(INCLUDED, "")
    machine.write(RELOAD, RELOADER, 0o755)
    hooks = {"provider": PROVIDERS_HOOK, "failing": FAILING_HOOK, "hanging": HANGING_HOOK}
    for name, text in hooks.items():
        machine.write(f"{HOOKS}/{name}", text, 0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(machine.run, ["rm", "-r", "/var/lib/localzone", RELOAD, *(f"{HOOKS}/{name}" for name in hooks)])
        stack.enter_context(Bind(machine, "ns1", [SERVER], ZONES, [PROVIDER], control=CONTROL))
        stack.enter_context(sealed(machine, "hooks", "hook", {"provider": PROVIDER.bind}))
        own = stack.enter_context(site(machine, "localzone", {zone.name: SERVER for zone in ZONES}, {}))
        own.configure(CONFIGURED)
        hanging = machine.popen(["acmectl", "order", "--name", own.certificate("hang", ["hang.test"])])
        stack.callback(hanging.communicate)
        yield Rig(own, hanging)


@pytest.fixture
def rig(servers: Rig) -> Iterator[Rig]:
    servers.configure()
    servers.reloads()
    yield servers
    servers.site.assert_nothing_is_left(SERVER, "local.test", "hook.test")
    assert servers.machine.run(["ls", "-A", CHALLENGES]).stdout == ""
    assert servers.site.texts("_acme-challenge.hook.test", SERVER) == {OTHERS}


def test_file_and_reload(rig: Rig) -> None:
    """The file is the directory's owner's, has all values at once, and is gone at the end; each change is loaded."""
    names = ["local.test", "*.local.test", "www.sub.local.test"]
    rig.site.order("file", names)
    rig.site.installed("file").check(*names)
    reloads = rig.reloads()
    assert all(one["zone"] == ["local.test", "local.test"] for one in reloads)
    assert [len(one["hosts"]) for one in reloads] == [1, 2, 3, 2, 1, 0]  # type: ignore[arg-type]
    assert reloads[2] == {
        "zone": ["local.test", "local.test"],
        "hosts": ["*.local.test", "local.test", "www.sub.local.test"],
        "file": True,
        "owner": "bind",
    }
    assert reloads[-1]["file"] is False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"reload": ["/bin/sh", "-c", "echo no such zone: {zone} >&2; exit 3"]},
            "/bin/sh -c echo no such zone: local.test >&2; exit 3: exit status 3: no such zone: local.test; "
            "see: journalctl -u acme-reload-",
        ),
        ({"reload": ["/usr/sbin/no-rndc", "{zone}"]}, "/usr/sbin/no-rndc: No such file or directory"),
        ({"directory": "/var/lib/nowhere"}, '[zone."local.test"] directory: /var/lib/nowhere'),
    ],
    ids=["fails", "no-program", "no-directory"],
)
def test_reload_that_is_not_done(rig: Rig, change: Table, said: str) -> None:
    rig.configure(local=change)
    assert said in rig.site.order("not-reloaded", ["refused.sub.local.test"], code=1)


def test_what_has_no_place_in_the_file(rig: Rig) -> None:
    said = rig.site.order("no-place", ["refused.sub.local.test"], code=1, challenge="dns-account-01")
    assert "the challenge file of the zone local.test can have _acme-challenge records only, and not _" in said


def test_providers_hook(rig: Rig) -> None:
    """With a credential of its own, which nobody else sees."""
    rig.site.order("hook", ["hook.test", "*.hook.test"])
    rig.site.installed("hook").check("hook.test", "*.hook.test")
    assert PROVIDER.secret not in rig.machine.journal()


def test_hook_that_fails(rig: Rig) -> None:
    rig.configure(hook={"hook": "failing"})
    said = rig.site.order("failing", ["failing.hook.test"], code=1)
    assert f"{HOOKS}/failing set: exit status 3: quota of hook.test exceeded; see: journalctl -u acme-hook-" in said
    assert "org.acmed1.Error.HookFailed" in said
    assert "asking the provider" in rig.machine.run(["journalctl", "-q", "-t", "acme-hook"]).stdout


@pytest.mark.parametrize(
    ("spoil", "mend", "said"),
    [
        ("chmod g+w $0", "chmod g-w $0", "it must be owned by root, and writable for nobody else"),
        ("chown bind $0", "chown root $0", "it must be owned by root, and writable for nobody else"),
        ("chmod o+w ${0%/*}", "chmod o-w ${0%/*}", f"{HOOKS} must be owned by root, and writable for nobody else"),
        ("chmod 700 $0", "chmod 755 $0", "it is not executable for whom it is run as (chmod 755)"),
        ("mv $0 $0.real; ln -s $0.real $0", "mv $0.real $0", "it is a symbolic link, which is not followed"),
        ("mv $0 $0.off", "mv $0.off $0", "No such file or directory"),
    ],
    ids=["group-writes", "of-another", "directory", "not-executable", "link", "missing"],
)
def test_hook_that_others_could_change_is_not_run(rig: Rig, spoil: str, mend: str, said: str) -> None:
    """acmectl config check says so before."""
    path = f"{HOOKS}/provider"
    rig.machine.run(["sh", "-c", spoil, path])
    try:
        checked = rig.site.ctl.text("config", "check", code=1)
        refused = rig.site.order("spoiled", ["spoiled.hook.test"], code=1)
    finally:
        rig.machine.run(["sh", "-c", mend, path])
    assert path in checked
    assert f"{path}: {said}" in refused
    assert rig.site.ctl.text("config", "check") == "No problems.\n"


def test_hook_that_hangs(rig: Rig) -> None:
    """It was begun before the first test, and is ended with all that it has started."""
    words, _ = rig.hanging.communicate(timeout=HANGS + 30)
    assert time.monotonic() - rig.began >= HANGS - 10
    assert rig.hanging.returncode == 1, words
    rig.site.ctl.run("forget", "localzone-hang")
    assert f"{HOOKS}/hanging set: not done after {HANGS} s; see: journalctl -u acme-hook-" in words
    assert "org.acmed1.Error.HookFailed" in words
    assert "waiting for the provider" in rig.machine.run(["journalctl", "-q", "-t", "acme-hook"]).stdout
    assert rig.machine.run(["pgrep", "-f", "sleep 1000"], check=False).stdout == ""
