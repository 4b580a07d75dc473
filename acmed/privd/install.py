# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts a verified chain in place. The chain is opaque text here: acme-verify parses it, and gives back certificates
as base64, which are put into PEM line by line.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from acmed import journal, pem, varlink
from acmed.config import Certificate, Configuration
from acmed.privd import ownership, request, sets
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.varlink import ConnectionLost, VarlinkError

MAX_CHAIN = 64 * 1024  # characters
_MAX_CERTIFICATES = 10
_LONGEST_ISSUER = 1000
_VERIFY_TIMEOUT = 15.0


class _Nonsense(Exception):
    """acme-verify answered what it never does: it may have been taken over by what it parsed."""


@dataclass(frozen=True)
class Verified:
    """What acme-verify found, held against what it may say."""

    certificates: tuple[bytes, ...]
    serial_number: str
    issuer: str
    fingerprint: str
    not_before: int
    not_after: int


async def warm(places: Places) -> None:
    """Has PID 1 start acme-verify, which takes a while to load, while the CA validates."""
    await _client(places).warm()


def _client(places: Places) -> varlink.Client:
    return varlink.Client(varlink.load("org.acmed.Verify"), places.verify_socket)


async def verify(places: Places, name: str, pending: request.Request, chain: str) -> Verified:
    """Has the chain parsed and held against the request. Raises InvalidChain or InstallFailed."""
    if len(chain) > MAX_CHAIN:
        message = f"it has {len(chain)} bytes; allowed are {MAX_CHAIN}"
        raise refusal("InvalidChain", certificate=name, message=message)
    identifiers = [{"type": identifier.type, "value": identifier.value} for identifier in pending.identifiers]
    try:
        answer = await _client(places).call(
            "VerifyChain",
            timeout=_VERIFY_TIMEOUT,
            chain=chain,
            publicKey=pending.public_key,
            identifiers=identifiers,
        )
        return _checked(answer)
    except VarlinkError as error:
        message = str(error.parameters.get("message", error.name))
        raise refusal("InvalidChain", certificate=name, message=message) from error
    except (ConnectionLost, TimeoutError, _Nonsense) as error:
        message = f"acme-verify did not check the chain ({error or 'timeout'}); see: journalctl -u acme-verify.service"
        raise refusal("InstallFailed", certificate=name, message=message) from error


def install(
    places: Places, configuration: Configuration, certificate: Certificate, material: request.Material, new: Verified
) -> sets.Set:
    """Writes the master set, switches, and removes what is too old. Raises OSError or a refusal; then what was
    installed still is. To install what is installed already is no error, and changes nothing.
    """
    name = certificate.name
    access = ownership.key_access(configuration.services[service] for service in certificate.services)
    blocks = [pem.encode(der).encode() for der in new.certificates]
    data = sets.Content(material.private_key, blocks[0], b"".join(blocks[1:]))
    chosen = _set(places, name, material.request, new, data)
    installed = sets.current(places, name)
    if installed is None or installed.id != chosen.id:
        sets.publish(places, name, chosen, data, access)
        journal.notice(
            "Installed certificate %s, serial number %s, valid until %s",
            name,
            chosen.serial_number,
            datetime.fromtimestamp(chosen.not_after / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
            serial=chosen.serial_number,
            fingerprint=chosen.fingerprint,
        )
    sets.tidy(places, name, chosen)
    return chosen


def _set(places: Places, name: str, pending: request.Request, new: Verified, data: sets.Content) -> sets.Set:
    """The master set of this certificate: the one that an interrupted installation left, or a new one."""
    chain_sha256 = hashlib.sha256(data.fullchain).hexdigest()
    for one in sets.kept(places, name):
        if one.fingerprint != new.fingerprint:
            continue
        if (one.request, one.chain_sha256) == (pending.id, chain_sha256):
            return one
        if one.request != pending.id:
            message = "this certificate was installed before, for another request; the CA was to issue a new one"
            raise refusal("InvalidChain", certificate=name, message=message)
    chosen = sets.Set(
        id=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{new.serial_number[:16]}",
        request=pending.id,
        account=pending.account,
        key_type=pending.key_type,
        serial_number=new.serial_number,
        issuer=new.issuer,
        fingerprint=new.fingerprint,
        not_before=new.not_before,
        not_after=new.not_after,
        chain_sha256=chain_sha256,
    )
    sets.write(places, name, chosen, data)
    return chosen


def _checked(answer: dict[str, Any]) -> Verified:
    """Varlink has checked the types. Raises _Nonsense where a value is not what its description says."""
    try:
        certificates = tuple(base64.b64decode(text, validate=True) for text in answer["certificates"])
    except binascii.Error as error:
        raise _Nonsense("certificates that are not base64") from error
    sound = (
        1 <= len(certificates) <= _MAX_CERTIFICATES
        and sum(map(len, certificates)) <= MAX_CHAIN
        and re.fullmatch("[0-9a-f]{1,64}", answer["serialNumber"])
        and hashlib.sha256(certificates[0]).hexdigest() == answer["fingerprint"]
        and 0 <= answer["notBefore"] < answer["notAfter"] < 2**63
    )
    if not sound:
        raise _Nonsense("an answer that cannot be")
    return Verified(
        certificates,
        answer["serialNumber"],
        journal.printable(answer["issuer"])[:_LONGEST_ISSUER],
        answer["fingerprint"],
        answer["notBefore"],
        answer["notAfter"],
    )
