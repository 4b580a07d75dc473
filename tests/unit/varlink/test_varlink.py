# SPDX-License-Identifier: LGPL-2.1-or-later
"""Server and client against each other and against hostile bytes, over real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from acmed import daemon
from acmed.varlink import Call, Client, ConnectionLost, Service, VarlinkError, idl, load, more, wire

INTERFACE = idl.parse(
    """\
# A test.
interface org.example.Test
type Point (x: int, y: ?int)
method Echo(text: string, points: []Point, table: [string]bool, free: object) -> (text: string)
method Count(to: int) -> (number: int)
method Fail() -> ()
method Miss() -> ()
method Break() -> ()
method Lie() -> (number: int)
method Stay() -> ()
error Refused (reason: string)
error Missing (name: string, method: string, timeout: int, self: string)
"""
)


# Words that the functions on the way have for something of their own.
MISSING: dict[str, Any] = {"name": "n", "method": "m", "timeout": 1, "self": "s"}


class Handlers:
    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.staying = asyncio.Event()
        self.echoed: list[str] = []

    async def echo(self, _: Call, text: str, points: list[Any], table: dict[str, bool], free: Any) -> dict[str, Any]:
        self.echoed.append(text)
        return {"text": text}

    @more
    async def count(self, _: Call, to: int, progress: Callable[[dict[str, Any]], Awaitable[None]]) -> dict[str, Any]:
        for number in range(to):
            await progress({"number": number})
        return {"number": to}

    async def fail(self, _: Call) -> dict[str, Any]:
        raise VarlinkError("org.example.Test.Refused", reason="because")

    async def miss(self, _: Call) -> dict[str, Any]:
        raise VarlinkError("org.example.Test.Missing", **MISSING)

    async def break_(self, _: Call) -> dict[str, Any]:
        raise RuntimeError("a secret")

    async def lie(self, _: Call) -> dict[str, Any]:
        return {"number": "three"}

    @more
    async def stay(self, _: Call, progress: Any) -> dict[str, Any]:
        self.staying.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return {}


setattr(Handlers, "break", Handlers.break_)


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[tuple[Client, Path, Handlers]]:
    path = directory / "socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(64)
    listener.setblocking(False)
    handlers = Handlers()
    service = Service(INTERFACE, handlers)
    asyncio.get_running_loop().add_reader(listener, service.accept, listener)
    try:
        yield Client(INTERFACE, path), path, handlers
    finally:
        asyncio.get_running_loop().remove_reader(listener)
        listener.close()


def with_server(directory: Path, test: Callable[[Client, Path, Handlers], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), serving(directory) as (client, path, handlers):
            await test(client, path, handlers)

    asyncio.run(run())


def connected(path: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.setblocking(False)
    peer.connect(str(path))
    return peer


ECHO: dict[str, Any] = {
    "text": "ä\0",
    "points": [{"x": 1}, {"x": 2, "y": None}],
    "table": {"a": True},
    "free": {"b": 1},
}


def test_calls_are_answered(tmp_path: Path) -> None:
    async def test(client: Client, _path: Path, _handlers: Handlers) -> None:
        assert await client.call("Echo", timeout=5, **ECHO) == {"text": "ä\0"}
        assert [reply["number"] async for reply in client.call_more("Count", timeout=5, to=3)] == [0, 1, 2, 3]
        assert await client.call("Count", timeout=5, to=3) == {"number": 3}

    with_server(tmp_path, test)


@pytest.mark.parametrize(
    ("method", "parameters", "error", "details"),
    [
        ("Fail", {}, "org.example.Test.Refused", {"reason": "because"}),
        ("Miss", {}, "org.example.Test.Missing", MISSING),
        ("Break", {}, "org.acmed.InternalError", {}),
        ("Lie", {}, "org.acmed.InternalError", {}),
        ("Echo", {}, "org.varlink.service.InvalidParameter", {"parameter": "text"}),
        ("Echo", ECHO | {"points": [{"x": "1"}]}, "org.varlink.service.InvalidParameter", {"parameter": "points[0].x"}),
        (
            "Echo",
            ECHO | {"points": [{"x": True}]},
            "org.varlink.service.InvalidParameter",
            {"parameter": "points[0].x"},
        ),
        ("Echo", ECHO | {"table": {"k": 1}}, "org.varlink.service.InvalidParameter", {"parameter": "table.k"}),
        ("Echo", ECHO | {"more": 1}, "org.varlink.service.InvalidParameter", {"parameter": "more"}),
    ],
)
def test_errors(tmp_path: Path, method: str, parameters: dict[str, Any], error: str, details: dict[str, Any]) -> None:
    async def test(client: Client, _path: Path, _handlers: Handlers) -> None:
        with pytest.raises(VarlinkError) as caught:
            await client.call(method, timeout=5, **parameters)
        assert (caught.value.name, caught.value.parameters) == (error, details)

    with_server(tmp_path, test)


@pytest.mark.parametrize(
    "frame",
    [
        b"\0",
        b"{}\0",
        b"[]\0",
        b"nonsense\0",
        b"\xff\xfe\0",
        b'{"method": 1}\0',
        b'{"method": "x"}\0',
        b'{"method": "org.example.Test.Nothing"}\0',
        b'{"method": "org.example.Other.Echo"}\0',
        b'{"method": "org.example.Test.Echo", "parameters": []}\0',
        b'{"method": "org.example.Test.Echo", "parameters": 7}\0',
        b'{"method": "org.varlink.service.GetInterfaceDescription", "parameters": {"interface": "x"}}\0',
        b"[" * 100_000 + b"\0",
        b"x" * (wire.MAX_FRAME + 10),
        b"half a message",
    ],
)
def test_hostile_bytes_end_one_connection_and_nothing_else(tmp_path: Path, frame: bytes) -> None:
    async def test(client: Client, path: Path, _handlers: Handlers) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(frame)
        writer.write_eof()
        answer = await reader.read()
        if answer:
            assert json.loads(answer.rstrip(b"\0"))["error"].startswith("org.varlink.service.")
        writer.close()
        assert await client.call("Count", timeout=5, to=0) == {"number": 0}

    with_server(tmp_path, test)


def test_the_service_interface_describes_itself(tmp_path: Path) -> None:
    async def test(_client: Client, path: Path, _handlers: Handlers) -> None:
        with connected(path) as peer:
            connection = wire.Connection(peer)
            for method, parameters in (("GetInfo", {}), ("GetInterfaceDescription", {"interface": INTERFACE.name})):
                await connection.send({"method": f"org.varlink.service.{method}", "parameters": parameters})
                answer = await connection.receive()
                assert answer and (
                    "interfaces" in answer["parameters"] or answer["parameters"]["description"] == INTERFACE.text
                )

    with_server(tmp_path, test)


def test_a_caller_with_much_to_say_lets_others_have_their_turn(tmp_path: Path) -> None:
    async def test(_client: Client, path: Path, handlers: Handlers) -> None:
        def frame(text: str) -> bytes:
            return json.dumps({"method": "org.example.Test.Echo", "parameters": ECHO | {"text": text}}).encode() + b"\0"

        with connected(path) as talkative, connected(path) as other:
            talkative.sendall(b"".join(frame("much") for _ in range(200)))
            other.sendall(frame("other"))
            while len(handlers.echoed) < 201:
                await asyncio.sleep(0)
        assert handlers.echoed.index("other") < 10

    with_server(tmp_path, test)


def test_a_peer_that_takes_nothing_ends_a_call_in_time(tmp_path: Path) -> None:
    """Its socket's buffer is full before all is sent."""
    parameters = ECHO | {"text": "x" * 8_000_000}

    async def run() -> None:
        path = tmp_path / "socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            client = Client(INTERFACE, path)
            with pytest.raises(TimeoutError):
                await client.call("Echo", timeout=0.1, **parameters)
            with pytest.raises(TimeoutError):
                await anext(client.call_more("Echo", timeout=0.1, **parameters))

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_long_call_ends_with_its_caller(tmp_path: Path) -> None:
    async def test(client: Client, _path: Path, handlers: Handlers) -> None:
        call = asyncio.ensure_future(client.call("Stay", timeout=60))
        await handlers.staying.wait()
        call.cancel()
        await handlers.cancelled.wait()

    with_server(tmp_path, test)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectionLost):
        asyncio.run(Client(INTERFACE, tmp_path / "nothing").call("Fail", timeout=5))


