# SPDX-License-Identifier: LGPL-2.1-or-later
"""Did this certificate sign that one?"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

SHORTEST_RSA = 2048  # bits
_STRONG_HASHES: tuple[type[hashes.HashAlgorithm], ...] = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

_RSASSA_PSS = x509.ObjectIdentifier("1.2.840.113549.1.1.10")


class Unacceptable(Exception):
    """The signature may be good, but is not good enough. The message goes after the issuer's place in the chain."""


def verify(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Raises InvalidSignature or Unacceptable.

    cryptography's own verify_directly_issued_by() is not there before version 40.
    """
    key = issuer.public_key()
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        key.verify(signature, signed)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(_hash(certificate)))
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size < SHORTEST_RSA:
            raise Unacceptable(f"has an RSA key of {key.key_size} bits; at least {SHORTEST_RSA} are required")
        if certificate.signature_algorithm_oid == _RSASSA_PSS:
            _verify_pss(key, signature, signed)
        else:
            key.verify(signature, signed, padding.PKCS1v15(), _hash(certificate))
    else:
        raise Unacceptable("has a key of a kind that is not supported")


def _verify_pss(key: rsa.RSAPublicKey, signature: bytes, signed: bytes) -> None:
    """With each hash in turn: before version 41, cryptography does not tell which one the certificate names."""
    for algorithm in _STRONG_HASHES:
        try:
            key.verify(signature, signed, padding.PSS(padding.MGF1(algorithm()), padding.PSS.AUTO), algorithm())
        except InvalidSignature:
            continue
        return
    raise InvalidSignature


def _hash(certificate: x509.Certificate) -> hashes.HashAlgorithm:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if not isinstance(algorithm, _STRONG_HASHES):
        raise Unacceptable("signed the one before it with a weak or unknown hash")
    return algorithm
