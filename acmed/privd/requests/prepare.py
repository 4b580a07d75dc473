# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which request is the next one: the pending one where it is still right, so that an order can be resumed after a crash
of anybody, or a new one in its place.
"""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from acmed import journal
from acmed.config import Certificate
from acmed.names import Identifier
from acmed.privd import keys
from acmed.privd.installed import sets, whole
from acmed.privd.keys import Origin
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.privd.requests import provided, request, retired_keys
from acmed.privd.requests.csr import signing_request
from acmed.privd.requests.elsewhere import Elsewhere
from acmed.privd.requests.request import Material, Request, Terms

_ID_BYTES = 16
_TIME = "%Y-%m-%dT%H:%M:%SZ"
# A certificate is to have at least this share of its configured days when it is ordered, and to be put back by at most
# this much of its configured hours.
_LEAST_VALIDITY = 2 / 3
_MOST_BACKDATING = 3 / 2


@dataclass(frozen=True)
class Wish:
    """Who asks: acmed's job, the account that the request is for, and whether a new key is wanted."""

    job: int
    account: str
    new_key: bool


def prepare(places: Places, certificate: Certificate, wish: Wish, csr: Elsewhere | None) -> Material:
    """csr: the one that was made elsewhere, where configuration says that there is one. Raises InvalidConfiguration or
    OSError.
    """
    if wish.new_key and (csr or certificate.key_file):
        raise _no_new_key(certificate)
    key = provided.read(certificate) if certificate.key_file else None
    terms = _terms(certificate, key, csr)
    _check_not_compromised(places, certificate, key, csr)
    pending = request.read(places, certificate.name)
    if pending and _still_right(places, certificate.name, pending.request, terms, wish) and _has_its_key(pending):
        return _taken_over(places, certificate.name, pending, wish)
    material = _from_elsewhere(csr, terms, wish) if csr else _made(places, certificate, key, terms, wish)
    request.write(places, certificate.name, material)
    return material


def _terms(certificate: Certificate, key: keys.PrivateKey | None, csr: Elsewhere | None) -> Terms:
    terms = Terms(
        frozenset(certificate.identifiers),
        certificate.key_type.value,
        must_staple=certificate.must_staple,
        common_name=certificate.common_name,
        subject=certificate.subject,
        profile=certificate.profile,
        validity_days=certificate.validity_days,
        backdate_hours=certificate.backdate_hours,
        key_usage=certificate.key_usage,
        hash=certificate.hash.value,
    )
    if csr:
        return replace(
            terms, key_type=csr.key_type, origin=Origin.ELSEWHERE, given=csr.sha256, must_staple=csr.must_staple
        )
    if key:
        return replace(terms, key_type=keys.type_of(key), origin=Origin.PROVIDED, given=keys.encoded_public_key(key))
    return terms


def _check_not_compromised(
    places: Places, certificate: Certificate, key: keys.PrivateKey | None, csr: Elsewhere | None
) -> None:
    """What others gave. Raises InvalidConfiguration."""
    public_key = csr.public_key if csr else keys.encoded_public_key(key) if key else None
    if public_key and retired_keys.is_compromised(places, public_key):
        what = "the key of the CSR" if csr else f"the key in {certificate.key_file}"
        message = f"{certificate.path}: {what} was said to be compromised when a certificate was revoked; give another"
        raise refusal("InvalidConfiguration", message=message)


def _still_right(places: Places, name: str, pending: Request, terms: Terms, wish: Wish) -> bool:
    if pending.terms != terms or (
        terms.origin is Origin.GENERATED and retired_keys.is_retired(places, pending.public_key)
    ):
        return False
    if pending.job == wish.job:  # asked again after a crash, or for the next account
        return pending.new_key or not wish.new_key
    installed = sets.current(places, name)
    is_installed = installed is not None and request.base(installed.request) == pending.id
    return not (is_installed or wish.new_key)


def _has_its_key(pending: Material) -> bool:
    """Whether what the CA issues for it would have a key."""
    damage = request.key_damage(pending)
    if damage:
        journal.warning(
            "The key of the pending request %s is damaged (%s); another one is made", pending.request.id, damage
        )
    return not damage


