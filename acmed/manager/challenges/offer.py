# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the CA offers, as acme-clientd lists it. That comes from the network: nothing is used but what has the right
shape and is for a name that was ordered.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from acmed import journal
from acmed.config.model import ChallengeType
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.names import Identifier

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")  # RFC 8555 section 8.3; the name of a file
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
# draft-ietf-acme-dns-persist section 3.1: lower-case A-labels, without the final dot; one to ten of them.
_ISSUER = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_MOST_ISSUERS = 10
_WORD = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True)
class Challenge:
    """One that can be answered. ordered: the identifier as it was ordered, with "*." for a wildcard.

    token and key_authorization are empty, and issuers has names, for dns-persist-01.
    """

    ordered: Identifier
    type: ChallengeType
    url: str
    token: str = ""
    key_authorization: str = ""
    issuers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.ordered.value

    @property
    def wildcard(self) -> bool:
        return self.ordered.type == "dns" and self.name.startswith("*.")

    @property
    def base(self) -> Identifier:
        """The identifier without "*."."""
        return Identifier(self.ordered.type, self.name.removeprefix("*."))


@dataclass(frozen=True)
class Offer:
    """What there is for one pending authorization. types: all that the CA listed, for people."""

    ordered: Identifier
    types: tuple[str, ...]
    challenges: tuple[Challenge, ...]

    @property
    def name(self) -> str:
        return self.ordered.value


def offers(listed: Iterable[dict[str, Any]], ordered: Sequence[Identifier]) -> list[Offer]:
    """By identifier, in the order in which they are listed. Raises Failure where one was not ordered."""
    known = {_key(identifier.type, identifier.value): identifier for identifier in ordered}
    found: dict[Identifier, list[dict[str, Any]]] = {}
    for one in listed:
        value = ("*." if one["wildcard"] else "") + one["identifier"]["value"]
        identifier = known.get(_key(one["identifier"]["type"], value))
        if identifier is None:
            raise Failure(errors.CHALLENGE_UNAVAILABLE, f"The CA asks to validate {value}, which was not ordered")
        found.setdefault(identifier, []).append(one)
    return [
        Offer(
            identifier,
            tuple(dict.fromkeys(_word(one["type"]) for one in several)),
            tuple(challenge for one in several if (challenge := _read(identifier, one))),
        )
        for identifier, several in found.items()
    ]


def check_ours(challenges: Iterable[Challenge], thumbprint: str | None) -> None:
    """Raises Failure where one is not for our account's key (RFC 8555 section 8.1), whose thumbprint acme-keyd tells:
    who has the other key would have the name validated for an account of his own. thumbprint: None where that key could
    not be used.
    """
    if thumbprint is None and any(one.token for one in challenges):
        raise Failure(
            errors.KEY_UNAVAILABLE,
            "acme-keyd could not use the account's key when it was asked whose challenges are to be answered; its "
            "journal has why: journalctl -u acme-keyd.service",
        )
    for one in challenges:
        if one.token and one.key_authorization != f"{one.token}.{thumbprint}":
            raise Failure(
                errors.POLICY_VIOLATION,
                f"acme-clientd wants the challenge for {one.name} answered for another key than the account's. Try "
                "again; where that key was not just changed, acme-clientd does what it must not",
            )


def is_issuer(text: str) -> bool:
    """Whether it may be how a CA is called in DNS."""
    return bool(_ISSUER.fullmatch(text))


def rows(challenges: Iterable[Challenge], status: str) -> list[list[str]]:
    """As the property Challenges has them: identifier, type, status."""
    return [[challenge.name, challenge.type.value, status] for challenge in challenges]


def _read(identifier: Identifier, one: dict[str, Any]) -> Challenge | None:
    """None for a type that acmed does not know, and for what is not in the form that its type has."""
    try:
        kind = ChallengeType(one["type"])
    except ValueError:
        return None
    if kind is ChallengeType.NONE:
        return None
    if kind is ChallengeType.DNS_PERSIST_01:
        issuers = one["issuers"]
        if not 0 < len(issuers) <= _MOST_ISSUERS or not all(map(is_issuer, issuers)):
            _warn(identifier, kind)
            return None
        return Challenge(identifier, kind, one["url"], issuers=tuple(issuers))
    token, content = one["token"] or "", one["keyAuthorization"] or ""
    start, _, thumbprint = content.partition(".")
    if start != token or not _TOKEN.fullmatch(token) or not _THUMBPRINT.fullmatch(thumbprint):
        _warn(identifier, kind)
        return None
    return Challenge(identifier, kind, one["url"], token, content)


def _warn(identifier: Identifier, kind: ChallengeType) -> None:
    journal.warning("The CA's %s challenge for %s is not in the form that it must have", kind, identifier)


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else "an unknown type"


def _key(kind: str, value: str) -> tuple[str, str]:
    """Comparable: a CA may write a name with capitals, and an IPv6 address in another form."""
    if kind == "ip":
        with suppress(ValueError):
            value = str(ipaddress.ip_address(value))
    return kind, value.lower()