@pytest.mark.parametrize(
    "answer",
    [b"", b"x\0", b'{"parameters": []}\0', b'{"parameters": {"number": "x"}}\0', b'{"parameters": {}}\0', b"{"],
)
def test_wrong_answers_are_a_lost_connection(tmp_path: Path, answer: bytes) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_unix_server(serve, tmp_path / "socket"):
            with pytest.raises(ConnectionLost):
                await Client(INTERFACE, tmp_path / "socket").call("Count", timeout=5, to=1)

    asyncio.run(run())


def test_a_daemon_exits_idle_and_loses_no_call(tmp_path: Path) -> None:
    """The socket outlives the daemon, as with systemd: what one does not take, the next one does."""
    path = tmp_path / "socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(64)
    listener.setblocking(False)

    async def run() -> int:
        calls = [asyncio.ensure_future(Client(INTERFACE, path).call("Count", timeout=20, to=1)) for _ in range(30)]
        runs = 0
        while not all(call.done() for call in calls):
            runs += 1
            await daemon.serve({"test": Service(INTERFACE, Handlers())}, 0.001, {"test": listener})
        assert all(call.result() == {"number": 1} for call in calls)
        return runs

    assert asyncio.run(run()) >= 1


def test_a_daemon_without_its_socket_says_so() -> None:
    with pytest.raises(SystemExit, match="socket unit"):
        asyncio.run(daemon.serve({"test": Service(INTERFACE, Handlers())}, 1.0, {}))


def test_the_interface_files_parse_and_document_every_method() -> None:
    for name in ("Key", "KeyPermit", "Priv", "Client", "Verify"):
        interface = load(f"org.acmed.{name}")
        assert interface.methods
        lines = interface.text.splitlines()
        for index, line in enumerate(lines):
            if line.startswith(("type ", "interface ")):
                assert lines[index - 1].startswith("#"), line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "interface",
        "interface a.b method",
        "interface a.b method X() ->",
        "interface a.b $",
        "interface a.b foo X ()",
    ],
)
def test_broken_interface_files(text: str) -> None:
    with pytest.raises(idl.IdlError):
        idl.parse(text)
