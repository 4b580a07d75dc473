# SPDX-License-Identifier: LGPL-2.1-or-later
"""When a CA wants a certificate to be renewed (RFC 9773)."""

from dataclasses import dataclass
from typing import Any

from acmed.clientd.ca import objects, rfc3339
from acmed.clientd.ca.authority import Authority
from acmed.clientd.ca.patience import persist
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import Unreachable

_SHORTEST, _LONGEST = 60, 86400  # seconds, section 4.3.2
_DEFAULT = 6 * 3600  # seconds, section 4.3.3
_LONGEST_URL = 2048


@dataclass(frozen=True)
class RenewalInfo:
    """The window, in microseconds since the epoch; None where the CA tells none. retry_after: seconds."""

    start: int | None
    end: int | None
    explanation: str | None
    retry_after: int


async def renewal_info(authority: Authority, cert_id: str) -> RenewalInfo:
    """Asks for it, without a signature. cert_id: section 4.1. Raises AcmeError, or Unreachable for a broken answer."""
    if "renewalInfo" not in (await authority.resources.directory()).resources:
        return RenewalInfo(None, None, None, _LONGEST)
    return _read(await authority.resources.located("renewalInfo", lambda base: _asked(authority, base, cert_id)))


async def _asked(authority: Authority, base: str, cert_id: str) -> Answer:
    url = f"{base.rstrip('/')}/{cert_id}"

    async def attempt(within: float) -> Answer:
        answer = await authority.exchange("GET", url, within)
        if answer.status >= 400:
            error = objects.refusal(answer)
            if error.retry_after is not None:
                error.retry_after = min(error.retry_after, _LONGEST)
            raise error
        if answer.status >= 300:
            raise Unreachable(url, f"redirects to {answer.headers.get('location', 'nowhere')}, which is not followed")
        return answer

    return await persist(attempt, authority.patience(repeatable=True))


def _read(answer: Answer) -> RenewalInfo:
    fields = answer.object()
    window = fields.get("suggestedWindow")
    if not isinstance(window, dict):
        raise Unreachable(answer.url, "answered with renewal information that has no window")
    try:
        start, end = (rfc3339.microseconds(str(window.get(name))) for name in ("start", "end"))
    except ValueError as error:
        raise Unreachable(answer.url, f"answered with a window for renewal that cannot be read: {error}") from error
    if end <= start:
        raise Unreachable(answer.url, "answered with a window for renewal that ends before it begins")
    return RenewalInfo(start, end, _url(fields.get("explanationURL")), _retry_after(answer))


def _retry_after(answer: Answer) -> int:
    asked = answer.retry_after
    return _DEFAULT if asked is None else int(min(max(asked, _SHORTEST), _LONGEST))


def _url(value: Any) -> str | None:
    """For people to open; nothing else than a web page is."""
    fits = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= _LONGEST_URL
    return str(value) if fits and value.isascii() and value.isprintable() else None
