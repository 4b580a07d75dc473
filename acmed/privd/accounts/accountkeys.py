# SPDX-License-Identifier: LGPL-2.1-or-later
"""New keys of accounts."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from acmed import privatejwk
from acmed.config.model import AccountKeyType, KeyType
from acmed.privd import keys


def generate(key_type: AccountKeyType) -> bytes:
    """PKCS#8, PEM, not encrypted. RSA takes up to some seconds."""
    match key_type:
        case AccountKeyType.ECDSA_P521:
            return privatejwk.to_pem(ec.generate_private_key(ec.SECP521R1()))
        case AccountKeyType.ED25519:
            return privatejwk.to_pem(Ed25519PrivateKey.generate())
        case _:
            return privatejwk.to_pem(keys.generate(KeyType(key_type.value)))
