# SPDX-License-Identifier: LGPL-2.1-or-later
"""The responder on real sockets, with well-behaved and with hostile peers. None waits for a time to pass."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from acmed import strangers
from acmed.http01.responder import Responder
from tests.unit.strangers import Served, reset_at_its_end, serve

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
CONTENT = b"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"
PATH = f"/.well-known/acme-challenge/{TOKEN}"
GET = f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def run(directory: Path, scenario: Callable[[Served], Awaitable[None]]) -> None:
    (directory / TOKEN).write_bytes(CONTENT)
    serve(Served(Responder(directory)), scenario)


def split(response: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, content = response.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), content


def is_answer(response: bytes) -> bool:
    return response.startswith(b"HTTP/1.1 200 OK\r\n") and response.endswith(b"\r\n\r\n" + CONTENT)


def test_get_answers_with_the_file(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        status, fields, content = split(await served.ask(GET))
        assert (status, content) == ("HTTP/1.1 200 OK", CONTENT)
        assert fields.pop("Date").endswith(" GMT")
        assert fields == {
            "Content-Length": str(len(CONTENT)),
            "Content-Type": "application/octet-stream",
            "Connection": "close",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }

    run(tmp_path, scenario)


def test_head_answers_without_content(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        status, fields, content = split(await served.ask(GET.replace(b"GET", b"HEAD")))
        assert (status, fields["Content-Length"], content) == ("HTTP/1.1 200 OK", str(len(CONTENT)), b"")

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("request_", "status", "allow"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "404 Not Found", None),
        (b"GET " + PATH.encode() + b"?a HTTP/1.1\r\n\r\n", "404 Not Found", None),
        (b"GET " + PATH[:-1].encode() + b"B HTTP/1.1\r\n\r\n", "404 Not Found", None),
        (b"POST " + PATH.encode() + b" HTTP/1.1\r\n\r\n", "405 Method Not Allowed", "GET, HEAD"),
        (b"DELETE / HTTP/1.0\r\n\r\n", "405 Method Not Allowed", "GET, HEAD"),
        (b"what\r\n\r\n", "400 Bad Request", None),
    ],
)
def test_everything_else_is_refused_with_no_content(
    tmp_path: Path, request_: bytes, status: str, allow: str | None
) -> None:
    async def scenario(served: Served) -> None:
        line, fields, content = split(await served.ask(request_))
        assert (line, fields.get("Allow"), content) == (f"HTTP/1.1 {status}", allow, b"")
        assert fields["Content-Length"] == "0"
        assert fields["Connection"] == "close"

    run(tmp_path, scenario)


def test_unreadable_token_is_not_found_and_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = "b" * 43
    (tmp_path / name).symlink_to("/etc/shadow")

    async def scenario(served: Served) -> None:
        assert (await served.ask(GET.replace(TOKEN.encode(), name.encode()))).startswith(b"HTTP/1.1 404 ")

    run(tmp_path, scenario)
    assert f"{tmp_path}/{name}" in capfd.readouterr().err


def test_token_that_is_written_later_is_found(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        later = GET.replace(TOKEN.encode(), b"c" * 43)
        assert (await served.ask(later)).startswith(b"HTTP/1.1 404 ")
        (tmp_path / ("c" * 43)).write_bytes(CONTENT)
        assert is_answer(await served.ask(later))

    run(tmp_path, scenario)


def test_request_in_pieces(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        reader, writer = await served.connect()
        for byte in GET:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert is_answer(await reader.read())
        writer.close()

    run(tmp_path, scenario)


def test_half_closed_peer_has_its_answer(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        assert is_answer(await served.ask(GET, half_close=True))
        assert await served.ask(GET[:-2], half_close=True) == b""
        assert await served.ask(b"", half_close=True) == b""

    run(tmp_path, scenario)


def test_resets_cost_nothing(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        for request in (b"", GET[:20], GET):
            _, writer = await served.connect()
            writer.write(request)
            reset_at_its_end(writer)
            writer.transport.abort()
        assert is_answer(await served.ask(GET))

    run(tmp_path, scenario)


@pytest.mark.parametrize("line", [b"A" * 8192, b"GET /" + b"a" * 100_000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2000])
def test_long_head_is_cut_off(tmp_path: Path, line: bytes) -> None:
    async def scenario(served: Served) -> None:
        response = await served.ask(line)
        assert response == b"" or response.startswith(b"HTTP/1.1 400 ")
        assert is_answer(await served.ask(GET))

    run(tmp_path, scenario)


def test_longest_head_that_is_allowed(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        padded = GET[:-2] + b"X: " + b"x" * (8192 - len(GET) - 5) + b"\r\n\r\n"
        assert len(padded) == 8192
        assert is_answer(await served.ask(padded))

    run(tmp_path, scenario)


def test_many_at_once(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        responses = await asyncio.gather(*(served.ask(GET) for _ in range(400)))
        assert all(is_answer(response) for response in responses)

    run(tmp_path, scenario)


def test_silent_crowd_does_not_keep_anybody_out(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        crowd = [await served.connect() for _ in range(600)]
        assert is_answer(await served.ask(GET))
        first_reader, _ = crowd[0]
        assert await first_reader.read() == b""  # the oldest had to go
        last_reader, last_writer = crowd[-1]
        last_writer.write(GET)
        assert is_answer(await last_reader.read())
        for _, writer in crowd:
            writer.close()

    run(tmp_path, scenario)


def test_a_crowd_that_comes_at_once_is_cut_down_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where all are taken before any of those who are dropped is gone."""
    monkeypatch.setattr("acmed.http01.responder._MAX_CONNECTIONS", 20)

    async def main() -> None:
        responder = Responder(tmp_path)
        with bound(tmp_path) as listener, contextlib.ExitStack() as open_sockets:
            crowd = [open_sockets.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(30)]
            for peer in crowd:
                peer.connect(listener.getsockname())
                peer.setblocking(False)
            responder.accept(listener)
            for _ in range(10):  # a task that is cancelled ends, and then its connection
                await asyncio.sleep(0)
            assert [is_dropped(peer) for peer in crowd] == [True] * 10 + [False] * 20
        await responder.drain()

    asyncio.run(main())


