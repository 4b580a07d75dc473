# SPDX-License-Identifier: LGPL-2.1-or-later
"""What [defaults] and a certificate's file may both say."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from acmed.config.model import KEY_USAGES, ChallengeType, Hash, KeyType
from acmed.config.section import Section
from acmed.config.values import Names, absolute_path, account_name, known_names
from acmed.config.words import did_you_mean, kind_of, listed, quoted

MAX_DAYS = 36500
# What public CAs may put notBefore back at most (CA/Browser Forum, Baseline Requirements for TLS, section 7.1.2.7).
MAX_BACKDATE = 48

_PROFILE = re.compile(r"[!-~]{1,64}")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){15,}")
_SHA256_DIGITS = 64
_LONGEST_ISSUER = 200  # characters


@dataclass(frozen=True)
class Common:
    """The fields are those of model.Certificate; None: it is not said there."""

    account: str | None = None
    failover: tuple[str, ...] | None = None
    key_type: KeyType | None = None
    reuse_key: bool | None = None
    services: tuple[str, ...] | None = None
    challenge: ChallengeType | None = None
    preflight: bool | None = None
    profile: str | None = None
    must_staple: bool | None = None
    renew_before: int | float | None = None
    preferred_chain: str | None = None
    validity_days: int | None = None
    backdate_hours: int | None = None
    key_usage: tuple[str, ...] | None = None
    hash: Hash | None = None
    trust_anchors: Path | None = None

    def said(self) -> dict[str, Any]:
        """What is said, by field."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def common(section: Section, accounts: Names, services: Names) -> Common:
    """What a table says of schema.DEFAULTS. What has a problem is in section.broken."""
    account = account_name(section, accounts)
    failover = known_names(section, "failover", "account", accounts)
    _not_itself(section, failover, account)
    key_type = section.choice("key-type", [word.value for word in KeyType])
    challenge = section.choice("challenge", [word.value for word in ChallengeType])
    digest = section.choice("hash", [word.value for word in Hash])
    anchors = absolute_path(section, "trust-anchors")
    return Common(
        account,
        failover,
        KeyType(key_type) if key_type else None,
        section.flag("reuse-key"),
        known_names(section, "services", "service", services),
        ChallengeType(challenge) if challenge else None,
        section.flag("preflight"),
        _profile(section),
        section.flag("must-staple"),
        _renew_before(section),
        _preferred_chain(section),
        section.integer("validity-days", 1, MAX_DAYS),
        section.integer("backdate-hours", 1, MAX_BACKDATE),
        _key_usage(section),
        Hash(digest) if digest else None,
        Path(anchors) if anchors else None,
    )


def _not_itself(section: Section, failover: tuple[str, ...] | None, account: str | None) -> None:
    if failover and account in failover:
        what = f"has {quoted(account)}, which is 'account' and tried first anyway"
        section.wrong("failover", what, "remove it", failover.index(account))


def _key_usage(section: Section) -> tuple[str, ...] | None:
    """In the order of the bits, so that the same ones are the same however they are written."""
    words = section.texts("key-usage", '["digitalSignature"]')
    if words is None:
        return None
    for index, word in enumerate(words):
        if word not in KEY_USAGES:
            what = f"has {quoted(word)}; allowed are {listed(KEY_USAGES)}"
            section.wrong("key-usage", what, did_you_mean(word, KEY_USAGES), index)
        elif word in words[:index]:
            section.wrong("key-usage", f"has {quoted(word)} twice", index=index)
        elif word.endswith("Only") and "keyAgreement" not in words:  # RFC 5280 section 4.2.1.3
            section.wrong(
                "key-usage", f"has {quoted(word)}, which has a meaning beside 'keyAgreement' alone", index=index
            )
    return tuple(word for word in KEY_USAGES if word in words)


def _profile(section: Section) -> str | None:
    text = section.text("profile")
    if text is not None and not _PROFILE.fullmatch(text):
        section.wrong("profile", f"is {quoted(text)}; a profile's name is a word of at most 64 ASCII characters")
    return text


def _renew_before(section: Section) -> int | float | None:
    """Days, or the share of the lifetime that is left."""
    value = section.value("renew-before")
    if type(value) is int:
        return section.integer("renew-before", 1, MAX_DAYS)
    if type(value) is float and 0 < value < 1:
        return value
    if value is not None:
        what = f"is {value}" if type(value) is float else f"is {kind_of(value)}"
        allowed = "it must be a number of days such as 30, or a share of the lifetime between 0 and 1 such as 0.33"
        section.wrong("renew-before", f"{what}; {allowed}")
    return None


def _preferred_chain(section: Section) -> str | None:
    """An issuer's name as it is, or a SHA-256 in lower case without colons."""
    text = section.text("preferred-chain")
    if text is None:
        return None
    if _HEXADECIMAL.fullmatch(text):
        digits = text.replace(":", "").lower()
        if len(digits) == _SHA256_DIGITS:
            return digits
        what = f"is {quoted(text)}, of {len(digits)} hexadecimal digits; a SHA-256 has {_SHA256_DIGITS}"
        section.wrong("preferred-chain", what, "openssl x509 -noout -fingerprint -sha256 -in ROOT.pem prints it")
    elif not text.isprintable() or text != text.strip() or not 1 <= len(text) <= _LONGEST_ISSUER:
        allowed = "it must be the common name of an issuer such as 'ISRG Root X1', or a SHA-256 in hexadecimal"
        section.wrong("preferred-chain", f"is {quoted(text)}; {allowed}")
    return text
