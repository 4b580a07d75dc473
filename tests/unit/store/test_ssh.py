# SPDX-License-Identifier: LGPL-2.1-or-later
"""How ssh is started, and what is told of what it says; tests/system/test_far_hosts.py has it at work."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from acmed.config import Account
from acmed.config.keysource import KeySource, Kind, destination
from acmed.store import far, lastwords, ssh
from acmed.store.opened import Unavailable
from tests.unit.keyd.rig import new_key
from tests.unit.store.farrig import INPUT, greeting

PLACE = "acme@signer.example.com"
ACCOUNT = Account("main", "https://ca.example/dir", key=KeySource(Kind.SSH, PLACE))
CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Host key for signer.example.com has changed and you have requested strict checking.
Host key verification failed.
"""


def test_where_it_connects_to(tmp_path: Path) -> None:
    words = ssh.command(destination("acme@[2001:db8::1]:2222"), tmp_path / "key", ("acme-keyd", "--client", "a b;c"))
    assert words[0] == "/usr/bin/ssh"
    assert words[words.index("-l") :] == ["-l", "acme", "-p", "2222", "--", "2001:db8::1", "acme-keyd --client 'a b;c'"]
    assert ssh.command(destination("signer"), tmp_path, ("x",))[-5:] == ["-i", str(tmp_path), "--", "signer", "x"]


def test_ssh_understands_the_options(tmp_path: Path) -> None:
    """-G: it says what it would do, and does not."""
    words = ssh.command(destination(PLACE), tmp_path / "key", ("acme-keyd", "--stdio"))
    said = subprocess.run([words[0], "-G", *words[1:]], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"user acme", "hostname signer.example.com", "batchmode yes", "requesttty false"} <= set(said)
    assert {"stricthostkeychecking true", "userknownhostsfile /etc/acmed/known_hosts", "forwardagent no"} <= set(said)


def test_without_a_key_for_it(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"systemd-creds encrypt --name=sshkey_main KEY .*acmed\.ssh-keys/main"):
        asyncio.run(ssh.open_key(ACCOUNT, tmp_path))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (CHANGED, f"the key of {PLACE} is not the one in /etc/acmed/known_hosts"),
        (
            "No ED25519 host key is known for signer and you have requested strict checking.\nHost key verification",
            f"the key of {PLACE} is not in /etc/acmed/known_hosts: put it there",
        ),
        ("acme@signer: Permission denied (publickey).", f"{PLACE} does not take our key"),
        (
            "ssh: connect to host signer port 22: Connection refused",
            "ssh: connect to host signer port 22: Connection r",
        ),
        ("one\ntwo\nthree", "two; three"),
        ("\x1b[2Jred\x07", "\\x1b[2Jred\\x07"),
        ("", "it does not say why"),
    ],
)
def test_last_words(said: str, told: str) -> None:
    assert lastwords.explained("\n".join(said.splitlines()), PLACE).startswith(told)


def test_last_words_are_the_last_and_few(tmp_path: Path) -> None:
    async def run() -> str:
        reader = asyncio.StreamReader()
        for number in range(1000):
            reader.feed_data(f"line {number} {'x' * 200}\r\n\n".encode())
        reader.feed_eof()
        return await lastwords.collect(reader)

    said = asyncio.run(run())
    assert len(said) < 2048
    assert len(lastwords.shown(said)) <= 300
    assert lastwords.shown(said).endswith("x" * 200)


def far_program(code: str) -> far.Connect:
    """In the place of ssh."""
    return lambda: ssh._start([sys.executable, "-c", f"import os, sys, time\n{code}"], PLACE)


class Started:
    """Programs in the place of ssh, which greet and go on with some code."""

    def __init__(self, directory: Path, code: str) -> None:
        self._list = directory / "started"
        note = f"open({str(self._list)!r}, 'a').write(f'{{os.getpid()}}\\n')"
        self.connect = far_program(f"{note}\nos.write(1, {greeting(new_key())!r})\n{code}")

    @property
    def processes(self) -> list[int]:
        return list(map(int, self._list.read_text().split()))

    @property
    def left(self) -> list[int]:
        """Those that were not waited for."""
        return [process for process in self.processes if Path(f"/proc/{process}").exists()]


FLOOD = "while True: os.write(1, b'x' * 65536)"


def test_a_flood_for_a_greeting() -> None:
    async def run() -> None:
        async with asyncio.timeout(20):
            with pytest.raises(Unavailable, match="it sends a line of more than 65536 bytes"):
                await sign(far_program(FLOOD))

    asyncio.run(run())


def test_a_flood_behind_the_greeting() -> None:
    """It is more than a StreamReader takes, which does not see the end then; nobody waits for that."""
    connect = far_program(f"os.write(1, {greeting(new_key())!r})\n{FLOOD}")

    async def run() -> None:
        async with asyncio.timeout(20):
            key = await far.Remote.open(ACCOUNT, connect, keep=True)
            assert key._link
            while not key._link.reader._paused:  # type: ignore[attr-defined]
                await asyncio.sleep(0.01)
            with pytest.raises(Unavailable, match="it sends a line of more than 65536 bytes"):
                await key.sign(INPUT)

    asyncio.run(run())


async def sign(connect: far.Connect) -> None:
    await (await far.Remote.open(ACCOUNT, connect, keep=True)).sign(INPUT)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit('why')", "the program there ended with status 1, and said why"),
        ("os.write(2, b'Permission denied'); sys.exit(255)", f"ssh failed: {PLACE} does not take our key"),
        ("os.write(2, b'why'); os.close(1); time.sleep(1000)", "ssh was ended, and had said why"),
    ],
)
def test_how_it_ends(code: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_LAST", 10.0 if "exit" in code else 0.5)
    with pytest.raises(Unavailable) as caught:
        asyncio.run(sign(far_program(code)))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("code", "said", "started"),
    [
        ("sys.stdin.read()", "it does not answer within 0.2 s", 2),
        (
            "sys.stdin.readline(); os.write(1, b'A' * 86 + b'\\r\\n'); sys.stdin.read()",
            "its signature is not of the key that it shows",
            1,
        ),
    ],
    ids=["silence", "bad signature"],
)
def test_nothing_is_left_of_what_does_not_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str, started: int
) -> None:
    """Its answer may still come, and would be taken for that to the next request; and it would be there for ever."""
    monkeypatch.setattr(ssh, "_LAST", 10.0)
    monkeypatch.setattr(far, "_SIGN", 0.2 if started > 1 else 10.0)
    programs = Started(tmp_path, code)

    async def run() -> None:
        with pytest.raises(Unavailable, match=said):
            await sign(programs.connect)
        assert len(programs.processes) == started
        assert not programs.left

    asyncio.run(run())


def test_what_was_refused_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt is one more of the refusals that the far end counts, and puts on record."""
    monkeypatch.setattr(ssh, "_LAST", 10.0)
    programs = Started(tmp_path, "sys.stdin.readline()")
    with pytest.raises(Unavailable, match="it does not sign this: the program there ended with status 0"):
        asyncio.run(sign(programs.connect))
    assert len(programs.processes) == 1