def _taken_over(places: Places, name: str, material: Material, wish: Wish) -> Material:
    """For a later job that goes on with the request of an earlier one, or for another account."""
    pending = material.request
    same_job = pending.job == wish.job
    still_good = same_job or _lasts(pending)
    not_before, not_after = (pending.not_before, pending.not_after) if still_good else _validity(pending.terms)
    taken = replace(
        pending,
        job=wish.job,
        new_key=same_job and pending.new_key,
        account=wish.account,
        accounts=tuple(dict.fromkeys([*pending.accounts, wish.account])),
        not_before=not_before,
        not_after=not_after,
    )
    if taken != pending:
        request.update(places, name, taken)
    return replace(material, request=taken)


def _made(places: Places, certificate: Certificate, key: keys.PrivateKey | None, terms: Terms, wish: Wish) -> Material:
    if key is None and certificate.reuse_key and not wish.new_key:
        key = _installed_key(places, certificate)
    key = key or keys.generate(certificate.key_type)
    der = signing_request(key, certificate)
    made = _request(certificate.identifiers, keys.encoded_public_key(key), der, terms, wish)
    return Material(made, keys.to_pem(key), der)


def _from_elsewhere(csr: Elsewhere, terms: Terms, wish: Wish) -> Material:
    return Material(_request(csr.identifiers, csr.public_key, csr.der, terms, wish), None, csr.der)


def _request(identifiers: tuple[Identifier, ...], public_key: str, der: bytes, terms: Terms, wish: Wish) -> Request:
    not_before, not_after = _validity(terms)
    return Request(
        id=secrets.token_hex(_ID_BYTES),
        job=wish.job,
        account=wish.account,
        identifiers=identifiers,
        key_type=terms.key_type,
        public_key=public_key,
        csr_sha256=hashlib.sha256(der).hexdigest(),
        new_key=wish.new_key,
        accounts=(wish.account,),
        origin=terms.origin,
        must_staple=terms.must_staple,
        common_name=terms.common_name,
        subject=terms.subject,
        profile=terms.profile,
        validity_days=terms.validity_days,
        not_after=not_after,
        key_usage=terms.key_usage,
        hash=terms.hash,
        backdate_hours=terms.backdate_hours,
        not_before=not_before,
    )


def _installed_key(places: Places, certificate: Certificate) -> keys.PrivateKey | None:
    """The key of the installed set, for reuse-key: where it was made here, is not damaged, is of the type that is asked
    for, and no certificate of it was revoked.
    """
    current = sets.current(places, certificate.name)
    if current is None or (current.origin, current.key_type) != (Origin.GENERATED, certificate.key_type.value):
        return None
    data = whole.private_key(places, certificate.name, current)
    if data is None:
        journal.warning("%s gets a new key, in spite of reuse-key: the one that it had is damaged", certificate.name)
        return None
    key = keys.from_pem(data)
    return None if retired_keys.is_retired(places, keys.encoded_public_key(key)) else key


def _validity(terms: Terms) -> tuple[str | None, str | None]:
    """notBefore and notAfter of what is ordered now (RFC 8555 section 7.4), None for what is left to the CA."""
    now, back, days = datetime.now(UTC), terms.backdate_hours, terms.validity_days
    begin = None if back is None else (now - timedelta(hours=back)).strftime(_TIME)
    end = None if days is None else (now + timedelta(days=days)).strftime(_TIME)
    return begin, end


def _lasts(pending: Request) -> bool:
    """Whether begin and end that were computed for an earlier job still are about what is asked for: newOrder is then
    the same, and an order of it whose answer was lost is found. Where the clock was set back since, they are not.
    """
    now, hours, days = datetime.now(UTC), pending.backdate_hours, pending.validity_days
    if pending.not_before is not None and hours is not None:
        back = now - _moment(pending.not_before)
        if not timedelta() <= back <= _MOST_BACKDATING * timedelta(hours=hours):
            return False
    if pending.not_after is None or days is None:
        return True
    return _LEAST_VALIDITY * timedelta(days=days) <= _moment(pending.not_after) - now <= timedelta(days=days)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def _no_new_key(certificate: Certificate) -> Exception:
    if certificate.key_file:
        what = f"its key is root's ('key-file' = {str(certificate.key_file)!r}): put another one there"
    else:
        what = "its CSR was made elsewhere: order with another one"
    return refusal("InvalidConfiguration", message=f"{certificate.path}: a new key cannot be made here, as {what}")
