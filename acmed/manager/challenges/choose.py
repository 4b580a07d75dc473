# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which challenge is answered for which name: what the configuration says for the name or the certificate, else what
fits the name best of that which the CA offers.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from acmed.config import Certificate, Configuration
from acmed.config.model import ChallengeType
from acmed.manager import errors
from acmed.manager.challenges.offer import Challenge, Offer, offers
from acmed.manager.errors import Failure
from acmed.names import Identifier

# What the configuration says for an identifier, None where acmed chooses.
Wish = Callable[[Identifier], ChallengeType | None]

_HOST = (ChallengeType.HTTP_01, ChallengeType.TLS_ALPN_01)
# A lasting record comes last: it is the only thing that is left behind.
_DNS = (ChallengeType.DNS_01, ChallengeType.DNS_ACCOUNT_01, ChallengeType.DNS_PERSIST_01)


def wishes(certificate: Certificate | None) -> Wish:
    """Of a certificate's configuration; without one acmed chooses."""
    if certificate is None:
        return lambda _: None
    return lambda identifier: certificate.challenges.get(identifier.value, certificate.challenge)


def preference(configuration: Configuration, identifier: Identifier) -> tuple[ChallengeType, ...]:
    """What can validate an identifier, the best first: DNS where there is a zone for it, or where nothing else can
    (a wildcard; RFC 8555 section 7.1.3); never for an address (RFC 8738).
    """
    if identifier.type == "ip":
        return _HOST
    if identifier.value.startswith("*."):
        return _DNS
    return (*_DNS, *_HOST) if configuration.zone_above(identifier.value) else (*_HOST, *_DNS)


def expected(configuration: Configuration, wish: Wish, identifier: Identifier) -> ChallengeType:
    """What is going to be chosen, as far as that is known before the CA was asked."""
    return wish(identifier) or preference(configuration, identifier)[0]


def types_for(
    configuration: Configuration, certificate: Certificate | None, identifiers: Iterable[Identifier]
) -> dict[Identifier, ChallengeType]:
    """What is going to be chosen for each."""
    wish = wishes(certificate)
    return {identifier: expected(configuration, wish, identifier) for identifier in identifiers}


def choose(
    listed: Sequence[dict[str, Any]],
    ordered: Sequence[Identifier],
    configuration: Configuration,
    certificate: Certificate | None,
) -> list[Challenge]:
    """One challenge for each pending authorization. listed: those of acme-clientd. Raises Failure, which names every
    identifier that has none.
    """
    wish = wishes(certificate)
    chosen, problems = [], []
    for offer in offers(listed, ordered):
        found = _pick(offer, configuration, wish(offer.ordered))
        if isinstance(found, Challenge):
            chosen.append(found)
        else:
            problems.append(found)
    if problems:
        raise Failure(errors.CHALLENGE_UNAVAILABLE, "; ".join(problems))
    return chosen


def _pick(offer: Offer, configuration: Configuration, wanted: ChallengeType | None) -> Challenge | str:
    """The challenge, or why there is none."""
    offered = ", ".join(offer.types)
    if wanted is ChallengeType.NONE:
        return (
            f'{offer.name} has no valid authorization at the CA, and challenge = "none" forbids to get one here '
            f"(the CA offers {offered}); 'acmectl authorize {offer.name}' gets one"
        )
    for kind in (wanted,) if wanted else preference(configuration, offer.ordered):
        for challenge in offer.challenges:
            if challenge.type is kind:
                return challenge
    if wanted:
        return f"{offer.name} is to be validated by {wanted}, as configured, and the CA offers {offered}"
    return f"{offer.name} cannot be validated here: the CA offers {offered}"
