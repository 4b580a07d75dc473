# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys behind a socket at which an acme-keyd listens that somebody has started."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from acmed.store import unix
from acmed.store.opened import OpenedKey, Unavailable
from tests.unit.keyd.far.rig import CA, URI, Home, line, order
from tests.unit.keyd.rig import new_key, pem
from tests.unit.store.farrig import INPUT, account, far_end, greeting, signed

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def home(own_path: Path) -> Home:
    home = Home(own_path)
    home.policy()
    return home


def wanted(home: Home, *names: str) -> bytes:
    return line(home.key, order(*names), f"{CA}/order", URI)


def with_key(home: Home, act: Callable[[OpenedKey], Awaitable[None]], uri: str | None = None) -> None:
    async def run() -> None:
        key = await unix.open_key(account(home.address, uri), Path("/nowhere"))
        try:
            await act(key)
        finally:
            await key.close()

    asyncio.run(run())


def test_it_signs(home: Home) -> None:
    async def act(key: OpenedKey) -> None:
        assert (key.jwk, key.algorithm, key.thumbprint) == (home.key.jwk, "ES256", home.key.thumbprint)
        assert key.uri == URI
        for _ in range(2):
            assert len(await key.sign(wanted(home, "www.example.com"))) == 64

    with home.serving():
        with_key(home, act)


def test_a_key_that_is_not_shown(home: Home) -> None:
    async def act(key: OpenedKey) -> None:
        assert (key.jwk, key.thumbprint, key.uri) == (None, home.key.thumbprint, URI)
        assert len(await key.sign(wanted(home, "www.example.com"))) == 64

    home.policy("hide-jwk = true\n")
    with home.serving():
        with_key(home, act, URI)
        with pytest.raises(Unavailable, match="give it uri = "):
            with_key(home, act)


def test_what_its_policy_refuses(home: Home) -> None:
    async def act(key: OpenedKey) -> None:
        with pytest.raises(
            Unavailable,
            match="it does not sign this: who listens there has closed the connection, and its log says why",
        ):
            await key.sign(wanted(home, "bank.example.com"))

    with home.serving():
        with_key(home, act)
    assert (home.path / "log").read_text().count("Refused") == 1


def test_it_is_started_again(home: Home) -> None:
    async def act(key: OpenedKey) -> None:
        process.kill()
        process.wait()
        with pytest.raises(Unavailable, match="nobody listens there any more; remove it"):
            await key.sign(wanted(home, "www.example.com"))
        home.address.unlink()
        with pytest.raises(Unavailable, match="there is no such socket; start acme-keyd --socket"):
            await key.sign(wanted(home, "www.example.com"))
        with home.serving():
            assert len(await key.sign(wanted(home, "www.example.com"))) == 64
        home.address.unlink()
        home.write("account.key", pem(new_key().private))
        with home.serving(), pytest.raises(Unavailable, match="another key now than before"):
            await key.sign(wanted(home, "www.example.com"))

    with home.serving() as process:
        with_key(home, act)


@pytest.fixture
def far(own_path: Path) -> Iterator[Path]:
    """A directory with far.sock, where root listens."""
    (own_path / "far").mkdir(mode=0o755)
    with listening(own_path / "far"):
        yield own_path / "far"


@contextlib.contextmanager
def listening(directory: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "far.sock"))
        (directory / "far.sock").chmod(0o600)
        listener.listen()
        yield


def fault(path: Path) -> str:
    """Why it is not connected to, or an empty string."""

    async def run() -> str:
        try:
            link = await unix.connect(str(path))
        except Unavailable as error:
            return str(error)
        await link.close()
        return ""

    return asyncio.run(run())


def give(user: int, *paths: Path) -> None:
    for path in paths:
        os.chown(path, user, -1, follow_symlinks=False)


