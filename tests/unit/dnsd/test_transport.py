# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers that answer nonsense, or as somebody else."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from acmed.dnsd import transport
from acmed.dnsd.transport import NoAnswer, Server, Transport, question
from tests.unit.dnsd.nameserver import ROOT, NameServer, name_of, serving
from tests.unit.dnsd.world import zone

ADDRESS = "127.0.0.53"


NONSENSE: list[Callable[[bytes], bytes]] = [
    lambda answer: b"",
    lambda answer: b"\0",
    lambda answer: answer[:20],
    lambda answer: answer + b"more",
    lambda answer: bytes([answer[0] ^ 1]) + answer[1:],  # another question's
    lambda answer: answer[:2] + bytes([answer[2] & 0x7F]) + answer[3:],  # a query
    lambda answer: answer[:2] + b"\xff" * (len(answer) - 2),
    lambda answer: answer[:12] + os.urandom(40),
    lambda answer: answer[:12] + b"\xc0\x0c" * 20,  # names that point to themselves
]


@dataclass
class Liar(NameServer):
    """What it has to say over TCP goes through stream; over UDP it says what datagram makes of its answer."""

    stream: Callable[[bytes], bytes] = lambda answer: answer
    datagram: Callable[[bytes], list[bytes]] = lambda answer: [answer]

    def answer(self, wire: bytes, over: str) -> bytes | None:
        answer = super().answer(wire, over)
        return self.stream(answer) if answer and over == "tcp" else answer

    def datagrams(self, wire: bytes) -> list[bytes]:
        return [said for answer in super().datagrams(wire) for said in self.datagram(answer)]


def ask(server: NameServer, timeout: float = 20) -> dns.message.Message:
    async def whole() -> dns.message.Message:
        async with serving({ADDRESS: server}) as port:
            query = question(name_of("example.test."), dns.rdatatype.NS, recursive=False)
            return await Transport().ask(Server(ADDRESS, port=port), query, timeout)

    return asyncio.run(whole())


def test_nonsense_over_udp_may_be_anybodys_and_is_ignored() -> None:
    liar = Liar([zone("example.test.")], datagram=lambda answer: [*(alter(answer) for alter in NONSENSE), answer])
    assert len(ask(liar).answer[0]) == 2
    assert [line.split()[0] for line in liar.asked] == ["udp"]


def test_after_nothing_but_nonsense_over_udp_tcp_is_tried() -> None:
    liar = Liar([zone("example.test.")], datagram=lambda answer: [alter(answer) for alter in NONSENSE])
    assert len(ask(liar, timeout=2).answer[0]) == 2


@pytest.mark.parametrize("alter", NONSENSE)
def test_nonsense_over_tcp_is_no_answer(alter: Callable[[bytes], bytes]) -> None:
    with pytest.raises(NoAnswer, match="gives an answer that is none|closes the connection"):
        ask(Liar([zone("example.test.")], truncating=True, stream=alter))


def test_a_lost_datagram_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_RESEND", 0.3)
    lost: list[bytes] = []

    def lose_the_first(answer: bytes) -> list[bytes]:
        lost.append(answer)
        return [answer] if len(lost) > 1 else []

    liar = Liar([zone("example.test.")], datagram=lose_the_first)
    assert ask(liar).answer
    assert [line.split()[0] for line in liar.asked] == ["udp", "udp"]


def test_a_server_without_edns_is_asked_without() -> None:
    """And where that does not please it either, that is its answer."""
    old = Liar([zone("example.test.")], without_edns=True, truncating=True)
    assert len(ask(old).answer[0]) == 2
    assert [line.split()[0] for line in old.asked] == ["udp", "udp", "tcp"]
    broken = Liar([zone("example.test.")], rcodes={ROOT: dns.rcode.FORMERR})
    assert ask(broken).rcode() == dns.rcode.FORMERR
    assert len(broken.asked) == 2