def is_dropped(peer: socket.socket) -> bool:
    try:
        return peer.recv(1) == b""
    except BlockingIOError:
        return False


def test_a_connection_that_there_is_no_descriptor_for_waits(tmp_path: Path) -> None:
    """EMFILE of accept(2)."""

    async def main() -> None:
        responder = Responder(tmp_path)
        with bound(tmp_path) as listener, socket.socket(socket.AF_UNIX) as peer:
            peer.connect(listener.getsockname())
            with no_more_descriptors():
                responder.accept(listener)
            assert not responder.busy
            responder.accept(listener)
            assert responder.busy
        await responder.drain()

    asyncio.run(main())


@contextlib.contextmanager
def no_more_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def bound(directory: Path) -> Iterator[socket.socket]:
    """A socket that listens, and that nobody watches."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "sock"))
        listener.listen()
        listener.setblocking(False)
        yield listener


def test_slow_peer_is_dropped_at_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_DEADLINE", 0.05)

    async def scenario(served: Served) -> None:
        reader, writer = await served.connect()
        writer.write(GET[:-1])
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()

    run(tmp_path, scenario)


def test_drain_answers_who_asked_and_drops_who_did_not(tmp_path: Path) -> None:
    async def scenario(served: Served) -> None:
        silent, silent_writer = await served.connect()
        asking, asking_writer = await served.connect()
        while not served.responder.busy:
            await asyncio.sleep(0)
        asking_writer.write(GET)
        assert is_answer(await asking.read())
        await served.responder.drain()
        assert await silent.read() == b""
        silent_writer.close()
        asking_writer.close()

    run(tmp_path, scenario)


def test_each_token_is_logged_once_and_hostile_input_is_escaped(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acmed.journal._max_level", 7)

    async def scenario(served: Served) -> None:
        await served.ask(GET)
        await served.ask(GET)
        await served.ask(b"GET /\x1b[31m\xff HTTP/1.1\r\nforged\r\n\r\n")

    run(tmp_path, scenario)
    lines = capfd.readouterr().err.splitlines()
    assert sum("Answered the challenge" in line for line in lines) == 1
    assert "\x1b" not in "".join(lines)
    assert any(r"\x1b[31m\xff" in line for line in lines)
    assert not any("forged" in line for line in lines)


def test_unix_socket(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / TOKEN).write_bytes(CONTENT)
        responder = Responder(tmp_path)
        with bound(tmp_path) as listener:
            asyncio.get_running_loop().add_reader(listener, responder.accept, listener)
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "sock"))
            writer.write(GET)
            assert is_answer(await reader.read())
            writer.close()
            asyncio.get_running_loop().remove_reader(listener)

    asyncio.run(main())
