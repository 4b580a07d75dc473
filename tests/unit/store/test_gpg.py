# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys under gpg: the real one, with its agent and without anybody to ask, and programs in its place."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmed.config.keysource import Kind
from acmed.store import gpg
from tests.unit.keyd.rig import new_key, pem
from tests.unit.store.storerig import SECRET, Store

needs_gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="no gpg here; the machines have it")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of gpg's; its agent's socket wants a short path."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        monkeypatch.setenv("GNUPGHOME", directory)
        # Or each agent measures the machine first.
        (Path(directory) / "gpg-agent.conf").write_text("s2k-count 65536\n")
        yield Path(directory)
        if shutil.which("gpgconf"):
            subprocess.run(["gpgconf", "--kill", "all"], check=True)


def store(directory: Path, *command: str) -> Store:
    return Store(directory / "account.gpg", Kind.GPG, command=command or ("gpg", "--quiet"))


def symmetric(found: Store, content: bytes | None = None, secret: bytes = SECRET) -> None:
    options = ["--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", secret.decode()]
    command = ["gpg", "--quiet", *options, "--symmetric", "--output", str(found.path)]
    subprocess.run(command, input=content or pem(found.key.private), check=True)
    subprocess.run(["gpgconf", "--kill", "all"], check=True)  # and what it has in mind


@needs_gpg
def test_a_passphrase(home: Path, tmp_path: Path) -> None:
    found = store(tmp_path)
    symmetric(found)
    found.seal(SECRET + b"\n")
    found.once()
    subprocess.run(["gpgconf", "--kill", "all"], check=True)
    found.seal(b"open says me")
    said = found.error()
    assert "gpg ended with status 2: gpg: decryption failed: Bad session key" in said
    assert "if the passphrase in /etc/credstore.encrypted/acmed.passphrases/main is wrong" in said
    assert "systemctl try-restart acme-store-gpg.service" in said
    assert "open says me" not in said


@needs_gpg
def test_a_key_of_gpg(home: Path, tmp_path: Path) -> None:
    """Without a passphrase, and then with one that the agent does not know and cannot ask for."""
    found = store(tmp_path)
    make = ["gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase"]
    for secret, name in (("", "nobody@example.com"), ("secret", "somebody@example.com")):
        subprocess.run([*make, secret, "--quick-generate-key", name, "future-default"], check=True)
        encrypt = ["gpg", "--batch", "--yes", "--trust-model=always", "--encrypt", "--recipient", name]
        subprocess.run([*encrypt, "--output", str(found.path)], input=pem(found.key.private), check=True)
        subprocess.run(["gpgconf", "--kill", "all"], check=True)
        if not secret:
            found.once()
    said = found.error()
    assert "gpg: decryption failed: " in said
    assert "seal that in /etc/credstore.encrypted/acmed.passphrases/main or give it to acme-gpg's agent: " in said
    found.seal(b"secret")
    found.once()


@needs_gpg
def test_what_was_encrypted_is_no_key(home: Path, tmp_path: Path) -> None:
    found = store(tmp_path)
    found.seal(SECRET)
    symmetric(found, b"not a key\n")
    assert "what is encrypted cannot be used: it is not an unencrypted private key in PEM" in found.error()
    symmetric(found, b"x" * 70000)
    assert "gpg gives more than 64 KiB" in found.error()
    found.write(b"not encrypted")
    assert "gpg ended with status 2: " in found.error()


@needs_gpg
def test_options(home: Path, tmp_path: Path) -> None:
    """Of a command that is no shell's."""
    found = store(tmp_path)
    symmetric(found)
    found.seal(SECRET)
    for option in ("--homedir=/nowhere", "--no-such-option"):
        found.command = ("gpg", option, "$(touch /tmp/x); 'a b'")
        found.configure(found.path)
        assert "gpg ended with status 2: " in found.error()
    other = tmp_path / "other home"
    found.command = ("gpg", "--quiet", "--homedir", str(other))
    found.configure(found.path)
    assert str(other) in found.error()
    other.mkdir(mode=0o700)
    found.once()
    subprocess.run(["gpgconf", "--homedir", str(other), "--kill", "all"], check=True)


def program(directory: Path, script: str) -> Store:
    """Something in the place of gpg."""
    path = directory / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    found = store(directory, str(path), "an option", "$HOME")
    found.write(b"", 0o644)
    return found


def test_what_it_is_given(tmp_path: Path) -> None:
    found = program(tmp_path, f'printf "%s\\n" "$@" >{tmp_path}/words; env >{tmp_path}/env; cat {tmp_path}/key')
    (tmp_path / "key").write_bytes(pem(found.key.private))
    found.once()
    assert (tmp_path / "words").read_text().splitlines() == [
        "an option",
        "$HOME",
        "--output",
        "-",
        "--decrypt",
        "--",
        str(found.path),
    ]
    assert "CREDENTIALS" not in (tmp_path / "env").read_text()
    found.seal(SECRET)
    found.once()
    words = (tmp_path / "words").read_text()
    assert "--batch\n--pinentry-mode\nloopback\n--passphrase-fd\n" in words
    assert SECRET.decode() not in words + (tmp_path / "env").read_text()


def test_what_it_says_is_printable_and_short(tmp_path: Path) -> None:
    found = program(
        tmp_path, "yes 'a long line' | head -c 100000 >&2; printf '\\nred \\033[31m\\n\\nlast\\n' >&2; exit 7"
    )
    said = found.error()
    assert "red \\x1b[31m; last; " in said
    assert len(said) < 600


def test_it_cannot_be_started(tmp_path: Path) -> None:
    found = store(tmp_path, "/nowhere/gpg")
    found.write(b"", 0o644)
    assert "/nowhere/gpg cannot be started: No such file or directory" in found.error()


def test_a_passphrase_that_is_none(tmp_path: Path) -> None:
    found = program(tmp_path, "cat")
    found.seal(b"x" * 100000)
    assert "its passphrase has more than 1024 bytes" in found.error()


def test_a_file_that_others_may_write(tmp_path: Path) -> None:
    found = program(tmp_path, "exit 0")
    for mode in (0o664, 0o646):
        found.path.chmod(mode)
        assert "others may write it: chmod go-w " in found.error()
    found.path.unlink()
    assert "No such file or directory" in found.error()


def test_what_it_starts_does_not_keep_us(tmp_path: Path) -> None:
    """An agent that holds on to the output."""
    found = program(tmp_path, f"cat {tmp_path}/key; sleep 1000 >/dev/null & echo $! >{tmp_path}/pid")
    (tmp_path / "key").write_bytes(pem(found.key.private))
    found.once()
    with contextlib.suppress(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 9)


def test_it_takes_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has to be found first. What comes then is kept."""
    monkeypatch.setattr(gpg, "_PATIENCE", 0.1)
    go = tmp_path / "go"
    found = program(tmp_path, f"while ! test -e {go}; do sleep 0.02; done; cat {tmp_path}/key")
    (tmp_path / "key").write_bytes(pem(new_key().private))

    async def act() -> None:
        service = found.service()
        for _ in range(2):
            assert "its agent may be waiting for a passphrase or a card" in await found.refusal(service)
        assert service.needed
        (tmp_path / "key").write_bytes(pem(found.key.private))
        go.touch()
        async with asyncio.timeout(30):
            await asyncio.wait([locked.opening for locked in service._locked.values()])
        await found.works(service)
        await service.close()

    found.run(act())


def test_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpg, "_DEADLINE", 0.2)
    found = program(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 1000")
    assert "program has not decrypted it in 0.2 s" in found.error()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
