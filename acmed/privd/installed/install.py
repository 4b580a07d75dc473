# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts a verified chain in place. acme-verify has parsed it, and gives back certificates as base64, which are put into
PEM line by line.
"""

import hashlib
from datetime import UTC, datetime

from acmed import journal, pem
from acmed.config import Certificate, Configuration
from acmed.privd.installed import archive, ownership, sets
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.privd.requests import request, retired_keys
from acmed.privd.verifier import Verified


def install(
    places: Places, configuration: Configuration, certificate: Certificate, material: request.Material, new: Verified
) -> sets.Set:
    """Writes the master set, switches, and removes what is too old. The request's account is the one that ordered.

    Raises OSError or a refusal; then what was installed still is. To install what is installed already is no error, and
    changes nothing.
    """
    name = certificate.name
    access = ownership.key_access(configuration, certificate)
    blocks = [pem.encode(der).encode() for der in new.certificates]
    data = sets.Content(material.private_key, blocks[0], b"".join(blocks[1:]))
    account = configuration.accounts.get(material.request.account)
    chosen = _kept(places, name, material.request, new, data)
    if chosen is None or chosen.id != sets.current_id(places, name):
        _check_key(places, name, material)
        chosen = chosen or _written(places, name, material.request, account.directory if account else "", new, data)
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


def _kept(places: Places, name: str, pending: request.Request, new: Verified, data: sets.Content) -> sets.Set | None:
    """The master set of this certificate that an earlier installation left, which may have been interrupted. Raises
    InvalidChain: this one is not to be installed.
    """
    if archive.has(places, name, new.fingerprint):
        raise refusal(
            "InvalidChain", certificate=name, message="this certificate was revoked; the CA was to issue a new one"
        )
    if retired_keys.is_compromised(places, pending.public_key):  # meanwhile, by another certificate's revocation
        message = "its key was said to be compromised when a certificate was revoked, and is not used"
        raise refusal("InvalidChain", certificate=name, message=message)
    chain_sha256 = hashlib.sha256(data.fullchain).hexdigest()
    for one in sets.kept(places, name):
        if one.fingerprint != new.fingerprint:
            continue
        if request.base(one.request) != pending.id:
            message = "this certificate was installed before, for another request; the CA was to issue a new one"
            raise refusal("InvalidChain", certificate=name, message=message)
        if one.chain_sha256 == chain_sha256:
            return one
    return None


def _check_key(places: Places, name: str, material: request.Material) -> None:
    """Raises InstallFailed."""
    if damage := request.key_damage(material):
        message = f"{places.pending(name)}/privkey.pem is damaged ({damage}); order it again: another key is made"
        raise refusal("InstallFailed", certificate=name, message=message)


def _written(
    places: Places, name: str, pending: request.Request, directory: str, new: Verified, data: sets.Content
) -> sets.Set:
    """A new master set. Raises OSError."""
    chosen = sets.Set(
        id=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{new.serial_number[:16]}",
        request=pending.name,
        account=pending.account,
        key_type=pending.key_type,
        serial_number=new.serial_number,
        issuer=new.issuer,
        fingerprint=new.fingerprint,
        not_before=new.not_before,
        not_after=new.not_after,
        chain_sha256=hashlib.sha256(data.fullchain).hexdigest(),
        directory=directory,
        cert_id=new.cert_id,
        public_key=pending.public_key,
        origin=pending.origin,
    )
    sets.write(places, name, chosen, data)
    return chosen
