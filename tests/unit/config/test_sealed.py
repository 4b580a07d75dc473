# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sealed credentials, as systemd-creds(1) takes them on this machine, with a key of the test's own."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from acmed.config import Problem, sealed

pytestmark = pytest.mark.skipif(not shutil.which("systemd-creds"), reason="no systemd-creds here")

AWAY = "else move the file away, and run 'acmectl config check' again: it says how to do without"
_WITH_TPM = bytes.fromhex("0c7cc07b117645919c4b0bea08bc20fe")
_SECRET = b"secret of the account"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is /etc/credstore.encrypted; the host's key is another one for each test."""
    (tmp_path / "var").mkdir()
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(tmp_path / "var" / "credential.secret"))
    for name in ("acmed.accounts", "acmed.next-accounts", "acmed.bindings", "acmed.dns"):
        (tmp_path / "etc" / name).mkdir(parents=True)
    return tmp_path / "etc"


def _seal(path: Path, name: str) -> None:
    command = ["systemd-creds", "encrypt", "--with-key=host", f"--name={name}", "-", str(path)]
    subprocess.run(command, input=_SECRET, check=True, capture_output=True)


def _problem(directory: Path) -> Problem:
    (problem,) = sealed.undecryptable(directory)
    return problem


def test_all_can_be_opened(directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _seal(directory / "acmed.accounts/default", "account_default")
    _seal(directory / "acmed.next-accounts/default", "next_default")
    _seal(directory / "acmed.bindings/default", "binding_default")
    _seal(directory / "acmed.dns/ns1", "tsig_ns1")
    (directory / "acmed.accounts/.default.new").write_text("systemd passes over what begins with a dot")
    assert list(sealed.undecryptable(directory)) == list(sealed.unsealed(directory)) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "credential", "unit"),
    [
        ("acmed.accounts", "account", "acme-keyd.service"),
        ("acmed.next-accounts", "next", "acme-keyd.service"),
        ("acmed.bindings", "binding", "acme-keyd.service"),
        ("acmed.dns", "tsig", "acme-dnsd.service"),
    ],
)
def test_damaged(directory: Path, kind: str, credential: str, unit: str, capfd: pytest.CaptureFixture[str]) -> None:
    _seal(directory / kind / "good", f"{credential}_good")
    path = directory / kind / "bad"
    _seal(path, f"{credential}_bad")
    blob = bytearray(base64.b64decode(path.read_bytes()))
    blob[-1] ^= 1
    path.write_bytes(base64.b64encode(blob))
    problem = _problem(directory)
    assert (problem.path, problem.note) == (path, False)
    assert problem.message.startswith(f"cannot be opened, and so it keeps {unit} from starting: ")
    assert "incorrect key" in problem.message
    assert problem.hint.endswith(AWAY)
    assert capfd.readouterr() == ("", "")


def test_base64_of_something_else(directory: Path) -> None:
    path = directory / "acmed.accounts/default"
    path.write_bytes(base64.b64encode(b"a key that nobody has sealed, but wrapped well"))
    assert _problem(directory).path == path
    assert list(sealed.unsealed(directory)) == []


def test_what_does_not_look_sealed_is_told_once(directory: Path) -> None:
    (directory / "acmed.accounts/default").write_text("-----BEGIN PRIVATE KEY-----\n")
    assert list(sealed.undecryptable(directory)) == []
    assert [problem.path.name for problem in sealed.unsealed(directory)] == ["default"]


def test_every_one_is_named_that_another_host_has_sealed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        _seal(directory / "acmed.accounts" / name, f"account_{name}")
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(directory.parent / "var" / "new"))
    assert all("No such file" in problem.message for problem in sealed.undecryptable(directory))
    _seal(directory / "acmed.accounts" / "three", "account_three")
    found = list(sealed.undecryptable(directory))
    assert [problem.path.name for problem in found] == ["one", "two"]
    assert all("/var/lib/systemd/credential.secret" in problem.hint for problem in found)


def test_sealed_under_another_name(directory: Path) -> None:
    path = directory / "acmed.dns/ns1"
    _seal(path, "ns1")
    problem = _problem(directory)
    assert problem.message == (
        "is sealed under the name ns1, where it has to be tsig_ns1, and so it keeps acme-dnsd.service from starting"
    )
    command = problem.hint.splitlines()[-1]
    subprocess.run(["sh", "-c", command.replace("encrypt", "encrypt --with-key=host")], check=True, capture_output=True)
    assert list(sealed.undecryptable(directory)) == []


@pytest.mark.parametrize("broken", ["decrypt", "encrypt"])
def test_command_that_fails_leaves_what_is_sealed_alone(directory: Path, broken: str, tmp_path: Path) -> None:
    """A shell goes on where the left side of a pipe has failed, and what is there may be the only copy."""
    path = directory / "acmed.dns/ns1"
    _seal(path, "ns1")
    before = path.read_bytes()
    command = _problem(directory).hint.splitlines()[-1]
    program = tmp_path / "systemd-creds"
    program.write_text(
        f'#!/bin/sh\ntest "$1" = {broken} && exit 1\n'
        f'test "$1" = encrypt && set -- "$@" --with-key=host\nexec {shutil.which("systemd-creds")} "$@"\n'
    )
    program.chmod(0o755)
    ended = subprocess.run(
        ["sh", "-c", f"PATH={tmp_path}:$PATH; {command}"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert ended.returncode != 0
    assert path.read_bytes() == before


def test_command_does_not_bind_to_what_has_booted(directory: Path) -> None:
    _seal(directory / "acmed.dns/ns1", "ns1")
    assert "--tpm2-pcrs=23" in _problem(directory).hint


def test_tpm_that_is_not_here(directory: Path) -> None:
    """It may be out of order for now: nothing is said of the credential itself."""
    path = directory / "acmed.accounts/default"
    path.write_bytes(base64.b64encode(_WITH_TPM + bytes(200)))
    problem = _problem(directory)
    assert problem.message.startswith(
        "is sealed with a TPM, and cannot be opened with this host's as it is now, and so "
    )
    assert problem.hint.startswith("is the TPM there, and the one that it was sealed with?")
    assert not problem.note


def test_no_systemd_creds(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        _seal(directory / "acmed.accounts" / name, f"account_{name}")
    monkeypatch.setenv("PATH", str(directory))
    problem = _problem(directory)
    assert (problem.path, problem.note) == (directory, True)
    assert problem.message.endswith("is not checked: systemd-creds: No such file or directory")


def test_nothing_is_there(tmp_path: Path) -> None:
    assert list(sealed.undecryptable(tmp_path)) == list(sealed.unsealed(tmp_path)) == []
