# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys: the RFCs' own examples, each kind that is taken, and what is not."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from acmed import base64url
from acmed.keyd import credentials, jws
from acmed.keyd.keys import UnusableKey, parse
from tests.unit.keyd.rig import Keyd, header, new_key, pem, verify
from tests.unit.rsakeys import rsa_key


@pytest.mark.parametrize(
    ("private", "algorithm", "members"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256", {"crv", "kty", "x", "y"}),
        (ec.generate_private_key(ec.SECP384R1()), "ES384", {"crv", "kty", "x", "y"}),
        (ec.generate_private_key(ec.SECP521R1()), "ES512", {"crv", "kty", "x", "y"}),
        (rsa_key(2048), "RS256", {"e", "kty", "n"}),
        (Ed25519PrivateKey.generate(), "EdDSA", {"crv", "kty", "x"}),
    ],
)
def test_signatures_verify(tmp_path: Path, private: Any, algorithm: str, members: set[str]) -> None:
    key = parse(pem(private))
    assert (key.algorithm, set(key.jwk)) == (algorithm, members)
    answer = Keyd(tmp_path, key=key).sign(b"")
    assert header(answer)["alg"] == algorithm
    verify(answer, key)
    with pytest.raises(InvalidSignature):
        verify(answer | {"payload": "e30"}, key)


def test_a_key_can_follow_one_of_another_kind(tmp_path: Path) -> None:
    keyd = Keyd(tmp_path, key=parse(pem(rsa_key(2048))))
    keyd.next_key = parse(pem(Ed25519PrivateKey.generate()))
    keyd.restart()
    keyd.permit(keyd.permits.permit_key_change)
    outer = keyd.change_key()
    inner = json.loads(base64url.decode(outer["payload"]))
    assert (header(outer)["alg"], header(inner)["alg"]) == ("RS256", "EdDSA")
    verify(outer, keyd.key)
    verify(inner, keyd.next_key)


def encrypted() -> bytes:
    private = ec.generate_private_key(ec.SECP256R1())
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        encrypted(),
        pem(rsa_key(1024)),
        pem(ec.generate_private_key(ec.SECP256K1())),
        pem(ed448.Ed448PrivateKey.generate()),
        pem(dsa.generate_private_key(1024)),
        b"\xff\xfe",
    ],
)
def test_unusable_keys_are_named_without_their_bytes(data: bytes) -> None:
    with pytest.raises(UnusableKey) as caught:
        parse(data)
    assert "AAAA" not in str(caught.value)


def test_thumbprint_of_rfc_7638() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok"
        "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6"
        "qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awa"
        "pJzKnqDKgw"
    )
    assert jws.thumbprint({"e": "AQAB", "kty": "RSA", "n": n}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_ed25519_of_rfc_8037_appendix_a() -> None:
    """A.1 and A.2: the key; A.3: its thumbprint; A.4: a signature, which for Ed25519 is always the same one."""
    private = Ed25519PrivateKey.from_private_bytes(base64url.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
    key = parse(pem(private))
    assert key.jwk == {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert key.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    signature = base64url.encode(key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"))
    assert signature == "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"


def test_credentials_are_found_by_their_kind(tmp_path: Path) -> None:
    one, other, following = new_key(), new_key(), new_key()
    for name, key in (("account_one", one), ("account_next_one", other), ("next_one", following)):
        (tmp_path / name).write_bytes(pem(key.private))
    (tmp_path / "binding_one").write_text(f" {base64url.encode(bytes(32))}=\n")
    found = credentials.read(tmp_path)
    assert {name: key.jwk for name, key in found.keys.items()} == {"one": one.jwk, "next_one": other.jwk}
    assert {name: key.jwk for name, key in found.next_keys.items()} == {"one": following.jwk}
    assert found.bindings == {"one": bytes(32)}


def test_one_bad_credential_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "account_good").write_bytes(pem(new_key().private))
    for name in ("account_bad", "next_bad", "binding_bad"):
        (tmp_path / name).write_bytes(b"\xffsecret")
    found = credentials.read(tmp_path)
    assert (set(found.keys), set(found.next_keys), set(found.bindings)) == ({"good"}, set(), set())
    said = capsys.readouterr().err
    assert said.count("bad cannot be used") == 3
    assert "secret" not in said


def test_no_secret_is_shown_by_repr() -> None:
    key, secret = new_key(), base64.b64encode(b"secret" * 6)
    shown = repr(credentials.Credentials({"one": key}, {"one": key}, {"one": secret}))
    assert "PrivateKey" not in shown
    assert secret.decode() not in shown
