# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the names of a certificate are validated: "challenge", and [challenges] for single names."""

from acmed.config import schema
from acmed.config.identifiers import identifier_key
from acmed.config.model import ChallengeType
from acmed.config.section import Section
from acmed.config.words import did_you_mean, quoted, toml_key
from acmed.names import Identifier

_WORDS = [word.value for word in ChallengeType]
_TITLE = "[challenges]"

# No CA may validate wildcards by the first (Baseline Requirements 3.2.2.4.19 and .20), or addresses by the others
# (RFC 8738 section 7).
_NO_WILDCARD = (ChallengeType.HTTP_01, ChallengeType.TLS_ALPN_01)
_NO_ADDRESS = (ChallengeType.DNS_01, ChallengeType.DNS_ACCOUNT_01, ChallengeType.DNS_PERSIST_01)


def challenges(section: Section, identifiers: tuple[Identifier, ...]) -> dict[str, ChallengeType]:
    """[challenges] of a certificate's file, by the identifiers' values."""
    inner = section.inner("challenges", _TITLE, None)
    if inner is None:
        return {}
    known = {identifier.value: identifier for identifier in identifiers}
    found: dict[str, ChallengeType] = {}
    for key in inner.keys:
        name = _name(inner, key)
        word = None if name is None else inner.choice(key, _WORDS)
        if name is None or word is None:
            continue
        if name in found:
            inner.wrong(key, "is there under another spelling too", "remove one of the two")
        elif name in known:
            if fault := _fault(known[name], ChallengeType(word)):
                inner.wrong(key, f"is {quoted(word)}; {fault}")
        elif "names" not in section.broken:
            inner.wrong(key, "is none of 'names'", did_you_mean(name, known))
        found[name] = ChallengeType(word)
    return found


def check_challenge(
    section: Section,
    identifiers: tuple[Identifier, ...],
    own: ChallengeType | None,
    default: ChallengeType | None,
) -> None:
    """Refuses "challenge", of the file or else of [defaults], where it cannot be for one of these identifiers."""
    word = own or default
    if word is None or "challenge" in section.broken:
        return
    for identifier in identifiers:
        if fault := _fault(identifier, word):
            hint = f"give it another type in {_TITLE}: {toml_key(identifier.value)} = {_instead(identifier)}"
            if own:
                section.wrong("challenge", f"is '{word}'; {fault}", hint)
            else:
                section.refuse("challenge", f"the challenge of [defaults] is '{word}'; {fault}", hint)
            return


def _name(inner: Section, key: str) -> str | None:
    """A key of [challenges] as an identifier's value; None where it is none."""
    if key in schema.CERTIFICATE and not isinstance(inner.value(key), dict):
        inner.refuse(key, f"unknown name '{key}' in {_TITLE}", f"write it above {_TITLE}: what is below belongs to it")
        return None
    return identifier_key(inner, key)


def _fault(identifier: Identifier, word: ChallengeType) -> str:
    """Why no CA validates it so, or an empty string."""
    if identifier.value.startswith("*.") and word in _NO_WILDCARD:
        return f"CAs validate a wildcard such as {quoted(identifier.value)} by DNS alone"
    if identifier.type == "ip" and word in _NO_ADDRESS:
        return f"CAs do not validate an address such as {quoted(identifier.value)} by DNS"
    return ""


def _instead(identifier: Identifier) -> str:
    return '"http-01"' if identifier.type == "ip" else '"dns-01"'