def test_directories_that_others_may_write(far: Path) -> None:
    """Not even where a sticky bit has each name belong to who came first; also above the socket's own."""
    assert fault(far / "far.sock") == ""
    for directory, mode in ((far, 0o775), (far, 0o757), (far, 0o1777), (far.parent, 0o1777)):
        before = directory.stat().st_mode
        directory.chmod(mode)
        for path in (far / "far.sock", far / "missing.sock"):
            assert f"{directory} may be written by others, who could put another socket there" in fault(path)
        directory.chmod(before)
    assert fault(far / "far.sock") == ""


def test_a_link_into_such_a_directory(far: Path) -> None:
    for target in (far / "far.sock", Path("../far/far.sock")):
        (far / "link.sock").unlink(missing_ok=True)
        (far / "link.sock").symlink_to(target)
        assert fault(far / "link.sock") == ""
        (far.parent / "link").unlink(missing_ok=True)
        (far.parent / "link").symlink_to(far)
        assert fault(far.parent / "link" / "far.sock") == ""
    open_to_all = far.parent / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o1777)
    (far / "other.sock").symlink_to(open_to_all / "other.sock")
    with listening(open_to_all):
        (open_to_all / "far.sock").rename(open_to_all / "other.sock")
        assert f"{open_to_all} may be written by others" in fault(far / "other.sock")
    (far / "loop").symlink_to("loop")
    assert "Too many levels of symbolic links" in fault(far / "loop")


def test_a_socket_that_others_may_connect_to(far: Path) -> None:
    for mode in (0o620, 0o602, 0o666):
        (far / "far.sock").chmod(mode)
        assert f"others may connect to {far}/far.sock: chmod 600 {far}/far.sock" in fault(far / "far.sock")


def test_what_is_no_socket(far: Path) -> None:
    (far / "file").write_text("")
    assert fault(far / "file") == f"{far}/file is not a socket"
    assert fault(far) == f"{far} is not a socket"


@as_root
def test_whose_directories_they_are(far: Path) -> None:
    """Root's, and then one user's, whose is the socket too."""
    give(4711, far)
    assert f"{far}/far.sock belongs to user 0, but user 4711, whose directory it is in," in fault(far / "far.sock")
    (far / "deeper").mkdir()
    with listening(far / "deeper"):
        assert "but user 4711, whose directory it is in, could put" in fault(far / "deeper" / "far.sock")
    give(4712, far / "deeper")
    said = fault(far / "deeper" / "far.sock")
    assert said == f"{far}/deeper belongs to user 4712, and a directory above it to user 4711"


LISTEN = """
import os, socket, sys
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    os.chmod(sys.argv[1], 0o600)
    os.setuid(int(sys.argv[2]))
    listener.listen()
    print(flush=True)
    sys.stdin.read()
"""


@as_root
@pytest.mark.parametrize(("owner", "listens", "trusted"), [(4711, 4711, True), (4711, 0, True), (4711, 4712, False)])
def test_who_listens(own_path: Path, owner: int, listens: int, trusted: bool) -> None:
    """The socket's owner, or root for a unit; nobody else, even behind a socket that was given away."""
    path = own_path / "far.sock"
    words = [sys.executable, "-c", LISTEN, str(path), str(listens)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        give(owner, path)
        assert fault(path) == ("" if trusted else "user 4712 listens there, but the socket belongs to user 4711")
        process.communicate()


def test_one_client_at_a_time(own_path: Path) -> None:
    """As lacme-accountd has it: nobody's connection is kept, so the other's is served."""
    key, busy = new_key(), asyncio.Lock()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with busy:
            writer.write(greeting(key))
            if await reader.readline():
                writer.write(signed(key))
                await reader.read()

    async def run() -> None:
        async with far_end(own_path, play) as socket:
            first, second = [await unix.open_key(account(socket), own_path) for _ in range(2)]
            for one in (first, second, first):
                assert len(await one.sign(INPUT)) == 64

    asyncio.run(run())
