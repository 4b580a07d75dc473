# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a ClientHello asks for, with OpenSSL's own as they come, and with what strangers make of them."""

import ssl

import pytest

from acmed.alpn01.hello import Hello, NotHello, parse

NAME = "www.example.com"


def hello(name: str | None = NAME, protocols: tuple[str, ...] = ("acme-tls/1",)) -> bytes:
    """As OpenSSL sends it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
    return sent.read()


def in_records(data: bytes, size: int) -> bytes:
    """The same message in records of so many bytes."""
    message = data[5:]
    parts = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(data[:3] + len(part).to_bytes(2, "big") + part for part in parts)


def test_what_openssl_sends() -> None:
    assert parse(hello()) == Hello(NAME, (b"acme-tls/1",))
    assert parse(hello("WWW.Example.COM")) == Hello(NAME, (b"acme-tls/1",))
    assert parse(hello(protocols=("h2", "http/1.1"))) == Hello(NAME, (b"h2", b"http/1.1"))
    assert parse(hello(None, ())) == Hello("", ())


def test_in_pieces() -> None:
    whole = hello()
    for end in range(len(whole)):
        assert parse(whole[:end]) is None
    assert parse(whole + b"more") == parse(whole)


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_in_several_records(size: int) -> None:
    assert parse(in_records(hello(), size)) == Hello(NAME, (b"acme-tls/1",))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"G",
        b"\x16\x02\x00\x00\x05\x01\x00\x00\x01a",
        b"\x15\x03\x03\x00\x02\x02\x00",
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01a",  # a ServerHello
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",  # 16 MiB are to come
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01a",  # no room for a version
        b"\x16\x03\x01\x00\x00" * 4000,  # records without anything
    ],
)
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(NotHello):
        parse(data)


def test_lengths_that_lie() -> None:
    """Each byte changed in turn: read, or refused, and never anything else."""
    whole = bytearray(hello())
    for position in range(len(whole)):
        for value in (0, 1, 0x7F, 0xFF):
            changed = bytes(whole[:position]) + bytes([value]) + bytes(whole[position + 1 :])
            try:
                found = parse(changed)
            except NotHello:
                continue
            assert found is None or isinstance(found, Hello)


def test_a_name_that_is_no_text() -> None:
    changed = hello("a" * 15).replace(b"a" * 15, b"\xff\x00../../etc/pa")
    found = parse(changed)
    assert found is None or "\ufffd" in found.server_name
