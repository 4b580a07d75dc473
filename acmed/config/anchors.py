# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the files are there, root's own, and of use, that trust-anchors of certificates name."""

import stat
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from acmed.config.load import Loaded
from acmed.config.model import MAX_ANCHORS, Problem
from acmed.config.plainfile import OTHERS_WRITE
from acmed.config.sandbox import UNIT, home_above
from acmed.config.table import Place


def problems(loaded: Loaded) -> Iterator[Problem]:
    """Once for each place that names one."""
    found: list[tuple[Place, Path]] = []
    for certificate in loaded.configuration.certificates.values():
        if certificate.trust_anchors is not None:
            own = loaded.tables.certificate[certificate.name].places
            places = own if "trust-anchors" in own else loaded.tables.plain["defaults"].places
            named = places["trust-anchors"], certificate.trust_anchors
            if named not in found:
                found.append(named)
    for place, path in found:
        yield from _file(place, path)


def _file(place: Place, path: Path) -> Iterator[Problem]:
    shell = quote(str(path))
    if home := home_above(path):
        yield place.problem(
            f"{path} is in {home}, which {UNIT} does not see", "keep it in a directory such as /etc/ssl"
        )
        return
    try:
        status = path.stat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_ANCHORS else b""
    except (FileNotFoundError, NotADirectoryError):
        yield place.problem(f"the file {path} is not there")
        return
    except OSError as error:
        yield place.note(f"{path} is not checked: {error.strerror}", "check as root")
        return
    if not stat.S_ISREG(status.st_mode):
        yield place.problem(f"{path} is not a plain file")
    elif status.st_uid != 0:
        yield place.problem(f"{path} does not belong to root", f"chown root {shell}")
    elif status.st_mode & OTHERS_WRITE:
        yield place.problem(f"{path} may be written by others than root", f"chmod go-w {shell}")
    elif status.st_size > MAX_ANCHORS:
        yield place.problem(
            f"{path} has {status.st_size} bytes; allowed are {MAX_ANCHORS}", "leave in it what is needed"
        )
    elif fault := unreadable(content):
        yield place.problem(f"{path} {fault}")


def unreadable(content: bytes) -> str:
    """Why there is no use for a file of certificates, or an empty string."""
    import ssl  # noqa: PLC0415  slow to load, and few need such a file

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except ssl.SSLError:
        return "has no certificates in PEM format that can be read"
    except ValueError:
        return "has no certificates in PEM format in it"
    return "" if context.cert_store_stats()["x509"] else "has no certificates in PEM format in it"
