# SPDX-License-Identifier: LGPL-2.1-or-later
"""How ssh is started, and what is told of what it says; tests/system/test_far_hosts.py has it at work."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from acmed.config import Account
from acmed.config.keysource import KeySource, Kind, remote
from acmed.store import lastwords, ssh
from acmed.store.opened import Unavailable

PLACE = "acme@signer.example.com"
CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Host key for signer.example.com has changed and you have requested strict checking.
Host key verification failed.
"""


def test_where_it_connects_to(tmp_path: Path) -> None:
    words = ssh.command(remote("acme@[2001:db8::1]:2222"), tmp_path / "key", ("acme-keyd", "--client", "a b;c"))
    assert words[0] == "/usr/bin/ssh"
    assert words[words.index("-l") :] == ["-l", "acme", "-p", "2222", "--", "2001:db8::1", "acme-keyd --client 'a b;c'"]
    assert ssh.command(remote("signer"), tmp_path, ("x",))[-5:] == ["-i", str(tmp_path), "--", "signer", "x"]


def test_ssh_understands_the_options(tmp_path: Path) -> None:
    """-G: it says what it would do, and does not."""
    words = ssh.command(remote(PLACE), tmp_path / "key", ("acme-keyd", "--stdio"))
    said = subprocess.run([words[0], "-G", *words[1:]], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"user acme", "hostname signer.example.com", "batchmode yes", "requesttty false"} <= set(said)
    assert {"stricthostkeychecking true", "userknownhostsfile /etc/acmed/known_hosts", "forwardagent no"} <= set(said)


def test_without_a_key_for_it(tmp_path: Path) -> None:
    account = Account("main", "https://ca.example/dir", key=KeySource(Kind.SSH, PLACE))
    with pytest.raises(Unavailable, match=r"systemd-creds encrypt --name=sshkey_main KEY .*acmed\.ssh-keys/main"):
        asyncio.run(ssh.open_key(account, tmp_path))


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
