# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-keyd without its sockets, with one account, default."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from acmed import base64url
from acmed.config import Account
from acmed.config.keysource import KeySource
from acmed.config.model import ExternalBinding
from acmed.keyd.credentials import Credentials
from acmed.keyd.keyring import Keyring
from acmed.keyd.keys import Key, parse
from acmed.keyd.permits import Permits
from acmed.keyd.permitting import PermitService
from acmed.keyd.signing import KeyService
from acmed.varlink import Call, VarlinkError

CA = "https://ca.example:14000"
URI = f"{CA}/acct/1"
PEER = Call(1, 2, 3)
NONCE = "bm9uY2U"
NAMES = [{"type": "dns", "value": "www.example.com"}, {"type": "dns", "value": "example.com"}]
CSR = b"a certificate signing request"
DIGEST = hashlib.sha256(CSR).hexdigest()

HASHES = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512(), "RS256": hashes.SHA256()}


def pem(private: Any) -> bytes:
    return bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def new_key() -> Key:
    return parse(pem(ec.generate_private_key(ec.SECP256R1())))


class Keyd:
    """Use restart() after a change of what it reads when it starts."""

    def __init__(
        self, directory: Path, uri: str | None = URI, key: Key | None = None, source: KeySource | None = None
    ) -> None:
        self.uri = uri
        self.source = source
        self.external: ExternalBinding | None = None
        self.key = key or new_key()
        self.next_key: Key | None = None
        self.binding: bytes | None = None
        self.path = directory / "permits.json"
        self.restart()

    def restart(self) -> None:
        accounts = {"default": Account("default", f"{CA}/dir", uri=self.uri, external=self.external, key=self.source)}
        credentials = Credentials(
            {"default": self.key},
            {"default": self.next_key} if self.next_key else {},
            {"default": self.binding} if self.binding else {},
        )
        keyring, permits = Keyring(credentials, self.path.parent / "stores"), Permits(self.path)
        self.service = KeyService(accounts, keyring, permits)
        self.permits = PermitService(accounts, keyring, permits)

    def sign(self, payload: Any, url: str = f"{CA}/any", nonce: str = NONCE) -> dict[str, Any]:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return asyncio.run(self.service.sign(PEER, "default", url, nonce, base64url.encode(body)))

    def lookup(self, *, by_next: bool, url: str = f"{CA}/new-account", nonce: str = NONCE) -> dict[str, Any]:
        return asyncio.run(self.service.sign_lookup(PEER, "default", url, nonce, by_next))

    def change_key(self, url: str = f"{CA}/key-change", nonce: str = NONCE) -> dict[str, Any]:
        return asyncio.run(self.service.sign_key_change(PEER, "default", url, nonce))

    def refusal(self, payload: Any, url: str = f"{CA}/any", nonce: str = NONCE) -> str:
        return refused(lambda: self.sign(payload, url, nonce))

    def permit(self, method: Callable[..., Awaitable[Any]], *arguments: Any, lifetime: int = 60) -> None:
        """Leaves a permit for the account by a method of permits."""

        async def leave() -> None:
            await method(PEER, "default", *arguments, lifetime)

        asyncio.run(leave())

    def permit_order(
        self,
        *,
        digest: str = DIGEST,
        profile: str | None = None,
        replaces: str | None = None,
        not_before: str | None = None,
        not_after: str | None = None,
        lifetime: int = 60,
    ) -> None:
        validity = (not_before, not_after)
        self.permit(self.permits.permit_order, "www", NAMES, digest, profile, replaces, *validity, lifetime=lifetime)

    def drop(self, subject: str) -> None:
        asyncio.run(self.permits.drop_order(PEER, "default", subject))


def refused(act: Callable[[], Any]) -> str:
    """The rule that stood against it."""
    with pytest.raises(VarlinkError) as caught:
        act()
    assert caught.value.name == "org.acmed.Key.NotPermitted"
    return str(caught.value.parameters["rule"])


def unavailable(act: Callable[[], Any]) -> str:
    """The reason why the key could not be used."""
    with pytest.raises(VarlinkError) as caught:
        act()
    assert caught.value.name == "org.acmed.Key.KeyUnavailable"
    return str(caught.value.parameters["reason"])


def header(answer: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(base64url.decode(answer["protected"])))


def payload(answer: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(base64url.decode(answer["payload"])))


def verify(answer: dict[str, Any], key: Key) -> None:
    """Raises InvalidSignature."""
    algorithm, private = header(answer)["alg"], key.private
    signature, data = base64url.decode(answer["signature"]), f"{answer['protected']}.{answer['payload']}".encode()
    if isinstance(private, rsa.RSAPrivateKey):
        private.public_key().verify(signature, data, padding.PKCS1v15(), HASHES[algorithm])
    elif isinstance(private, Ed25519PrivateKey):
        assert algorithm == "EdDSA"
        private.public_key().verify(signature, data)
    else:
        half = (private.curve.key_size + 7) // 8
        assert len(signature) == 2 * half
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        private.public_key().verify(encode_dss_signature(r, s), data, ec.ECDSA(HASHES[algorithm]))
