# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may get into DNS, and which programs are run for it. That they are run needs PID 1: tests/system has it."""

import os
from pathlib import Path

import pytest

from acmed.config.model import Http01, Zone, ZoneMethod
from acmed.privd.challenges import records
from acmed.privd.delivery import hooks
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import NAME, ROOT, Rig

VALUE = "v" * 43
RECORD = "_acme-challenge.www.example.com"
ZONES = """
[zone."example.com"]
method = "local"
directory = "/var/lib/challenges"
reload = ["/usr/sbin/rndc", "reload", "{zone}"]

[zone."hook.example.com"]
method = "hook"
hook = "provider"

[zone."example.net"]
server = "192.0.2.1"
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (RECORD, VALUE),
        ("_ujmmovf2vn55tgye._acme-challenge.example.com", "-" * 21 + "_" * 22),
        ("_validation-persist.example.com", "ca.example; accounturi=https://ca.example/acct/1?a=b&c=d"),
        ("_validation-persist.xn--bcher-kva.example", "ca.example; accounturi=https://ca.example/1; policy=wildcard"),
        ("delegated.acme.example.net", VALUE),
    ],
)
def test_records_of_challenges(name: str, value: str) -> None:
    records.check(name, value)


NO_NAMES = """
com .example.com www..com _acme-challenge.www.example.com. _ACME-challenge.example.com *.example.com ../x.example
$(id).example -a.example b\u00fccher.example
""".split()


@pytest.mark.parametrize("name", [*NO_NAMES, "", "a b.example", f"{RECORD}\n", f"{'a' * 64}.example", "a." * 127 + "a"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(VarlinkError) as caught:
        records.check(name, VALUE)
    assert caught.value.parameters == {"parameter": "name"}


NO_VALUES = [
    "",
    "short",
    f"{VALUE}\n",
    f"{VALUE}=",
    f"{VALUE} more",
    f'{VALUE[1:]}"',
    f"{VALUE}x",
    "v=spf1 -all",
    "accounturi=https://ca.example/1",
    "ca.example; accounturi=http://ca.example/1",
    "ca.example; accounturi=https://ca.example/1;b",
    'ca.example; accounturi=https://ca.example/1"b',
    "ca.example; accounturi=https://ca.example/1\\b",
    "ca.example; accounturi=https://ca.example/1 b",
    "ca.example; accounturi=https://ca.example/1; policy=other",
    "ca.example; accounturi=https://" + "a" * 501,
]


@pytest.mark.parametrize("value", NO_VALUES)
def test_values_that_answer_no_challenge(value: str) -> None:
    with pytest.raises(VarlinkError) as caught:
        records.check(RECORD, value)
    assert caught.value.parameters == {"parameter": "value"}


@pytest.mark.parametrize(
    ("zone", "name", "words"),
    [
        ("example.org", "_acme-challenge.example.org", 'no [zone."example.org"]'),
        ("example.net", "_acme-challenge.example.net", 'method = "local" or method = "hook"'),
        ("www.example.com", RECORD, 'no [zone."www.example.com"]'),
        ("../example.com", RECORD, "there is no"),
        ("example.com", "_acme-challenge.example.net", "does not lie in the zone example.com"),
        ("example.com", "_acme-challenge.anexample.com", "does not lie in the zone example.com"),
        ("example.com", "_validation-persist.example.com", "_acme-challenge records only"),
        ("example.com", "delegated.example.com", "_acme-challenge records only"),
    ],
)
def test_the_configuration_decides(rig: Rig, zone: str, name: str, words: str) -> None:
    rig.configure("acmed.toml.d/z.toml", ZONES)
    for act in ("publish_record", "withdraw_record"):
        with pytest.raises(VarlinkError) as caught:
            rig.run(lambda priv, act=act: getattr(priv, act)(ROOT, 1, NAME, zone, name, VALUE))  # type: ignore[misc]
        assert caught.value.name == "org.acmed.Priv.ChallengeUnavailable"
        assert words in caught.value.parameters["message"]


def test_where_there_is_no_such_directory(rig: Rig) -> None:
    rig.configure("acmed.toml.d/z.toml", ZONES)
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.publish_record(ROOT, 1, NAME, "example.com", RECORD, VALUE))
    assert '[zone."example.com"] directory: /var/lib/challenges: No such' in caught.value.parameters["message"]


def test_the_default_timeout_is_long_enough_for_a_program() -> None:
    assert records._timeout(Zone("example.com", ZoneMethod.HOOK)) == 60
    assert records._timeout(Zone("example.com", ZoneMethod.HOOK, timeout=300)) == 300
    assert Http01().directory(NAME) is None


def problem(path: Path) -> str:
    with pytest.raises(VarlinkError) as caught:
        hooks.check(path)
    assert caught.value.name == "org.acmed.Priv.HookFailed"
    message = str(caught.value.parameters["message"])
    assert str(path) in message
    return message


def test_hooks_are_roots(tmp_path: Path) -> None:
    path = tmp_path / "hooks.d" / "provider"
    assert "No such file" in problem(path)
    path.parent.mkdir()
    assert "No such file" in problem(path)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    hooks.check(path)
    for mode in (0o775, 0o757):
        path.chmod(mode)
        assert "must be owned by root, and writable for nobody else" in problem(path)
    path.chmod(0o744)
    assert "not executable for whom it is run as" in problem(path)
    path.chmod(0o755)
    os.chown(path, 65534, 0)
    assert "must be owned by root" in problem(path)
    os.chown(path, 0, 0)
    path.parent.chmod(0o777)
    assert f"{path.parent} must be owned by root" in problem(path)
    path.parent.chmod(0o755)
    os.chown(path.parent, 65534, 0)
    assert f"{path.parent} must be owned by root" in problem(path)


def test_hooks_are_plain_files(tmp_path: Path) -> None:
    (tmp_path / "target").touch(0o755)
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o755)
    assert "it is a symbolic link" in problem(tmp_path / "link")
    for name in ("directory", "pipe"):
        assert problem(tmp_path / name).endswith("it is not a plain file")


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to another user")
def test_nobody_can_put_another_program_there(tmp_path: Path) -> None:
    """He who has a directory above, or the one that a link leads to, has as much of a say as he who has the file."""
    program = tmp_path / "theirs" / "bin" / "program"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "link").symlink_to(program)
    for path in (program, tmp_path / "link"):
        hooks.check_program(path)
    for changed in (program.parent, program.parent.parent):
        os.chown(changed, 65534, 0)
        for path in (program, tmp_path / "link"):
            with pytest.raises(VarlinkError, match=f"{changed} must be owned by root"):
                hooks.check_program(path)
        os.chown(changed, 0, 0)


def test_a_reload_is_roots(tmp_path: Path) -> None:
    """It is run as root, and may be a link, as programs in /usr are."""
    program = tmp_path / "reload"
    program.touch(0o700)
    (tmp_path / "link").symlink_to(program)
    hooks.check_program(tmp_path / "link")
    os.chown(program, 65534, 0)
    with pytest.raises(VarlinkError, match="must be owned by root"):
        hooks.check_program(tmp_path / "link")
    program.chmod(0o600)
    os.chown(program, 0, 0)
    with pytest.raises(VarlinkError, match="not executable"):
        hooks.check_program(program)
