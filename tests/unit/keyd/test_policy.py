# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a taken-over acme-clientd may ask of acme-keyd, and what it gets (facts: lacme's signer gave it all)."""

import asyncio
import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from acmed.config import Account
from acmed.keyd import jws
from acmed.keyd.keys import Key, UnusableKey, parse
from acmed.keyd.permits import MAX_SIGNATURES, Permits
from acmed.keyd.service import KeyService, PermitService
from acmed.varlink import Call, VarlinkError

CA = "https://ca.example:14000"
URI = f"{CA}/acct/1"
PEER = Call(1, 2, 3)
NAMES = [{"type": "dns", "value": "www.example.com"}, {"type": "dns", "value": "example.com"}]
CSR = b"a certificate signing request"
DER = b"a certificate"


def pem(private: Any) -> bytes:
    return bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


class Keyd:
    """acme-keyd without its sockets."""

    def __init__(self, directory: Path, uri: str | None = URI, key: Key | None = None) -> None:
        self.accounts = {"default": Account("default", f"{CA}/dir", uri=uri)}
        self.key = key or parse(pem(ec.generate_private_key(ec.SECP256R1())))
        self.path = directory / "permits.json"
        self.restart()

    def restart(self) -> None:
        permits = Permits(self.path)
        self.service = KeyService(self.accounts, {"default": self.key}, permits)
        self.permit = PermitService(self.accounts, permits)

    def sign(
        self, payload: Any, url: str = f"{CA}/any", nonce: str = "bm9uY2U", account: str = "default"
    ) -> dict[str, Any]:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return asyncio.run(self.service.sign(PEER, account, url, nonce, jws.encode(body)))

    def refusal(self, payload: Any, url: str = f"{CA}/any", nonce: str = "bm9uY2U") -> str:
        with pytest.raises(VarlinkError) as caught:
            self.sign(payload, url, nonce)
        assert caught.value.name == "org.acmed.Key.NotPermitted"
        return str(caught.value.parameters["rule"])

    def permit_order(self, lifetime: int = 60) -> None:
        digest = hashlib.sha256(CSR).hexdigest()
        asyncio.run(self.permit.permit_order(PEER, "default", "www", NAMES, digest, lifetime))


@pytest.fixture
def keyd(tmp_path: Path) -> Keyd:
    return Keyd(tmp_path)


def finalize(csr: bytes = CSR) -> dict[str, str]:
    return {"csr": jws.encode(csr)}


def test_an_order_with_its_permit_is_signed_from_end_to_end(keyd: Keyd) -> None:
    keyd.permit_order()
    for payload in ({"identifiers": NAMES[::-1]}, b"", {}, finalize(), b""):
        answer = keyd.sign(payload)
        header = json.loads(jws.decode(answer["protected"]))
        assert header == {"alg": "ES256", "nonce": "bm9uY2U", "url": f"{CA}/any", "kid": URI}


@pytest.mark.parametrize(
    "payload",
    [
        {"identifiers": NAMES[:1]},
        {"identifiers": [*NAMES, {"type": "dns", "value": "bank.example.com"}]},
        {"identifiers": [{"type": "dns", "value": "bank.example.com"}]},
        {"identifiers": []},
        {"identifiers": NAMES, "notAfter": "2036-01-01T00:00:00Z"},
        {"identifiers": [{"type": "dns", "value": "example.com", "extra": 1}, NAMES[0]]},
        finalize(b"another CSR"),
        {"csr": jws.encode(CSR), "extra": 1},
        {"csr": base64.urlsafe_b64encode(CSR + b"\0\0").decode()},
        {"status": "deactivated"},
        {"contact": ["mailto:evil@example.org"]},
        {"termsOfServiceAgreed": True, "contact": []},
        {"termsOfServiceAgreed": True, "onlyReturnExisting": True},
        {"protected": "e30", "payload": "e30", "signature": "AA"},
        {"certificate": jws.encode(DER), "reason": 1},
        {"certificate": jws.encode(DER)},
        {"resource": "challenge"},
        [],
        "text",
        1,
        b"{",
        b"\xff",
        b'{"csr":"YQ","csr":"YQ"}',
        b"[" * 100_000,
    ],
)
def test_what_no_permit_is_for_is_refused(keyd: Keyd, payload: Any) -> None:
    keyd.permit_order()
    assert keyd.refusal(payload)


@pytest.mark.parametrize(
    "url",
    [
        URI,
        f"{URI}/",
        f"{CA}//acct/1",
        f"{CA}/acct/./1",
        f"{CA}/x/../acct/1",
        f"{CA}/%61cct/1",
        f"{CA}/ACCT/1",
        f"{URI}?x=1",
        f"{URI};x",
        "https://other.example:14000/any",
        "https://ca.example/any",
        "http://ca.example:14000/any",
        "https://ca.example:14000@other.example/any",
        "https://user@ca.example:14000/any",
        f"{CA}/any#fragment",
        f"{CA}/any\n",
        f"{CA}/ä",
        "https://ca.example:port/any",
        "https://[::1/any",
        "",
        f"{CA}/" + "a" * 4096,
    ],
)
@pytest.mark.parametrize("payload", [b"", {}, {"identifiers": NAMES}])
def test_urls_that_are_the_account_or_foreign_are_refused(keyd: Keyd, url: str, payload: Any) -> None:
    keyd.permit_order()
    assert keyd.refusal(payload, url)


