# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key and CSR for the next certificate, kept in pending/NAME/{privkey.pem,csr.der,request.json} until replaced.

The same request is given again until it was installed or no longer is what the configuration asks for, so that an
order can be resumed after a crash of anybody.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, replace

from acmed import journal
from acmed.config import Certificate
from acmed.names import Identifier
from acmed.privd import files, keys, sets
from acmed.privd.places import Places

_DIRECTORY_MODE = 0o700
_ID_BYTES = 16


@dataclass(frozen=True)
class Request:
    """request.json. public_key: base64 of the DER SubjectPublicKeyInfo. csr_sha256: hexadecimal.

    job is acmed's job that it was made for last, and new_key whether that one asked for a new key: the same job that
    asks again, after a crash, must get the same request.
    """

    id: str
    job: int
    account: str
    identifiers: tuple[Identifier, ...]
    key_type: str
    public_key: str
    csr_sha256: str
    new_key: bool = False


@dataclass(frozen=True)
class Material:
    """A request with its private key (PEM) and CSR (DER)."""

    request: Request
    private_key: bytes
    csr: bytes


def prepare(places: Places, certificate: Certificate, job: int, new_key: bool) -> Material:
    """The pending request where it is still right, or a new one in its place. Raises OSError."""
    material = read(places, certificate.name)
    installed = sets.current(places, certificate.name)
    is_installed = installed is not None and material is not None and installed.request == material.request.id
    if material and _still_right(material.request, certificate, job, new_key, is_installed):
        return _taken_over(places, certificate.name, material, job, new_key)
    return _make(places, certificate, job, new_key)


def read(places: Places, name: str) -> Material | None:
    """The pending request, or None where there is none, or not a whole one. Raises OSError."""
    directory = places.pending(name)
    try:
        content = json.loads((directory / "request.json").read_bytes())
        content["identifiers"] = tuple(Identifier(**identifier) for identifier in content["identifiers"])
        material = Material(
            Request(**content),
            (directory / "privkey.pem").read_bytes(),
            (directory / "csr.der").read_bytes(),
        )
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        journal.warning("The pending request in %s cannot be read (%s); another one is made", directory, error)
        return None
    if hashlib.sha256(material.csr).hexdigest() != material.request.csr_sha256:
        journal.warning("The pending request in %s is damaged; another one is made", directory)
        return None
    return material


def drop(places: Places, name: str) -> None:
    """Removes the pending request with its key. Raises OSError."""
    files.remove_tree(places.pending(name))


def _still_right(request: Request, certificate: Certificate, job: int, new_key: bool, is_installed: bool) -> bool:
    wanted = (certificate.account, set(certificate.identifiers), certificate.key_type.value)
    if (request.account, set(request.identifiers), request.key_type) != wanted:
        return False
    if request.job == job:  # asked again after a crash
        return request.new_key or not new_key
    return not (is_installed or new_key)


def _taken_over(places: Places, name: str, material: Material, job: int, new_key: bool) -> Material:
    """For a later job that goes on with the request of an earlier one."""
    request = replace(material.request, job=job, new_key=material.request.job == job and material.request.new_key)
    if request != material.request:
        files.replace(places.pending(name) / "request.json", _description(request), files.PRIVATE)
    return replace(material, request=request)


def _make(places: Places, certificate: Certificate, job: int, new_key: bool) -> Material:
    key = None if new_key or not certificate.reuse_key else _installed_key(places, certificate)
    key = key or keys.generate(certificate.key_type)
    csr = keys.signing_request(key, certificate.identifiers)
    request = Request(
        id=secrets.token_hex(_ID_BYTES),
        job=job,
        account=certificate.account,
        identifiers=certificate.identifiers,
        key_type=certificate.key_type.value,
        public_key=base64.b64encode(keys.public_key(key)).decode(),
        csr_sha256=hashlib.sha256(csr).hexdigest(),
        new_key=new_key,
    )
    material = Material(request, keys.to_pem(key), csr)
    _write(places, certificate.name, material)
    return material


def _installed_key(places: Places, certificate: Certificate) -> keys.PrivateKey | None:
    """The key of the installed set, for reuse-key, where it is of the type that is asked for."""
    current = sets.current(places, certificate.name)
    if current is None or current.key_type != certificate.key_type.value:
        return None
    return keys.from_pem(sets.private_key(places, certificate.name, current))


def _write(places: Places, name: str, material: Material) -> None:
    """The old request goes first: a crash in between leaves none, never one with another's key."""
    target = places.pending(name)
    building = target.with_name(f".{name}")
    files.make_directory(target.parent, _DIRECTORY_MODE)
    files.remove_tree(building)
    building.mkdir(mode=_DIRECTORY_MODE)
    files.create(building / "privkey.pem", material.private_key, files.PRIVATE)
    files.create(building / "csr.der", material.csr, files.PRIVATE)
    files.create(building / "request.json", _description(material.request), files.PRIVATE)
    files.sync_directory(building)
    files.remove_tree(target)
    building.rename(target)
    files.sync_directory(target.parent)


def _description(request: Request) -> bytes:
    return json.dumps(asdict(request), indent=1).encode()
