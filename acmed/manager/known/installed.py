# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed under a certificate's name."""

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from acmed import journal
from acmed.manager import clock

KINDS = ("privkey", "cert", "chain", "fullchain")
# A certificate is at most 16 KiB (acmed.verify); what is larger is not one of ours.
_MAX_SIZE = 64 * 1024
_VERSION = 3  # so many parts of a stamp are of the version alone


@dataclass(frozen=True)
class Installed:
    """A certificate. fingerprint (SHA-256) and serial_number: hexadecimal. Times: microseconds since the epoch.

    stamp is of the file that it was read from, and changes with it.
    """

    stamp: str
    fingerprint: str
    serial_number: str
    issuer: str
    identifiers: tuple[str, ...]
    not_before: int
    not_after: int


def stamp(path: Path) -> str:
    """What tells one version of a file from the next; empty where there is none. Raises OSError: it is out of reach."""
    status = _status(path)
    return _version(status) if status else ""


def stamps(directory: Path) -> str:
    """Of all published files of a certificate together, with mode, owner and group: who may read them. Raises OSError:
    they are out of reach.
    """
    return " ".join(_with_access(_status(directory / f"{kind}.pem")) for kind in KINDS)


def are_as_known(known: str, files: str) -> bool:
    """Whether the published files are those that were known. known: their stamps, of an older acmed without mode, owner
    and group, which then may be any.
    """
    return known in (files, " ".join("-".join(one.split("-")[:_VERSION]) for one in files.split(" ")))


def read(path: Path) -> Installed | None:
    """Reads cert.pem; None where it is not there or is not a certificate. Raises OSError: it cannot be read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MAX_SIZE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return _parse(data, _version(status))
    except ValueError as error:
        journal.warning("%s is not a certificate, and counts as missing: %s", path, error)
        return None


def public_key(path: Path) -> bytes:
    """The key of a cert.pem (DER SubjectPublicKeyInfo), empty where it cannot be read."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    try:
        key = x509.load_pem_x509_certificate(path.read_bytes()[:_MAX_SIZE]).public_key()
    except (OSError, ValueError, UnsupportedAlgorithm):
        return b""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _status(path: Path) -> os.stat_result | None:
    """None where there is no such file. Raises OSError, which names the directory that is closed."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        way = [one for one in reversed(path.parents) if not os.access(one, os.X_OK, effective_ids=True)]
        closed = way[0] if way else path.parent
        mode = stat.S_IMODE(closed.stat().st_mode)
        raise PermissionError(error.errno, f"{error.strerror} (its mode is {mode:04o})", str(closed)) from error


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


def _with_access(status: os.stat_result | None) -> str:
    if status is None:
        return "-"
    return f"{_version(status)}-{stat.S_IMODE(status.st_mode):o}-{status.st_uid}-{status.st_gid}"


def _parse(data: bytes, file_stamp: str) -> Installed:
    # Slow to load, and not needed while the state has what was read before.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    certificate = x509.load_pem_x509_certificate(data)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    dns_names = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    identifiers = [*dns_names, *map(str, names.get_values_for_type(x509.IPAddress))]
    serial = f"{certificate.serial_number:x}"
    return Installed(
        stamp=file_stamp,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        serial_number=serial.zfill(len(serial) + len(serial) % 2),
        issuer=journal.printable(certificate.issuer.rfc4514_string()),
        identifiers=tuple(sorted(identifiers)),
        not_before=_moment(certificate, "not_valid_before"),
        not_after=_moment(certificate, "not_valid_after"),
    )


def _moment(certificate: object, name: str) -> int:
    """A time of a certificate's; version 42 of cryptography has it with a time zone as NAME_utc, 38 without one."""
    moment: datetime = getattr(certificate, f"{name}_utc", None) or getattr(certificate, name).replace(tzinfo=UTC)
    return clock.shown(int(moment.timestamp()) * clock.SECOND)  # one before 1970 can be told to nobody
