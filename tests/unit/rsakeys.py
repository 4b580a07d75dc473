# SPDX-License-Identifier: LGPL-2.1-or-later
"""RSA keys where any will do: making one takes a tenth of a second and more, so there is one of each size."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)
