# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a CA answers, as objects of acme.messages.

Those refuse a whole object for one field that they do not know: a status, a challenge's short token, a date, an
identifier in an error. So only what is used here is handed to them, and each challenge stays as it came. Raises
Unreachable for what is not an object of its kind. It behaves the same on acme 2.1 and 4.0.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import josepy
from acme import challenges, messages

from acmed.clientd.ca import rfc3339
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, Unreachable

# RFC 8555 section 7.1.6; acme.messages lacks it. Creating a Status makes it known.
STATUS_EXPIRED = messages.Status("expired")

_DEPTH = 4  # of subproblems in subproblems
# Characters of what a CA says; more goes to no journal and no bus. The address that Let's Encrypt gives to an account
# that is paused has a signed token in it, and works only as a whole.
_WORDS = 2000
_SHORT_WORDS = 500  # of a subproblem

T = TypeVar("T")


def order(answer: Answer) -> messages.Order:
    """RFC 8555 section 7.1.3. identifiers, status, authorizations and finalize are there, and of their types."""
    fields = _some(answer.object(), "identifiers", "status", "authorizations", "finalize", "certificate")
    urls = [fields.get("finalize"), *_list(fields.get("authorizations"))]
    if not all(isinstance(url, str) for url in urls) or not isinstance(fields.get("certificate", ""), str):
        raise Unreachable(answer.url, "answered with an order that lacks finalize or authorizations")
    if not isinstance(fields.get("identifiers"), list) or "status" not in fields:
        raise Unreachable(answer.url, "answered with an order that lacks identifiers or status")
    parsed = _parsed(answer, "order", lambda: messages.Order.from_json(fields))
    if not all(isinstance(identifier.value, str) for identifier in parsed.identifiers):
        raise Unreachable(answer.url, "answered with an order whose identifiers are not text")
    error = answer.object().get("error")
    return parsed.update(error=problem(error)) if isinstance(error, dict) else parsed


def authorization(answer: Answer) -> messages.Authorization:
    """RFC 8555 section 7.1.4. identifier and status are there; challenges that are none are left out."""
    raw = answer.object()
    fields = _some(raw, "identifier", "status")
    if not isinstance(fields.get("identifier"), dict) or "status" not in fields:
        raise Unreachable(answer.url, "answered with an authorization that lacks identifier or status")
    parsed = _parsed(answer, "authorization", lambda: messages.Authorization.from_json(fields))
    if not isinstance(parsed.identifier.value, str):
        raise Unreachable(answer.url, "answered with an authorization whose identifier is not text")
    found = [_challenge(item) for item in _list(raw.get("challenges"))]
    return parsed.update(
        challenges=tuple(challenge for challenge in found if challenge), wildcard=raw.get("wildcard") is True
    )


def expires(answer: Answer) -> int | None:
    """When an order or an authorization does, in microseconds since the epoch; None where the CA does not tell."""
    try:
        return rfc3339.microseconds(str(answer.object().get("expires")))
    except ValueError:
        return None


def _challenge(raw: Any) -> messages.ChallengeBody | None:
    """A challenge of any type, known or not. Its token is kept letter by letter: acme would decode and encode it."""
    if not isinstance(raw, dict) or not isinstance(raw.get("url"), str) or not isinstance(raw.get("type"), str):
        return None
    try:
        status = messages.Status.from_json(raw.get("status", "pending"))
    except (josepy.DeserializationError, TypeError):
        status = messages.STATUS_UNKNOWN
    error = raw.get("error")
    return messages.ChallengeBody(
        chall=challenges.UnrecognizedChallenge.from_json(raw),
        uri=raw["url"],
        status=status,
        validated=None,
        error=problem(error) if isinstance(error, dict) else None,
    )


def problem(raw: Mapping[str, Any], depth: int = 0) -> messages.Error:
    """A problem document (RFC 7807, RFC 8555 section 6.7), from whatever came. typ and detail are always text."""
    longest = _SHORT_WORDS if depth else _WORDS
    kind = _text(raw.get("type")) or "about:blank"
    detail = _text(raw.get("detail"), longest) or _text(raw.get("title"), longest) or kind
    if instance := _text(raw.get("instance"), longest):
        detail += f" (see {instance})"
    # RFC 8555 section 6.2: what it takes, where it did not take the algorithm of an account's key.
    if algorithms := [name for name in map(_text, _list(raw.get("algorithms"))[:20]) if name and name not in detail]:
        detail += f" (it takes {', '.join(algorithms)})"
    return messages.Error(
        typ=kind,
        title=None,
        detail=detail,
        identifier=_identifier(raw.get("identifier")),
        subproblems=tuple(
            problem(inner, depth + 1)
            for inner in _list(raw.get("subproblems"))[:100]
            if isinstance(inner, dict) and depth < _DEPTH
        ),
    )


def refusal(answer: Answer) -> AcmeError:
    """The error that an answer with an error status is."""
    try:
        raw = answer.object()
    except Unreachable:
        raw = {}
    understood = answer.content_type == "application/problem+json" or isinstance(raw.get("type"), str)
    if understood:
        found = problem(raw or {"detail": f"answered {answer.title}"})  # an answer to HEAD has no words
    else:
        kind = answer.content_type or "nothing"
        found = problem({"detail": f"answered {answer.title} with {kind} instead of a problem document"})
    return AcmeError(
        answer.url,
        found,
        answer.status,
        answer.retry_after,
        understood=understood,
        location=answer.headers.get("location"),
    )


def _identifier(raw: Any) -> messages.Identifier | None:
    try:
        return messages.Identifier.from_json(raw) if isinstance(raw, dict) and _text(raw.get("value")) else None
    except (josepy.DeserializationError, TypeError):
        return None


def _parsed(answer: Answer, kind: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except (josepy.DeserializationError, TypeError, AttributeError, KeyError, ValueError) as error:
        raise Unreachable(answer.url, f"answered with an {kind} that cannot be read: {error}") from error


def _some(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any, longest: int = _SHORT_WORDS) -> str:
    return value[:longest] if isinstance(value, str) else ""
