# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys that no new certificate is to have: state/retired-keys/SHA-256-OF-THE-PUBLIC-KEY says why.

What was made here ends with the certificate that was revoked. A key or a CSR that others gave is theirs to use again,
unless it was said to be compromised: then it is nobody's (CA/Browser Forum Baseline Requirements, section 6.1.1.3).
"""

import json
import time
from pathlib import Path

from acmed import journal
from acmed.privd import files, keys
from acmed.privd.places import Places

_DIRECTORY_MODE = 0o700


def retire(places: Places, public_key: str, certificate: str, compromised: bool = False) -> None:
    """Remembers a key (base64 of its DER SubjectPublicKeyInfo). Once compromised, it stays so. Raises OSError."""
    if is_retired(places, public_key) and (is_compromised(places, public_key) or not compromised):
        return
    path = _path(places, public_key)
    record = {"certificate": certificate, "compromised": compromised, "time": int(time.time())}
    files.make_directory(path.parent, _DIRECTORY_MODE)
    files.replace(path, json.dumps(record).encode(), files.PRIVATE)
    journal.notice(
        "The key of %s is not used again%s", certificate, ", as it was said to be compromised" if compromised else ""
    )


def is_retired(places: Places, public_key: str) -> bool:
    return _path(places, public_key).exists()


def is_compromised(places: Places, public_key: str) -> bool:
    """Raises OSError. A record that is damaged is the worst that it may have been."""
    try:
        record = json.loads(_path(places, public_key).read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return not isinstance(record, dict) or record.get("compromised") is not False


def _path(places: Places, public_key: str) -> Path:
    return places.state / "retired-keys" / keys.fingerprint(public_key)
