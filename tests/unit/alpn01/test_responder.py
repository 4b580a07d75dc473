# SPDX-License-Identifier: LGPL-2.1-or-later
"""Handshakes as a CA does them, and with strangers who do not."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509

from acmed import strangers
from acmed.alpn01.certificate import ACME_IDENTIFIER, proof
from acmed.alpn01.responder import Responder
from tests.unit.alpn01.test_hello import hello
from tests.unit.strangers import Served, reset_at_its_end, serve

NAME = "www.example.com"
AUTHORIZATION = f"{'t' * 43}.{'k' * 43}"
NO_PROTOCOL, NO_NAME, NO_HELLO = (bytes([21, 3, 3, 0, 2, 2, alert]) for alert in (120, 112, 50))


class Asked(Served):
    """A responder with one challenge."""

    async def validate(
        self,
        name: str | None = NAME,
        protocols: tuple[str, ...] = ("acme-tls/1",),
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> x509.Certificate:
        """A CA's handshake, and the certificate that is shown in it. Raises ssl.SSLError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        if protocols:
            context.set_alpn_protocols(protocols)
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(*self.address)
            await writer.start_tls(context, server_hostname=name)
            tls = writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "acme-tls/1"
            certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
            assert await reader.read() == b""
            writer.close()
        return certificate


def run(directory: Path, scenario: Callable[[Asked], Awaitable[None]]) -> None:
    (directory / NAME).write_text(f"{NAME} {AUTHORIZATION}")
    serve(Asked(Responder(directory)), scenario)


def shown(certificate: x509.Certificate) -> tuple[list[object], bytes]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    extension = certificate.extensions.get_extension_for_oid(ACME_IDENTIFIER).value
    assert isinstance(extension, x509.UnrecognizedExtension)
    return [name.value for name in names], extension.value


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_certificate_has_name_and_proof(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async def scenario(served: Asked) -> None:
        assert shown(await served.validate(version=version)) == ([NAME], proof(AUTHORIZATION))

    run(tmp_path, scenario)


def test_challenges_come_and_change_while_it_runs(tmp_path: Path) -> None:
    later, other = "mail.example.com", f"{'u' * 43}.{'k' * 43}"

    async def scenario(served: Asked) -> None:
        assert await served.ask(hello(later)) == NO_NAME
        (tmp_path / later).write_text(f"{later} {AUTHORIZATION}")
        assert shown(await served.validate(later)) == ([later], proof(AUTHORIZATION))
        (tmp_path / later).write_text(f"{later} {other}")
        assert shown(await served.validate(later)) == ([later], proof(other))
        (tmp_path / later).unlink()
        assert await served.ask(hello(later)) == NO_NAME

    run(tmp_path, scenario)


OTHERS = {
    "web": (hello(protocols=("h2", "http/1.1")), NO_PROTOCOL),
    "without-protocol": (hello(protocols=()), NO_PROTOCOL),
    "other-name-and-protocol": (hello("other.example.com", ("h2",)), NO_PROTOCOL),
    "other-name": (hello("other.example.com"), NO_NAME),
    "without-name": (hello(None), NO_NAME),
    "plain-http": (b"GET / HTTP/1.1\r\n\r\n", NO_HELLO),
    "noise": (b"\0" + os.urandom(64), NO_HELLO),
}


@pytest.mark.parametrize("other", OTHERS)
def test_others_get_an_alert_and_no_certificate(tmp_path: Path, other: str) -> None:
    data, answer = OTHERS[other]

    async def scenario(served: Asked) -> None:
        assert await served.ask(data) == answer

    run(tmp_path, scenario)


def test_the_alert_is_one_that_openssl_knows(tmp_path: Path) -> None:
    async def scenario(served: Asked) -> None:
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            await served.validate(protocols=("h2",))
        with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
            await served.validate("other.example.com")

    run(tmp_path, scenario)


def test_protocols_beside_it_are_not_chosen(tmp_path: Path) -> None:
    async def scenario(served: Asked) -> None:
        assert shown(await served.validate(protocols=("h2", "acme-tls/1")))[0] == [NAME]

    run(tmp_path, scenario)


def test_a_file_that_is_not_acmeds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "odd.example.com").write_text(f"{NAME} {AUTHORIZATION}")

    async def scenario(served: Asked) -> None:
        assert await served.ask(hello("odd.example.com")) == NO_NAME

    run(tmp_path, scenario)
    assert f"{tmp_path}/odd.example.com" in capfd.readouterr().err


