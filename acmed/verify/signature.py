# SPDX-License-Identifier: LGPL-2.1-or-later
"""Did this certificate sign that one, or whatever else a CA signs?"""

from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

SHORTEST_RSA = 2048  # bits
_STRONG_HASHES: tuple[type[hashes.HashAlgorithm], ...] = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

_RSASSA_PSS = x509.ObjectIdentifier("1.2.840.113549.1.1.10")


class Unacceptable(Exception):
    """The signature may be good, but is not good enough. The message goes after the issuer's place in the chain."""


class Signed(Protocol):
    """What certificates, CRLs and OCSP responses have in common."""

    @property
    def signature(self) -> bytes: ...
    @property
    def signature_hash_algorithm(self) -> hashes.HashAlgorithm | None: ...
    @property
    def signature_algorithm_oid(self) -> x509.ObjectIdentifier: ...


def verify(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Raises InvalidSignature or Unacceptable.

    cryptography's own verify_directly_issued_by() is not there before version 40.
    """
    verify_content(certificate, certificate.tbs_certificate_bytes, issuer)


def verify_content(document: Signed, signed: bytes, signer: x509.Certificate) -> None:
    """signed: those bytes of the document that its signature is of. Raises InvalidSignature or Unacceptable."""
    key, signature = signer.public_key(), document.signature
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        key.verify(signature, signed)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(_hash(document)))
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size < SHORTEST_RSA:
            raise Unacceptable(f"has an RSA key of {key.key_size} bits; at least {SHORTEST_RSA} are required")
        if document.signature_algorithm_oid == _RSASSA_PSS:
            _verify_pss(key, signature, signed)
        else:
            key.verify(signature, signed, padding.PKCS1v15(), _hash(document))
    else:
        raise Unacceptable("has a key of a kind that is not supported")


def _verify_pss(key: rsa.RSAPublicKey, signature: bytes, signed: bytes) -> None:
    """With each hash in turn: before version 41, cryptography does not tell which one is named."""
    for algorithm in _STRONG_HASHES:
        try:
            key.verify(signature, signed, padding.PSS(padding.MGF1(algorithm()), padding.PSS.AUTO), algorithm())
        except InvalidSignature:
            continue
        return
    raise InvalidSignature


def _hash(document: Signed) -> hashes.HashAlgorithm:
    try:
        algorithm = document.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if not isinstance(algorithm, _STRONG_HASHES):
        raise Unacceptable("signed with a weak or unknown hash")
    return algorithm
