# SPDX-License-Identifier: LGPL-2.1-or-later
"""HTTPS with a server that does what it likes."""

import asyncio
import os
import shutil
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acmed.clientd.ca.authority import Authorities
from acmed.clientd.ca.transport import Answer, Route, Transport
from acmed.clientd.errors import Unreachable
from acmed.clientd.limits import Limits
from acmed.clientd.notes import Notes
from acmed.config.model import Account, Deadlines
from tests.unit.clientd.https import Asked, HangUp, HttpsServer, Reply, make_certificate

LIMITS = Limits(connect=5, body=1000)
WITHIN = 20.0  # seconds


def fetch(certificate: Path, respond: Callable[[Asked], Reply], host: str = "localhost", **more: Any) -> Answer:
    async def whole() -> Answer:
        transport = Transport(more.get("limits", LIMITS))
        async with HttpsServer(certificate, respond) as server:
            url = f"https://{host}:{server.port}/path"
            route = Route(("https", host, server.port), more.get("ca_file", certificate), None)
            try:
                return await transport.exchange(route, "GET", url, {}, None, more.get("within", WITHIN))
            finally:
                transport.close()

    return asyncio.run(whole())


def test_an_answer(certificate: Path) -> None:
    seen: list[Asked] = []

    def respond(asked: Asked) -> Reply:
        seen.append(asked)
        return Reply(201, {"Content-Type": "Text/Plain; charset=utf-8", "X-Any": "1", "Retry-After": "5"}, b"hello")

    answer = fetch(certificate, respond)
    assert (answer.status, answer.content_type, answer.body, answer.retry_after) == (201, "text/plain", b"hello", 5)
    assert answer.headers["x-any"] == "1"
    assert seen[0].headers["user-agent"].startswith("acmed/")
    assert seen[0].headers["accept-language"] == "en"


def test_an_ip_address_as_host(certificate: Path) -> None:
    assert fetch(certificate, lambda _: Reply(body=b"hello"), host="127.0.0.1").body == b"hello"


@pytest.mark.parametrize(
    ("reply", "words", "lost"),
    [
        (HangUp(), "closed", True),
        (Reply(body=b"x" * 500, cut=100), "100 bytes", True),
        (Reply(body=b"x" * 1001), "more than 1000 bytes", False),
        (Reply(body=b"x" * 300, endless=True), "more than 1000 bytes", False),
        (Reply(headers={"Content-Encoding": "gzip"}, body=b"x" * 1001), "more than 1000 bytes", False),
    ],
)
def test_an_answer_that_is_none(certificate: Path, reply: Reply, words: str, lost: bool) -> None:
    with pytest.raises(Unreachable, match=words) as caught:
        fetch(certificate, lambda _: reply)
    assert caught.value.lost is lost
    assert "https://localhost" in caught.value.parameters["url"]
    assert caught.value.parameters["message"]
    assert "object at 0x" not in str(caught.value)


def test_compressed_bodies_are_not_unpacked(certificate: Path) -> None:
    reply = Reply(headers={"Content-Encoding": "gzip"}, body=b"as it is")
    assert fetch(certificate, lambda _: reply).body == b"as it is"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(certificate: Path, status: int) -> None:
    seen: list[str] = []

    def respond(asked: Asked) -> Reply:
        seen.append(asked.path)
        return Reply(status, {"Location": "/elsewhere"})

    assert fetch(certificate, respond).status == status
    assert seen == ["/path"]


def test_a_server_of_another_name(tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "other.example")
    for host in ("localhost", "127.0.0.1"):
        with pytest.raises(Unreachable, match="not trusted") as caught:
            fetch(other, lambda _: Reply(), host=host)
        assert not caught.value.lost


@pytest.mark.parametrize("ca_file", [True, False])
def test_a_server_that_nobody_vouches_for(certificate: Path, tmp_path: Path, ca_file: bool) -> None:
    other = make_certificate(tmp_path, "localhost", "127.0.0.1")
    for host in ("localhost", "127.0.0.1"):
        with pytest.raises(Unreachable, match="not trusted") as caught:
            fetch(other, lambda _: Reply(), host=host, ca_file=certificate if ca_file else None)
        assert not caught.value.lost


@pytest.mark.parametrize("content", [b"", b"no certificate", None])
def test_a_ca_file_that_is_none(certificate: Path, tmp_path: Path, content: bytes | None) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_bytes(content)
    with pytest.raises(Unreachable, match=r"the CA file .*/ca\.pem cannot be used") as caught:
        fetch(certificate, lambda _: Reply(), ca_file=ca_file)
    assert not caught.value.lost


def test_nobody_listens(certificate: Path) -> None:
    async def whole() -> None:
        async with HttpsServer(certificate, lambda _: Reply()) as server:
            port = server.port
        route = Route(("https", "localhost", port), certificate, None)
        await Transport(LIMITS).exchange(route, "GET", f"https://localhost:{port}/", {}, None, WITHIN)

    with pytest.raises(Unreachable, match="Connection refused") as caught:
        asyncio.run(whole())
    assert caught.value.lost


