# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of a key that is said to be compromised: whoever says so means it, whatever the CA makes of it."""

import base64
import hashlib

from acmed import journal
from acmed.privd.installed import archive, sets
from acmed.privd.places import Places
from acmed.privd.requests import request, retired_keys
from acmed.varlink import VarlinkError


def of_installed(places: Places, name: str, current: sets.Set) -> list[str]:
    """Retires the key of an installed set; the answer is which certificates have it installed, this one among them.
    Raises InstallFailed or OSError.
    """
    public_key = archive.public_key_of(places, name, current)
    retired_keys.retire(places, public_key, name, compromised=True)
    return _users(places, {public_key})


def of_given(places: Places, der: bytes) -> list[str]:
    """The same for a certificate that may not be ours, where its key is. Raises OSError."""
    found = _keys_of(places, der)
    for public_key, name in found.items():
        retired_keys.retire(places, public_key, name, compromised=True)
    return _users(places, set(found))


def _keys_of(places: Places, der: bytes) -> dict[str, str]:
    """Our keys that the certificate has, and those of a set of ours that it is; with the name of whose they are.

    What is in it is nobody's to read here. But as DER has one encoding of a public key only (X.690 section 10, RFC 5280
    section 4.1), its own is in it byte for byte.
    """
    fingerprint, found = hashlib.sha256(der).hexdigest(), {}
    for kind in ("archive/certificates", "sets"):
        for path in sorted(places.state.glob(f"{kind}/*/*/set.json")):
            name, one = path.parent.parent.name, sets.read(path)
            if one and (one.fingerprint == fingerprint or _has(der, one.public_key)):
                found[_public_key(places, name, one)] = name
    for path in sorted(places.state.glob("pending/*/request.json")):
        pending = request.read(places, path.parent.name)
        if pending and _has(der, pending.request.public_key):
            found[pending.request.public_key] = path.parent.name
    found.pop("", None)
    return found


def _has(der: bytes, public_key: str) -> bool:
    return bool(public_key) and base64.b64decode(public_key) in der


def _users(places: Places, public_keys: set[str]) -> list[str]:
    """The certificates that have one of these keys installed."""
    names = sorted(path.name for path in places.state.glob("sets/*"))
    installed = {name: sets.current(places, name) for name in names} if public_keys else {}
    return [name for name, one in installed.items() if one and _public_key(places, name, one) in public_keys]


def _public_key(places: Places, name: str, one: sets.Set) -> str:
    """Empty where it is an old set, whose key is damaged or gone."""
    try:
        return archive.public_key_of(places, name, one)
    except (VarlinkError, OSError) as error:
        message = error.parameters["message"] if isinstance(error, VarlinkError) else error
        journal.warning("The key of %s is not known: %s", one.id, message, certificate=name)
        return ""