def test_without_room_for_a_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(served: Asked) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("tempfile.tempdir", str(tmp_path / "gone"))
            assert await served.ask(hello()) == bytes([21, 3, 3, 0, 2, 2, 80])
        assert shown(await served.validate())[0] == [NAME]

    run(tmp_path, scenario)


def test_in_pieces(tmp_path: Path) -> None:
    async def scenario(served: Asked) -> None:
        reader, writer = await served.connect()
        for byte in hello():
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await reader.readexactly(1))[0] == 22  # a ServerHello
        writer.close()

    run(tmp_path, scenario)


def test_peers_that_go_away(tmp_path: Path) -> None:
    async def scenario(served: Asked) -> None:
        for data in (b"", hello()[:20], hello(), hello() + b"\x14\x03\x03\x00\x01\x01" * 3):
            _, writer = await served.connect()
            writer.write(data)
            reset_at_its_end(writer)
            writer.transport.abort()
            await served.ask(data, half_close=True)
        assert shown(await served.validate())[0] == [NAME]

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    "garbage",
    [b"\x17\x03\x03\x40\x00" + b"x" * 16384, b"\x16\x03\x03\x00\x00", b"A" * 30000],
    ids=["data", "empty", "noise"],
)
def test_garbage_in_the_middle_of_a_handshake(tmp_path: Path, garbage: bytes) -> None:
    async def scenario(served: Asked) -> None:
        await served.ask(hello() + garbage * 20)
        assert shown(await served.validate())[0] == [NAME]

    run(tmp_path, scenario)


def test_many_at_once(tmp_path: Path) -> None:
    async def scenario(served: Asked) -> None:
        certificates = await asyncio.gather(*(served.validate() for _ in range(100)))
        assert all(shown(certificate)[0] == [NAME] for certificate in certificates)

    run(tmp_path, scenario)


@pytest.mark.parametrize("data", [b"", hello()[:50], hello()], ids=["silent", "half", "hello"])
def test_slow_crowd_does_not_keep_anybody_out(tmp_path: Path, data: bytes) -> None:
    async def scenario(served: Asked) -> None:
        crowd = [await served.connect() for _ in range(300)]
        for _, writer in crowd:
            writer.write(data)
        assert shown(await served.validate())[0] == [NAME]
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(3):  # less than its deadline: the oldest had to go
                await crowd[0][0].read()
        for _, writer in crowd:
            writer.close()

    run(tmp_path, scenario)


def test_slow_peer_is_dropped_at_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "_DEADLINE", 0.2)

    async def scenario(served: Asked) -> None:
        for data in (b"", hello()[:-1], hello()):
            async with asyncio.timeout(20):
                reader, writer = await served.connect()
                writer.write(data)
                while await reader.read(65536):
                    pass
                writer.close()

    run(tmp_path, scenario)


def test_a_ca_that_goes_away_at_once_was_answered(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario(served: Asked) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        _, writer = await asyncio.open_connection(*served.address)
        reset_at_its_end(writer)
        await writer.start_tls(context, server_hostname=NAME)
        writer.transport.abort()

    run(tmp_path, scenario)
    assert "Answered the challenge" in capfd.readouterr().err


def test_each_challenge_is_logged_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario(served: Asked) -> None:
        for _ in range(2):
            await served.validate()

    run(tmp_path, scenario)
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "Answered" in line] == [
        f"acmed: Answered the challenge for {NAME}, asked for by 127.0.0.1"
    ]