def test_a_host_that_does_not_exist(certificate: Path) -> None:
    route = Route(("https", "ca.invalid", 443), certificate, None)
    with pytest.raises(Unreachable, match=r"ca\.invalid") as caught:
        asyncio.run(Transport(LIMITS).exchange(route, "GET", "https://ca.invalid/", {}, None, WITHIN))
    assert "object at 0x" not in str(caught.value)


def test_an_answer_that_drips(certificate: Path) -> None:
    """Each piece comes in time, and the whole never does."""
    with pytest.raises(Unreachable, match=r"within 0\.2 s|does not end") as caught:
        fetch(
            certificate,
            lambda _: Reply(body=b"x", endless=True),
            limits=Limits(body=10**12),
            within=0.2,
        )
    assert caught.value.lost


def test_a_new_ca_file_is_used_at_once(tmp_path: Path) -> None:
    """An account is added again with another bundle while the daemon runs."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (make_certificate(tmp_path / name, "localhost") for name in ("a", "b"))
    bundle = tmp_path / "bundle.pem"

    async def whole() -> list[str]:
        results = []
        transport = Transport(LIMITS)
        async with HttpsServer(second, lambda _: Reply(body=b"hello")) as server:
            route = Route(("https", "localhost", server.port), bundle, None)
            for moment, source in enumerate((first, second)):
                shutil.copy(source, bundle)
                os.utime(bundle, (moment, moment))
                try:
                    answer = await transport.exchange(
                        route, "GET", f"https://localhost:{server.port}/", {}, None, WITHIN
                    )
                    results.append(answer.body.decode())
                except Unreachable as error:
                    results.append(str(error.parameters["message"]).partition(":")[0])
        return results

    assert asyncio.run(whole()) == ["the server's certificate is not trusted", "hello"]


@pytest.mark.parametrize("year", [2020, 2150])
def test_a_certificate_of_another_time_hints_at_the_clock(tmp_path: Path, year: int) -> None:
    path = make_certificate(tmp_path, "localhost", year=year, days=1)

    async def refusal() -> str:
        async with HttpsServer(path, lambda _: Reply()) as server:
            route = Route(("https", "localhost", server.port), path, None)
            with pytest.raises(Unreachable) as caught:
                await Transport(LIMITS).exchange(route, "GET", f"https://localhost:{server.port}/", {}, None, WITHIN)
            return str(caught.value.parameters["message"])

    assert asyncio.run(refusal()).endswith("; is this host's clock right?")


def test_connections_are_used_again(certificate: Path) -> None:
    async def whole() -> int:
        transport = Transport(LIMITS)
        async with HttpsServer(certificate, lambda _: Reply(body=b"hello")) as server:
            route = Route(("https", "localhost", server.port), certificate, None)
            for _ in range(5):
                await transport.exchange(route, "GET", f"https://localhost:{server.port}/", {}, None, WITHIN)
            return server.connections

    assert asyncio.run(whole()) == 1


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def tunnel(port: int, targets: list[str]) -> Serve:
    """An HTTP proxy that knows CONNECT, and leads to port whatever it is asked for."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        targets.append(head.split("\r\n")[0])
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer), return_exceptions=True)

    return serve


def test_through_a_proxy(certificate: Path) -> None:
    targets: list[str] = []

    async def whole() -> bytes:
        transport = Transport(LIMITS)
        async with HttpsServer(certificate, lambda _: Reply(body=b"hello")) as server:
            proxy = await asyncio.start_server(tunnel(server.port, targets), "127.0.0.1", 0)
            address = proxy.sockets[0].getsockname()
            route = Route(("https", "localhost", 4711), certificate, f"http://127.0.0.1:{address[1]}")
            answer = await transport.exchange(route, "GET", "https://localhost:4711/", {}, None, WITHIN)
            proxy.close()
            return answer.body

    assert asyncio.run(whole()) == b"hello"
    assert [target.rpartition(" ")[0] for target in targets] == ["CONNECT localhost:4711"]


def test_a_proxy_that_is_not_there(certificate: Path) -> None:
    route = Route(("https", "localhost", 4711), certificate, "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match=r"the proxy http://127\.0\.0\.1:1: Connection refused") as caught:
        asyncio.run(Transport(LIMITS).exchange(route, "GET", "https://localhost:4711/", {}, None, WITHIN))
    assert caught.value.lost


def test_accounts_share_what_they_can(tmp_path: Path, certificate: Path) -> None:
    """Nonces and directory, but not where a request may take longer."""
    authorities = Authorities(Transport(LIMITS), LIMITS, Notes(tmp_path))
    account = Account("a", "https://ca.example/directory", (), None, certificate)
    assert authorities.of(account) is authorities.of(replace(account, name="b", uri="https://ca.example/1"))
    assert authorities.of(account) is not authorities.of(replace(account, deadlines=Deadlines(request=5)))
    assert authorities.of(account) is not authorities.of(replace(account, proxy="http://localhost:1"))


def test_the_ca_file_stands_alone(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's urllib3 loads the system's certificates into any context that it is not told to leave alone."""
    load, loaded = ssl.SSLContext.load_verify_locations, list[Any]()

    def note(context: ssl.SSLContext, *files: Any) -> None:
        loaded.append(files[0])
        load(context, *files)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", note)
    assert fetch(certificate, lambda _: Reply(body=b"hello")).body == b"hello"
    assert loaded == [certificate]
