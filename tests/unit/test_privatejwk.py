# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private keys as JWK."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from acmed import base64url, privatejwk
from acmed.privatejwk import Private, UnusableJwk
from tests.unit.rsakeys import rsa_key

RSA = rsa_key(2048)
KEYS: dict[str, Private] = {
    "rsa": RSA,
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": Ed25519PrivateKey.generate(),
}


def members(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(privatejwk.encode(KEYS[name]))
    return found


@pytest.mark.parametrize("name", KEYS)
def test_there_and_back(name: str) -> None:
    again = privatejwk.parse(privatejwk.encode(KEYS[name]))
    assert privatejwk.to_pem(again) == privatejwk.to_pem(KEYS[name])


def test_josepy_writes_the_same() -> None:
    """Which certbot and acmebot write their keys with; the latter without kty."""
    josepy = pytest.importorskip("josepy")
    jwk = josepy.JWKRSA(key=RSA)
    assert jwk.to_json() == members("rsa")
    again = privatejwk.parse(json.dumps(jwk.fields_to_partial_json()))
    assert privatejwk.to_pem(again) == privatejwk.to_pem(RSA)


SECRET = members("p256")["d"]
NO_KEYS = [
    "",
    "[]",
    "{",
    "{" * 10_000,
    "{}",
    '"x"',
    json.dumps({"kty": "oct", "k": SECRET}),
    json.dumps(members("p256") | {"d": SECRET + "="}),
    json.dumps(members("p256") | {"d": 5}),
    json.dumps(members("p256") | {"crv": "P-384"}),
    json.dumps(members("p256") | {"crv": "secp256k1"}),
    json.dumps(members("p256") | {"crv": ["P-256"]}),
    json.dumps(members("p256") | {"x": members("p256")["y"]}),
    json.dumps(members("p256") | {"d": base64url.encode(bytes(32))}),
    json.dumps(members("p256") | {"d": base64url.encode(b"\xff" * 32)}),
    json.dumps(members("p256") | {"d": base64url.encode(b"\xff" * 2000)}),
    json.dumps({key: value for key, value in members("p256").items() if key != "d"}),
    json.dumps(members("ed25519") | {"x": members("p256")["x"]}),
    json.dumps(members("ed25519") | {"d": "AA"}),
    json.dumps(members("ed25519") | {"crv": "X25519"}),
    json.dumps(members("rsa") | {"p": members("rsa")["q"]}),
    json.dumps(members("rsa") | {"d": "AQAB"}),
    json.dumps(members("rsa") | {"e": "AA"}),
    json.dumps(members("rsa") | {"e": members("rsa")["n"]}),
    json.dumps(members("rsa") | {"n": base64url.encode(b"\xff" * 128)}),
    json.dumps(members("rsa") | {"n": base64url.encode(b"\xff" * 1024)}),
    json.dumps(members("rsa") | {"oth": []}),
    json.dumps({key: value for key, value in members("rsa").items() if key != "qi"}),
    privatejwk.encode(RSA) + " " * privatejwk.LONGEST,
]


@pytest.mark.parametrize("text", NO_KEYS, ids=map(str, range(len(NO_KEYS))))  # their own words are new each time
def test_what_is_no_key_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(UnusableJwk) as refused:
        privatejwk.parse(text)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("key", [rsa_key(1024), ec.generate_private_key(ec.SECP256K1())])
def test_keys_of_other_kinds_are_not_written(key: Private) -> None:
    with pytest.raises(UnusableJwk):
        privatejwk.encode(key)


def test_numbers_that_are_too_large_are_not_called_a_size() -> None:
    with pytest.raises(UnusableJwk, match="its numbers do not make a key"):
        privatejwk.parse(json.dumps(members("rsa") | {"d": members("rsa")["n"]}))
