# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is revoked, and the request that a certificate's own key signs for it (RFC 8555 section 7.6)."""

import re

from acmed import base64url, pem
from acmed.config import Configuration
from acmed.config.model import origin
from acmed.keyd import jws
from acmed.keyd.keys import parse
from acmed.privd import lookup
from acmed.privd.installed import sets, whole
from acmed.privd.keys import Origin
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.privd.verifier import MAX_CHAIN
from acmed.reasons import REASONS
from acmed.varlink import invalid_parameter

MAX_CERTIFICATE = 16 * 1024  # bytes

_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")  # RFC 8555 section 6.5.1
_URL = re.compile(r"[!-\"$-\[\]-~]{1,2000}")  # printable ASCII without a fragment and backslashes
_SEQUENCE, _BIT_STRING = 0x30, 0x03


def check_reason(reason: int) -> None:
    """Raises InvalidParameter."""
    if reason not in REASONS:
        raise invalid_parameter("reason")


def check_certificate(der: bytes) -> None:
    """Raises InvalidParameter unless it has the form of a certificate (RFC 5280 section 4.1). What is in it is the CA's
    to read, and nobody's here.
    """
    outer = _elements(der) if len(der) <= MAX_CERTIFICATE else []
    if [tag for tag, _ in outer] != [_SEQUENCE]:
        raise invalid_parameter("der")
    if [tag for tag, _ in _elements(outer[0][1])] != [_SEQUENCE, _SEQUENCE, _BIT_STRING]:
        raise invalid_parameter("der")


def installed(places: Places, name: str) -> sets.Set:
    """Raises NotIssued or OSError."""
    current = sets.current(places, name)
    if current is None:
        raise refusal("NotIssued", certificate=name)
    return current


def certificate(places: Places, name: str, current: sets.Set) -> bytes:
    """The installed certificate (DER). Raises InstallFailed or OSError."""
    cert = whole.certificate(places, name, current)
    if cert is None:
        raise _damaged(places, name, current, "cert.pem")
    (der,) = pem.certificates(cert.decode(), 1, MAX_CHAIN)
    return der


def ca(configuration: Configuration, current: sets.Set) -> str:
    """The directory of the CA that has issued a set, whatever its account has now; sets that do not say so are of their
    account's. Raises NoSuchAccount where that is not known either.
    """
    if current.directory:
        return current.directory
    return lookup.account(configuration, current.account).directory


def signed(
    places: Places, name: str, current: sets.Set, der: bytes, directory: str, url: str, nonce: str, reason: int
) -> dict[str, str]:
    """The flattened JWS that revokes exactly this certificate, with its own key. Raises InvalidParameter,
    InvalidConfiguration, InstallFailed or OSError.
    """
    if current.origin is Origin.ELSEWHERE:
        message = f"the key of {name} is not here, as its CSR was made elsewhere; revoke it with the account's key"
        raise refusal("InvalidConfiguration", message=message)
    _check_url(url, directory)
    if not _NONCE.fullmatch(nonce):
        raise invalid_parameter("nonce")
    private_key = whole.private_key(places, name, current)
    if private_key is None:
        raise _damaged(places, name, current, "privkey.pem")
    key = parse(private_key)
    protected = jws.protected_header(key.algorithm, nonce, url, jwk=key.jwk)
    payload = base64url.encode(jws.compact({"certificate": base64url.encode(der), "reason": reason}))
    signature = key.sign(f"{protected}.{payload}".encode())
    return {"protected": protected, "payload": payload, "signature": base64url.encode(signature)}


def _damaged(places: Places, name: str, current: sets.Set, what: str) -> Exception:
    message = f"{what} in {places.sets(name) / current.id} is damaged, and what is published cannot stand in for it"
    return refusal("InstallFailed", certificate=name, message=message)


def _check_url(url: str, directory: str) -> None:
    try:
        if not _URL.fullmatch(url) or origin(url) != origin(directory):
            raise invalid_parameter("url")
    except ValueError as error:
        raise invalid_parameter("url") from error


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    """The tags and contents that follow one another in DER (X.690 section 8.1); empty where that is not what it is."""
    found, position = [], 0
    while position < len(der):
        if len(der) < position + 2:
            return []
        tag, length, start = der[position], der[position + 1], position + 2
        if length >= 0x80:
            octets = length & 0x7F
            length = int.from_bytes(der[start : start + octets], "big")
            start += octets
            if not 1 <= octets <= 2 or length < 0x80:
                return []
        position = start + length
        if position > len(der):
            return []
        found.append((tag, der[start:position]))
    return found
