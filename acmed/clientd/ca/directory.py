# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a CA says of itself (RFC 8555 section 7.1.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import Unreachable

_NEEDED = ("newNonce", "newAccount", "newOrder")
_LONGEST = 2048  # characters of a URL, or of a description
_MOST = 100  # profiles, or CAA identities


@dataclass(frozen=True)
class Directory:
    """resources: the URL of each, by its name there (newOrder). terms and website: URLs, None where the CA has none.

    profiles: draft-ietf-acme-profiles section 3, each with its description or the URL of one.
    """

    resources: Mapping[str, str]
    terms: str | None
    website: str | None
    caa_identities: tuple[str, ...]
    external_account_required: bool
    profiles: Mapping[str, str]


def directory(answer: Answer) -> Directory:
    """The directory in an answer. What is there besides, and of another type than it should be, is left out.

    Raises Unreachable for what is none, or one of ACME v1.
    """
    fields = answer.object()
    if "new-reg" in fields or "new-authz" in fields:
        raise Unreachable(answer.url, "is the directory of ACME v1, which no client of RFC 8555 can use")
    resources = {name: value for name, value in fields.items() if isinstance(value, str)}
    for name in _NEEDED:
        if name not in resources:
            raise Unreachable(answer.url, f"is no ACME directory: it has no {name}")
    meta = fields.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    identities, profiles = meta.get("caaIdentities"), meta.get("profiles")
    return Directory(
        resources,
        _text(meta.get("termsOfService")),
        _text(meta.get("website")),
        tuple(filter(None, map(_text, identities[:_MOST] if isinstance(identities, list) else ()))),
        meta.get("externalAccountRequired") is True,
        {
            name: _text(description) or ""
            for name, description in list(profiles.items() if isinstance(profiles, dict) else ())[:_MOST]
            if _text(name)
        },
    )


def _text(value: Any) -> str | None:
    """Printable text that is not empty, else None."""
    return value[:_LONGEST] if isinstance(value, str) and value.isprintable() and value else None
