# SPDX-License-Identifier: LGPL-2.1-or-later
"""CSRs that were made elsewhere (OrderCSR): state/csr/NAME.der, which only another one replaces. Their keys never come
here. acme-verify reads them, each time.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from acmed.config import Certificate
from acmed.names import Identifier
from acmed.privd import files, verifier
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.varlink import invalid_parameter

_DIRECTORY_MODE = 0o700


@dataclass(frozen=True)
class Elsewhere(verifier.Wanted):
    """A CSR (DER), and what acme-verify found in it."""

    der: bytes

    @property
    def sha256(self) -> str:
        """Hexadecimal."""
        return hashlib.sha256(self.der).hexdigest()


async def given(places: Places, name: str, text: str) -> Elsewhere:
    """A CSR that somebody sent (base64). Raises InvalidConfiguration, InstallFailed or InvalidParameter."""
    try:
        der = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_parameter("settings.csr") from error
    return await _read(places, name, der)


async def kept(places: Places, name: str) -> Elsewhere | None:
    """The one that is there. Raises InvalidConfiguration, InstallFailed or OSError."""
    try:
        der = places.csr(name).read_bytes()
    except FileNotFoundError:
        return None
    return await _read(places, name, der)


async def required(places: Places, certificate: Certificate) -> Elsewhere:
    """The one that is there, if configuration covers it. Raises InvalidConfiguration, InstallFailed or OSError."""
    csr = await kept(places, certificate.name)
    if csr is None:
        message = (
            f"{certificate.path} has csr = true, and there is no CSR yet; order with one: acmectl order --csr FILE"
        )
        raise refusal("InvalidConfiguration", message=message)
    check_names(str(certificate.path), certificate.identifiers, csr)
    return csr


def check_names(where: str, names: Iterable[Identifier], csr: Elsewhere) -> None:
    """Raises InvalidConfiguration unless the CSR is for exactly these names: a CA would issue for what it has, and the
    certificate would not be what is configured.
    """
    extra, missing = set(csr.identifiers) - set(names), set(names) - set(csr.identifiers)
    if extra or missing:
        parts = [
            f"{what}: {', '.join(sorted(map(str, some)))}"
            for what, some in (("it has, and 'names' has not", extra), ("'names' has, and it has not", missing))
            if some
        ]
        message = f"{where}: the CSR is for other names than 'names' ({'; '.join(parts)})"
        raise refusal("InvalidConfiguration", message=message)


def keep(places: Places, name: str, csr: Elsewhere) -> None:
    """Raises OSError."""
    path = places.csr(name)
    files.make_directory(path.parent, _DIRECTORY_MODE)
    files.replace(path, csr.der, files.PRIVATE)


async def _read(places: Places, name: str, der: bytes) -> Elsewhere:
    if not 0 < len(der) <= verifier.MAX_CSR:
        message = f"the CSR for {name} has {len(der)} bytes; allowed are 1 to {verifier.MAX_CSR}"
        raise refusal("InvalidConfiguration", message=message)
    wanted = await verifier.read_request(places, name, der)
    return Elsewhere(wanted.identifiers, wanted.public_key, wanted.key_type, wanted.must_staple, der)
