# SPDX-License-Identifier: LGPL-2.1-or-later
"""PEM (RFC 7468) as text: taken apart and put together without a look at what is inside."""

import base64
import binascii
import re

# No two parts of it match the same text: what does not match costs no more time than what does.
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----(?:\s+|\Z)")
_AMIDST = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type:\s*4,\s*ENCRYPTED")
_LINE = 64


class NotCertificates(ValueError):
    """The text is not certificates and nothing else; the message says what is wrong."""


def certificates(text: str, most: int, most_bytes: int) -> list[bytes]:
    """The DER of each CERTIFICATE block, of which there are 1 to most, each of at most most_bytes.

    Raises NotCertificates, also where anything but white space stands around the blocks.
    """
    blocks: list[bytes] = []
    position = len(text) - len(text.lstrip())
    while position < len(text):
        number = len(blocks) + 1
        found = _BLOCK.match(text, position)
        if not found:
            raise NotCertificates(f"something other than a certificate at byte {position} (block {number})")
        if number > most:
            raise NotCertificates(f"more than {most} certificates")
        der = _decoded(found[1], number)
        if not der or len(der) > most_bytes:
            raise NotCertificates(f"certificate {number} has {len(der)} bytes; allowed are 1 to {most_bytes}")
        blocks.append(der)
        position = found.end()
    if not blocks:
        raise NotCertificates("no certificate in it")
    return blocks


def amidst(text: str) -> list[bytes]:
    """The DER of each CERTIFICATE block, of which there is one at least, whatever stands around them: people write
    there what each is. Raises NotCertificates.
    """
    blocks = [_decoded(found[1], number) for number, found in enumerate(_AMIDST.finditer(text), 1)]
    if not blocks:
        raise NotCertificates("no certificate in it")
    return blocks


def encode(der: bytes) -> str:
    """One CERTIFICATE block."""
    text = base64.b64encode(der).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def _decoded(text: str, number: int) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise NotCertificates(f"certificate {number} is not base64") from error


def is_encrypted(text: bytes) -> bool:
    """Whether it is a private key with a passphrase: PKCS#8 (RFC 7468 section 11), or RFC 1421, as openssl made it."""
    return bool(_ENCRYPTED.search(text))