@pytest.mark.parametrize("nonce", ["", "a b", "a\r\nb", "ä", "=", "a" * 513])
def test_a_nonce_is_base64url(keyd: Keyd, nonce: str) -> None:
    assert keyd.refusal(b"", nonce=nonce)


def test_padding_and_foreign_characters_are_no_payload(keyd: Keyd) -> None:
    for payload in ("e30=", "e3 0", "e30\n", "ä", "e31"):
        with pytest.raises(VarlinkError):
            asyncio.run(keyd.service.sign(PEER, "default", f"{CA}/any", "bm9uY2U", payload))


def test_a_permit_outlives_the_daemon_and_ends_in_time(keyd: Keyd, monkeypatch: pytest.MonkeyPatch) -> None:
    keyd.permit_order(lifetime=60)
    keyd.restart()
    keyd.sign(finalize())
    monkeypatch.setattr("acmed.keyd.permits.clock", lambda: 1e12)
    assert keyd.refusal(finalize())


def test_a_newer_permit_for_a_certificate_replaces_the_older(keyd: Keyd) -> None:
    keyd.permit_order()
    other = hashlib.sha256(b"another CSR").hexdigest()
    asyncio.run(keyd.permit.permit_order(PEER, "default", "www", NAMES, other, 60))
    keyd.sign(finalize(b"another CSR"))
    assert keyd.refusal(finalize())
    asyncio.run(keyd.permit.drop_order(PEER, "default", "www"))
    assert keyd.refusal(finalize(b"another CSR"))


def test_a_one_shot_permit_is_for_one_url_and_payload(keyd: Keyd) -> None:
    digest = hashlib.sha256(DER).hexdigest()
    asyncio.run(keyd.permit.permit_revoke(PEER, "default", digest, 1, 60))
    revocation = {"certificate": jws.encode(DER), "reason": 1}
    assert keyd.refusal(revocation | {"reason": 4})
    assert keyd.refusal(revocation | {"reason": True})
    for _ in range(MAX_SIGNATURES):  # badNonce: the same again
        keyd.sign(revocation, f"{CA}/revoke")
    assert keyd.refusal(revocation, f"{CA}/revoke")
    asyncio.run(keyd.permit.permit_revoke(PEER, "default", digest, 1, 60))
    keyd.sign(revocation, f"{CA}/revoke")
    assert keyd.refusal(revocation, f"{CA}/elsewhere")


def test_new_account_takes_the_key_and_everything_else_the_account_url(tmp_path: Path) -> None:
    keyd = Keyd(tmp_path, uri=None)
    assert keyd.refusal(b"")
    contact = ["mailto:admin@example.com"]
    asyncio.run(keyd.permit.permit_new_account(PEER, "default", contact, 60))
    answer = keyd.sign({"termsOfServiceAgreed": True, "contact": contact})
    header = json.loads(jws.decode(answer["protected"]))
    assert header["jwk"] == keyd.key.jwk
    assert "kid" not in header
    assert keyd.refusal({"termsOfServiceAgreed": True, "contact": ["mailto:evil@example.org"]})
    assert keyd.refusal(b"")


@pytest.mark.parametrize(
    ("account", "names", "digest", "lifetime"),
    [
        ("nobody", NAMES, "0" * 64, 60),
        ("default", [], "0" * 64, 60),
        ("default", NAMES, "0", 60),
        ("default", NAMES, "0" * 64, 0),
        ("default", NAMES, "0" * 64, 10**9),
    ],
)
def test_bad_permits(keyd: Keyd, account: str, names: Any, digest: str, lifetime: int) -> None:
    with pytest.raises(VarlinkError):
        asyncio.run(keyd.permit.permit_order(PEER, account, "www", names, digest, lifetime))


def test_permits_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    for text in ("", "{", "[1]", '[{"kind": "order"}]', "{}", "null"):
        (tmp_path / "permits.json").write_text(text)
        assert Keyd(tmp_path).refusal(finalize())


@pytest.mark.parametrize(
    ("private", "algorithm", "members"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256", {"crv", "kty", "x", "y"}),
        (ec.generate_private_key(ec.SECP384R1()), "ES384", {"crv", "kty", "x", "y"}),
        (rsa.generate_private_key(65537, 2048), "RS256", {"e", "kty", "n"}),
    ],
)
def test_signatures_verify(tmp_path: Path, private: Any, algorithm: str, members: set[str]) -> None:
    key = parse(pem(private))
    assert (key.algorithm, set(key.jwk)) == (algorithm, members)
    answer = Keyd(tmp_path, key=key).sign(b"")
    signature, data = jws.decode(answer["signature"]), f"{answer['protected']}.{answer['payload']}".encode()
    if algorithm == "RS256":
        private.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        return
    half = len(signature) // 2
    assert half == (private.curve.key_size + 7) // 8
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    digest = hashes.SHA256() if algorithm == "ES256" else hashes.SHA384()
    private.public_key().verify(encode_dss_signature(r, s), data, ec.ECDSA(digest))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(rsa.generate_private_key(65537, 1024)),
        pem(ec.generate_private_key(ec.SECP256K1())),
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
