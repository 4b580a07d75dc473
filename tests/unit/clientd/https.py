# SPDX-License-Identifier: LGPL-2.1-or-later
"""A web server on loopback, with TLS or without, that sends whatever it is told to, byte by byte if need be."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Asked:
    """A request. Header fields are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer. cut: only so many bytes of the body, then the end. endless: the body again and again. when: not before
    this is set.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    endless: bool = False
    when: asyncio.Event | None = None


@dataclass(frozen=True)
class HangUp(Reply):
    """No answer at all."""


def make_certificate(directory: Path, *names: str, year: int = 2020, days: int = 36500) -> Path:
    """A self-signed certificate, cert.pem, and its key, key.pem. Returns the former. It is valid from the year's begin
    on, for so many days.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a CA's web server")])
    begin = datetime.datetime(year, 1, 1)
    alternatives: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "key.pem").write_bytes(private)
    path = directory / "cert.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


@cache
def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


class HttpsServer:
    """Answers each request with what respond() returns. Without a certificate it is plain HTTP."""

    def __init__(self, certificate: Path | None, respond: Callable[[Asked], Reply]) -> None:
        self._context = _context(certificate) if certificate else None
        self._respond = respond
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0

    async def __aenter__(self) -> "HttpsServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. Returns whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, path, _ = request.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        reply = self._respond(Asked(method, path, headers, body))
        if isinstance(reply, HangUp):
            return False
        if reply.when:
            await reply.when.wait()
        size = "Transfer-Encoding: chunked" if reply.endless else f"Content-Length: {len(reply.body)}"
        fields = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        writer.write(f"HTTP/1.1 {reply.status} Whatever\r\n{fields}{size}\r\n\r\n".encode())
        while reply.endless:
            writer.write(f"{len(reply.body):x}\r\n".encode() + reply.body + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)
        if method != "HEAD":
            writer.write(reply.body[: reply.cut])
        await writer.drain()
        return reply.cut is None
