# SPDX-License-Identifier: LGPL-2.1-or-later
"""The private key of an account in another client's file: PEM, encrypted or not, or JWK (RFC 7517)."""

import getpass
import re
import sys
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from acmed import pem, privatejwk
from acmed.ctl import files
from acmed.ctl.exits import CommandError, Exit
from acmed.privatejwk import UnusableJwk

# "openssl ecparam -genkey" writes another block in front of it.
_BLOCK = re.compile(rb"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_OPENPGP = 0x80  # set in the first byte of each packet (RFC 9580 section 4.2), and in no text


def check(path: Path) -> None:
    """Raises CommandError where there is no private key in a file, as far as nobody need be asked for a passphrase."""
    content = _content(path)
    if not content.lstrip().startswith(b"{"):
        _block(path, content)


def read(path: Path, ask: bool) -> str:
    """The key as a private JWK. ask: a person at the terminal may be asked for a passphrase. Raises CommandError."""
    content = _content(path)
    try:
        if content.lstrip().startswith(b"{"):
            return privatejwk.encode(privatejwk.parse(content.decode("ascii", errors="replace")))
        return _from_pem(path, content, ask)
    except UnusableJwk as error:
        raise CommandError(Exit.FAILED, f"{path}: {error}") from None


def _content(path: Path) -> bytes:
    content = files.read(path)
    if b"-----BEGIN PGP " in content or (content and content[0] & _OPENPGP):
        raise CommandError(
            Exit.FAILED,
            f"{path}: is encrypted with gpg",
            f'It can be used as it is: in /etc/acmed/acmed.toml write key = "gpg:{path.absolute()}" below '
            "[account.NAME], with the CA's directory, and run 'acmectl account add NAME'.",
        )
    return content


def _block(path: Path, content: bytes) -> bytes:
    """The key in PEM, which may be encrypted."""
    blocks = [found[0] for found in _BLOCK.finditer(content)]
    if len(blocks) != 1:
        raise CommandError(Exit.FAILED, f"{path}: is to have one private key, in PEM or as JWK, and has {len(blocks)}")
    return blocks[0]


def _from_pem(path: Path, content: bytes, ask: bool) -> str:
    block = _block(path, content)
    passphrase = _passphrase(path, ask) if pem.is_encrypted(block) else None
    try:
        key = load_pem_private_key(block, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        what = "its private key cannot be read" if passphrase is None else "this passphrase does not open it"
        raise CommandError(Exit.FAILED, f"{path}: {what}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey):
        raise UnusableJwk("it is neither an RSA, an ECDSA nor an Ed25519 key")
    return privatejwk.encode(key)


def _passphrase(path: Path, ask: bool) -> bytes:
    if not (ask and sys.stdin.isatty() and sys.stderr.isatty()):
        hint = "Run it in a terminal, without --no-ask-password; or decrypt the key with 'openssl pkey' before."
        raise CommandError(Exit.FAILED, f"{path}: is encrypted, and nobody can be asked for its passphrase", hint)
    try:
        return getpass.getpass(f"Passphrase of {path}: ").encode()
    except EOFError:
        raise CommandError(Exit.FAILED, f"{path}: is encrypted, and no passphrase was given") from None
