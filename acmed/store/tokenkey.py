# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private key on a token: which one it is, its public half, and how it signs (PKCS #11 v2.40, RFC 7518, RFC 8037)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PyKCS11 import (
    CKA_ALWAYS_AUTHENTICATE,
    CKA_CERTIFICATE_TYPE,
    CKA_CLASS,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
    CKA_ID,
    CKA_KEY_TYPE,
    CKA_LABEL,
    CKA_MODULUS,
    CKA_PUBLIC_EXPONENT,
    CKA_SIGN,
    CKA_VALUE,
    CKC_X_509,
    CKK_EC,
    CKK_EC_EDWARDS,
    CKK_RSA,
    CKM_ECDSA,
    CKM_EDDSA,
    CKM_RSA_PKCS,
    CKM_SHA256_RSA_PKCS,
    CKO_CERTIFICATE,
    CKO_PRIVATE_KEY,
    CKO_PUBLIC_KEY,
    CKR_MECHANISM_INVALID,
    CKU_CONTEXT_SPECIFIC,
    Mechanism,
    PyKCS11Error,
    ckbytelist,
)

from acmed.config.pkcs11uri import Pkcs11Uri
from acmed.config.words import listed, quoted
from acmed.store import tokenpublic
from acmed.store.opened import Unavailable
from acmed.store.token import Token, log_in
from acmed.store.tokenpublic import BadPublicKey, Jwk

_HASHES = {"P-256": hashlib.sha256, "P-384": hashlib.sha384, "P-521": hashlib.sha512}

# DigestInfo of SHA-256 (RFC 8017 section 9.2, note 1), for tokens that do not hash themselves.
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


@dataclass(frozen=True)
class Found:
    """A private key, as the token lists it."""

    handle: Any
    label: str
    id: bytes
    type: int

    def __str__(self) -> str:
        return f"object={quoted(self.label)} id={self.id.hex() or 'none'}"


class KeyOnToken:
    """jwk: the public half."""

    def __init__(self, token: Token, uri: Pkcs11Uri) -> None:
        """Raises Unavailable."""
        self._token = token
        try:
            self._key = _find(token, uri)
            self.jwk = _public(token.session, self._key)
            signs, asks = _attributes(token.session, self._key.handle, CKA_SIGN, CKA_ALWAYS_AUTHENTICATE)
        except PyKCS11Error as error:
            raise Unavailable(f"the token {token.slot} fails: {error}") from error
        if not signs:
            raise Unavailable(f"the token {token.slot} has the key {self._key}, and does not let it sign (CKA_SIGN)")
        self._ways = _ways(self.jwk)
        self._pin = token.pin if asks else None

    def sign(self, data: bytes) -> bytes:
        """The JWS signature. Raises Unavailable, PinRefused."""
        while True:
            mechanism, prepared = self._ways[0]
            try:
                return self._sign(Mechanism(mechanism, None), prepared(data))
            except PyKCS11Error as error:
                if error.value != CKR_MECHANISM_INVALID or not self._ways[1:]:
                    raise Unavailable(f"the token {self._token.slot} does not sign: {error}; is it there?") from error
                del self._ways[0]

    def _sign(self, mechanism: Any, data: bytes) -> bytes:
        session = self._token.session
        if self._pin is None:
            return bytes(session.sign(self._key.handle, data, mechanism))
        # A key with CKA_ALWAYS_AUTHENTICATE wants the PIN between C_SignInit and C_Sign, each time.
        _checked(session.lib.C_SignInit(session.session, mechanism.to_native(), self._key.handle))
        log_in(self._token, self._pin, CKU_CONTEXT_SPECIFIC, self._token.refused_to_sign)
        signature = ckbytelist()
        for _ in ("its length", "the signature"):
            _checked(session.lib.C_Sign(session.session, ckbytelist(data), signature))
        return bytes(signature)


def _checked(code: int) -> None:
    if code:
        raise PyKCS11Error(code)


def _find(token: Token, uri: Pkcs11Uri) -> Found:
    keys = [
        Found(handle, str(label or "").rstrip("\0"), bytes(id or b""), kind)
        for handle in token.session.findObjects([(CKA_CLASS, CKO_PRIVATE_KEY)])
        for label, id, kind in [_attributes(token.session, handle, CKA_LABEL, CKA_ID, CKA_KEY_TYPE)]
    ]
    matching = [key for key in keys if uri.label in (None, key.label) and uri.id in (None, key.id)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise Unavailable(f"several keys of the token {token.slot} match, {listed(sorted(map(str, matching)))}: add id")
    hidden = "" if keys or token.pin is not None else "; it may show its keys after a PIN only"
    raise Unavailable(f"the token {token.slot} has no such private key, but {listed(sorted(map(str, keys)))}{hidden}")


def _public(session: Any, key: Found) -> Jwk:
    """From the private key itself where it has that, its public key, or its certificate."""
    public = [] if not key.id else session.findObjects([(CKA_CLASS, CKO_PUBLIC_KEY), (CKA_ID, key.id)])
    certificates = (
        []
        if not key.id
        else session.findObjects(
            [(CKA_CLASS, CKO_CERTIFICATE), (CKA_CERTIFICATE_TYPE, CKC_X_509), (CKA_ID, key.id)],
        )
    )
    if key.type not in _READERS:
        raise Unavailable(f"the key {key} is neither RSA, ECDSA nor Ed25519")
    read, *wanted = _READERS[key.type]
    try:
        for handle in (key.handle, *public):
            values = _attributes(session, handle, *wanted)
            if all(values):
                return read(*map(bytes, values))
        for handle in certificates:
            return tokenpublic.certificate_jwk(bytes(*_attributes(session, handle, CKA_VALUE)))
    except BadPublicKey as error:
        raise Unavailable(f"the key {key} cannot be used: {error}") from error
    raise Unavailable(
        f"the token has neither a public key nor a certificate with the id of the key {key}; write one to it"
    )


_READERS: dict[int, tuple[Callable[..., Jwk], int, int]] = {
    CKK_RSA: (tokenpublic.rsa_jwk, CKA_MODULUS, CKA_PUBLIC_EXPONENT),
    CKK_EC: (tokenpublic.ec_jwk, CKA_EC_PARAMS, CKA_EC_POINT),
    CKK_EC_EDWARDS: (tokenpublic.edwards_jwk, CKA_EC_PARAMS, CKA_EC_POINT),
}


def _attributes(session: Any, handle: Any, *wanted: int) -> Sequence[Any]:
    """Each value, None where there is none."""
    values: Sequence[Any] = session.getAttributeValue(handle, list(wanted))
    return values


def _ways(jwk: Jwk) -> list[tuple[int, Callable[[bytes], bytes]]]:
    """Mechanisms, and what each has to be given. What modules say of mechanisms is not always so: they are tried."""
    if jwk["kty"] == "EC":
        return [(CKM_ECDSA, lambda data: _HASHES[jwk["crv"]](data).digest())]
    if jwk["kty"] == "OKP":
        return [(CKM_EDDSA, bytes)]
    return [
        (CKM_SHA256_RSA_PKCS, bytes),
        (CKM_RSA_PKCS, lambda data: _SHA256_INFO + hashlib.sha256(data).digest()),
    ]
