# SPDX-License-Identifier: LGPL-2.1-or-later
"""One question or update to one name server: UDP, then TCP where that does not do (RFC 1035 section 4.2, RFC 7766).

Not dns.asyncquery: its UDP sockets are not connected, so that a server which is not there costs the whole time.
"""

import asyncio
import copy
import errno
import socket
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig

T = TypeVar("T")

TIMEOUT = 5.0  # seconds, for one answer
_RESEND = 1.0  # seconds, until a datagram is taken for lost
_LARGEST_DATAGRAM = 512  # bytes: larger updates go over TCP at once (RFC 2136 section 2.1)
_PAYLOAD = 1232  # bytes: what comes over UDP without fragments (https://www.dnsflagday.net/2020/)
_MOST_AT_ONCE = 64

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass(frozen=True, order=True)
class Server:
    """A name server at one of its addresses. name is empty where only the address is known."""

    address: str
    name: str = ""
    port: int = 53

    def __str__(self) -> str:
        port = "" if self.port == 53 else f" port {self.port}"
        return f"{self.name} ({self.address}{port})" if self.name else f"{self.address}{port}"

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET


class NoAnswer(Exception):
    """What happened in place of an answer, as the end of a sentence that begins with the server."""


class NoRoute(NoAnswer):
    """This host cannot send to that address, or to none of its family."""


class Transport:
    """Questions to any server. port: where those are that no configuration has another port for."""

    def __init__(self, port: int = 53) -> None:
        self.port = port
        self._sockets = asyncio.Semaphore(_MOST_AT_ONCE)

    async def ask(self, server: Server, query: dns.message.Message, timeout: float = TIMEOUT) -> dns.message.Message:
        """The answer, whatever it says; without EDNS where the server does not know that (RFC 6891 section 7). timeout:
        seconds, for all ways together.

        Raises NoAnswer, and dns.tsig.PeerError where the server takes the query's signature for none.
        """
        wire = query.to_wire()
        async with self._sockets:
            try:
                async with asyncio.timeout(timeout):
                    answer = await _exchange(server, query, wire, timeout / 2)
                    if answer.rcode() == dns.rcode.FORMERR and query.edns >= 0:
                        plain = _without_edns(query)
                        answer = await _exchange(server, plain, plain.to_wire(), timeout / 4)
                    return answer
            except TimeoutError:
                raise NoAnswer(f"gives no answer in {round(timeout, 1):g} s") from None
            except OSError as error:
                raise _no_answer(error) from error
            except dns.tsig.PeerError:
                raise
            except dns.exception.DNSException as error:
                raise NoAnswer(f"gives an answer that is none ({type(error).__name__})") from error


def question(name: dns.name.Name, kind: dns.rdatatype.RdataType, recursive: bool) -> dns.message.Message:
    """A question. recursive: to a resolver, not to one of the zone's own servers."""
    query = dns.message.make_query(name, kind, use_edns=0, payload=_PAYLOAD)
    if not recursive:
        query.flags &= ~dns.flags.RD
    return query


async def together(work: Iterable[Awaitable[T]]) -> list[T]:
    """All results, in order. Waits for all of it, and then raises the first exception."""
    results: list[T] = []
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        results.append(result)
    return results


async def _exchange(server: Server, query: dns.message.Message, wire: bytes, patience: float) -> dns.message.Message:
    """patience: seconds, for UDP alone."""
    return await _datagram(server, query, wire, patience) or await _stream(server, query, wire)


def _without_edns(query: dns.message.Message) -> dns.message.Message:
    plain = copy.copy(query)
    plain.use_edns(False)
    return plain


async def _datagram(
    server: Server, query: dns.message.Message, wire: bytes, timeout: float
) -> dns.message.Message | None:
    """The answer over UDP; None where only TCP may do. Raises NoRoute, and dns.tsig.PeerError."""
    with socket.socket(server.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as peer:
        try:
            peer.connect((server.address, server.port))
        except OSError as error:
            raise _no_answer(error) from error
        if len(wire) > _LARGEST_DATAGRAM:
            return None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    answer = await _sent(peer, query, wire)
                    if answer:
                        return None if answer.flags & dns.flags.TC else answer
        except (TimeoutError, ConnectionError):
            return None


async def _sent(peer: socket.socket, query: dns.message.Message, wire: bytes) -> dns.message.Message | None:
    """Sends the query and waits a little. A datagram that is no answer to it may be anybody's, and is ignored."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(peer, wire)
    try:
        async with asyncio.timeout(_RESEND):
            while True:
                received = await loop.sock_recv(peer, 65535)
                try:
                    return _read(query, received)
                except dns.tsig.PeerError:
                    raise
                except dns.exception.DNSException:
                    await asyncio.sleep(0)  # a flood of these would let nothing else run, not even the end of this
    except TimeoutError:
        return None


async def _stream(server: Server, query: dns.message.Message, wire: bytes) -> dns.message.Message:
    reader, writer = await asyncio.open_connection(server.address, server.port)
    try:
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()
        size = int.from_bytes(await reader.readexactly(2), "big")
        return _read(query, await reader.readexactly(size))
    except asyncio.IncompleteReadError as error:
        raise NoAnswer("closes the connection without an answer") from error
    finally:
        writer.close()


def _read(query: dns.message.Message, wire: bytes) -> dns.message.Message:
    """The answer, its signature verified where the query has one. Raises DNSException."""
    try:
        answer = dns.message.from_wire(wire, keyring=query.keyring, request_mac=query.mac or b"")
    except dns.exception.DNSException:
        raise
    except Exception as error:  # whatever the parser makes of a stranger's bytes
        raise dns.exception.FormError from error
    if not query.is_response(answer):
        raise dns.exception.FormError
    return answer


def _no_answer(error: OSError) -> NoAnswer:
    if error.errno in _NO_ROUTE:
        return NoRoute("cannot be reached from this host: it has no route there")
    if isinstance(error, ConnectionRefusedError):
        return NoAnswer("refuses connections: no name server there")
    return NoAnswer(f"gives no answer: {error.strerror or error}")
