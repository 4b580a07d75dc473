# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that the caller names: acmectl reads them with the caller's own rights, and sends what is in them."""

import base64
import binascii
import re
import sys
from pathlib import Path

from acmed.ctl.exits import CommandError, Exit

_MAX = 1 << 20  # bytes
_BLOCK = r"-----BEGIN {0}-----.*?-----END {0}-----"
_REQUEST = "(?:NEW )?CERTIFICATE REQUEST"


def certificates(path: Path) -> str:
    """The certificates (PEM) in a file, without what stands between them. Raises CommandError."""
    text = _without_key(path, read(path))
    found = re.findall(_BLOCK.format("CERTIFICATE"), text, re.DOTALL)
    if not found:
        raise CommandError(Exit.FAILED, f"{path}: holds no certificate in PEM")
    return "\n".join(found) + "\n"


def certificate(path: Path) -> bytes:
    """The first certificate in a file (PEM or DER), as DER. Raises CommandError."""
    return _one(path, "CERTIFICATE", "certificate")


def request(path: Path) -> bytes:
    """A certificate signing request (PEM or DER, RFC 2986), as DER. Raises CommandError."""
    return _one(path, _REQUEST, "certificate signing request")


def secret(path: Path) -> str:
    """A secret in one line; "-" is standard input. Raises CommandError."""
    content = sys.stdin.buffer.read(_MAX) if str(path) == "-" else read(path)
    text = content.decode("ascii", errors="replace").strip()
    if not text or len(text.split()) != 1:
        raise CommandError(Exit.FAILED, f"{path}: is to have the HMAC key that the CA gave you, in one line")
    return text


def read(path: Path) -> bytes:
    """Raises CommandError."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX + 1)
    except OSError as error:
        raise CommandError(Exit.FAILED, f"{path}: {error.strerror or error}") from None
    if len(content) > _MAX:
        raise CommandError(Exit.FAILED, f"{path}: larger than {_MAX} bytes")
    return content


def _one(path: Path, label: str, what: str) -> bytes:
    content = read(path)
    if content[:1] == b"0":  # a SEQUENCE
        return content
    found = re.search(_BLOCK.format(label), _without_key(path, content), re.DOTALL)
    try:
        return base64.b64decode("".join(found[0].splitlines()[1:-1]), validate=True) if found else _none(path, what)
    except binascii.Error:
        raise CommandError(Exit.FAILED, f"{path}: is damaged: not base64") from None


def _none(path: Path, what: str) -> bytes:
    raise CommandError(Exit.FAILED, f"{path}: holds no {what}, neither in PEM nor in DER")


def _without_key(path: Path, content: bytes) -> str:
    text = content.decode("ascii", errors="replace")
    if "PRIVATE KEY-----" in text:
        raise CommandError(Exit.FAILED, f"{path}: holds a private key", "Give a file without it.")
    return text
