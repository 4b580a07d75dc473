# SPDX-License-Identifier: LGPL-2.1-or-later
"""lacme's protocol with a far end that does not keep to it."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from acmed import base64url
from acmed.keyd.keys import Key, parse
from acmed.store import far
from acmed.store.opened import Unavailable
from tests.unit.keyd.rig import new_key, pem
from tests.unit.rsakeys import rsa_key
from tests.unit.store.farrig import INPUT, URI, far_end, greeting, opened, refusal, says, signed

KEY = new_key()
OTHER = new_key()
THUMBPRINTS = KEY.thumbprint.encode(), OTHER.thumbprint.encode()
KINDS = {
    "RS256": rsa_key(2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": Ed25519PrivateKey.generate(),
}


@pytest.mark.parametrize("algorithm", KINDS)
@pytest.mark.parametrize("hidden", [False, True])
def test_each_kind_of_key(own_path: Path, algorithm: str, hidden: bool) -> None:
    key = parse(pem(KINDS[algorithm]))

    async def run() -> None:
        async with far_end(own_path, says(greeting(key, {} if hidden else None, kid=URI), signed(key))) as socket:
            far_key = await opened(socket, URI)
            assert (far_key.algorithm, far_key.thumbprint, far_key.uri) == (algorithm, key.thumbprint, URI)
            assert far_key.jwk == (None if hidden else key.jwk)
            assert await far_key.sign(INPUT)
            await far_key.close()

    asyncio.run(run())


def test_the_greeting_of_an_old_server_is_about_rsa(own_path: Path) -> None:
    key = parse(pem(KINDS["RS256"]))
    about = greeting(key).replace(greeting(key).split(b"\r\n")[0], b"1 OK")

    async def run() -> None:
        async with far_end(own_path, says(about, signed(key))) as socket:
            far_key = await opened(socket)
            assert (far_key.algorithm, far_key.thumbprint, far_key.uri) == ("RS256", key.thumbprint, None)
            await far_key.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"", "has closed the connection, and its log says why"),
        (b"1 OK {", "has closed the connection, and its log says why"),
        (b"SSH-2.0-OpenSSH\r\n", "neither acme-keyd nor lacme-accountd: it says 'SSH-2.0-OpenSSH'"),
        (b"1 OK {}\n{}\r\n", "neither acme-keyd nor lacme-accountd"),
        (b"\x1b[2J\xff\r\n", r"it says '\x1b[2J\xff'"),
        (b"Z" * 80 + b"\r\n", f"it says '{'Z' * 60}…'"),
        (b"2 OK {}\r\n{}\r\n", "version 2"),
        (b"1 OK []\r\n{}\r\n", "its greeting is not a JSON object"),
        (b"1 OK {]\r\n{}\r\n", "its greeting is not JSON"),
        (b"1 OK " + b"[" * 60000 + b"\r\n{}\r\n", "its greeting is not JSON"),
        (b"1 OK {}\r\n[]\r\n", "the JWK that it shows is not a JSON object"),
        (b"1 OK {}\r\n{}\r\n", "neither its key nor the key's thumbprint"),
        (b'1 OK {"alg": "none"}\r\n{"kty": "oct"}\r\n', "neither an RSA, an ECDSA nor an Ed25519 key"),
        (b'1 OK {}\r\n{"kty": []}\r\n', "neither an RSA, an ECDSA nor an Ed25519 key"),
        (b"1 OK {}\r\n" + b"x" * 70000, "a line of more than 65536 bytes"),
        (greeting(KEY, alg="none"), "does not sign by any of RS256, ES256"),
        (greeting(KEY, alg=["ES256"]), "does not sign by any of RS256, ES256"),
        (greeting(KEY, alg="ES384"), "signs by ES384, but shows a key for ES256"),
        (greeting(KEY, alg=None), "signs by RS256, but shows a key for ES256"),
        (
            greeting(KEY).replace(*THUMBPRINTS),
            "thumbprint in its greeting is not that of the JWK",
        ),
        (greeting(KEY, kid=7), "the account's URL in its greeting is none"),
        (greeting(KEY, kid="https://ca.example/\x1b"), "the account's URL in its greeting is none"),
        (greeting(KEY, {}), "neither its key nor the account's URL"),
        (
            greeting(KEY, {}, kid=URI).replace(THUMBPRINTS[0], b"short"),
            "neither its key nor the key's thumbprint",
        ),
        (greeting(KEY, {}, kid=URI), f"give it uri = '{URI}'"),
    ],
    ids=itertools.count(),
)
def test_greetings(own_path: Path, first: bytes, reason: str) -> None:
    assert reason in refusal(own_path, says(first))


def changed(key: Key, **members: Any) -> bytes:
    return greeting(key, key.jwk | members)


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (changed(KEY, crv="secp256k1"), "on P-256, P-384 or P-521"),
        (changed(KEY, crv="P-384"), "numbers"),
        (changed(KEY, x=7), "its members are text"),
        (changed(KEY, x="!"), "it is no EC key"),
        (changed(KEY, y=KEY.jwk["x"]), "it is no EC key"),
        (changed(parse(pem(KINDS["RS256"])), n="AQAB"), "2048 to 4096 bits, not 17"),
        (changed(parse(pem(KINDS["RS256"])), e=""), "numbers"),
        (changed(parse(pem(KINDS["RS256"])), e="Ag"), "it is no RSA key"),
        (changed(parse(pem(KINDS["RS256"])), n=base64url.encode(b"\0" + b"\xff" * 256)), "numbers"),
        (changed(parse(pem(KINDS["EdDSA"])), x="AQAB"), "it is no OKP key"),
        (changed(parse(pem(KINDS["EdDSA"])), crv="Ed448"), "on Ed25519"),
    ],
)
def test_keys_that_are_none(own_path: Path, first: bytes, reason: str) -> None:
    assert reason in refusal(own_path, says(first))


def test_members_that_a_jwk_needs_not_have_are_left_out(own_path: Path) -> None:
    async def run() -> None:
        async with far_end(own_path, says(changed(KEY, use="sig", alg="HS256"), b"")) as socket:
            far_key = await opened(socket)
            assert far_key.jwk == KEY.jwk
            await far_key.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (signed(OTHER), "its signature is not of the key that it shows"),
        (signed(KEY, b"else"), "its signature is not of the key that it shows"),
        (signed(KEY)[:-2] + b"\n", "not a signature in base64url"),
        (b"!\r\n", "not a signature in base64url: '!'"),
        (b"\r\n", "its signature has 0 bytes, which is none by ES256"),
        (b"AAAA\r\n", "its signature has 3 bytes"),
        (base64url.encode(bytes(64)).encode() + b"\r\n", "its signature is not of the key that it shows"),
        (b"A" * 70000, "a line of more than 65536 bytes"),
    ],
    ids=["another-key", "another-input", "bare-lf", "no-base64url", "empty", "short", "zeros", "endless"],
)
def test_signatures(own_path: Path, answer: bytes, reason: str) -> None:
    assert reason in refusal(own_path, says(greeting(KEY), answer), sign=True)


def test_what_it_does_not_sign_is_asked_for_twice(own_path: Path) -> None:
    """The first connection may have broken."""
    closes = says(greeting(KEY), b"")
    assert "does not sign this" in refusal(own_path, closes, closes, says(greeting(KEY), signed(KEY)), sign=True)


@pytest.mark.parametrize("first", [says(greeting(KEY), b""), says(greeting(KEY), signed(KEY)[:20])])
def test_a_connection_that_broke_is_made_anew(own_path: Path, first: Any) -> None:
    async def run() -> None:
        async with far_end(own_path, first, says(greeting(KEY), signed(KEY))) as socket:
            far_key = await opened(socket)
            assert await far_key.sign(INPUT)
            await far_key.close()

    asyncio.run(run())


def test_another_key_behind_the_new_connection(own_path: Path) -> None:
    plays = says(greeting(KEY), b""), says(greeting(OTHER), signed(OTHER))
    assert "another key now than before" in refusal(own_path, *plays, sign=True)


def test_a_far_end_that_is_silent(own_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "_OPEN", 0.05)
    assert "does not answer within 0.05 s" in refusal(own_path, says(b"", stays=True))


def test_an_answer_that_never_comes_is_asked_for_again(own_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a connection that died unseen; and it must not be taken for the next one's."""
    monkeypatch.setattr(far, "_SIGN", 0.05)

    async def run() -> None:
        async with far_end(own_path, says(greeting(KEY), stays=True), says(greeting(KEY), signed(KEY))) as socket:
            far_key = await opened(socket)
            assert await far_key.sign(INPUT)
            await far_key.close()

    asyncio.run(run())


def test_nobody_listens(own_path: Path) -> None:
    async def run() -> str:
        with pytest.raises(Unavailable) as caught:
            await opened(own_path / "far.sock")
        return str(caught.value)

    assert "there is no such socket" in asyncio.run(run())


def test_answers_that_never_come(own_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "_SIGN", 0.05)
    assert "does not answer within 0.05 s" in refusal(own_path, says(greeting(KEY), stays=True), sign=True)
