# SPDX-License-Identifier: LGPL-2.1-or-later
"""[account.NAME.limits] and [account.NAME.deadlines]."""

import re
from dataclasses import replace

from acmed.config import schema
from acmed.config.model import DAY, DIRECTORY_LIMITS, HOUR, Deadlines, Limits, Rate
from acmed.config.section import Section
from acmed.config.words import quoted, title

_RATE = re.compile(r"([0-9]{1,6})/([0-9]{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": HOUR, "d": DAY}
_LONGEST_PERIOD = 366 * DAY
_NO_LIMIT = "none"

# The longest that makes sense, in seconds. A lease opens the port of a challenge for a quarter of an hour, a minute of
# which is for what comes before the CA looks; a request that takes longer than ten minutes is lost. A CA where people
# decide may take a day.
LONGEST = {"propagation": DAY, "authorization": 840, "finalize": DAY, "request": 600}
_WHY = {"authorization": "the port of a challenge is open for 15 minutes at most"}


def limits(section: Section, account: str, directory: str | None) -> Limits:
    """What the CA at that directory is known for, with what the table "limits" has in place of it."""
    known = DIRECTORY_LIMITS.get(directory or "", Limits())
    inner = section.inner("limits", title("account", account, "limits"), schema.LIMITS)
    if inner is None:
        return known
    given = {key: _rate(inner, key) for key in schema.LIMITS if inner.has(key)}
    return replace(known, **given)


def _rate(inner: Section, key: str) -> Rate | None:
    text = inner.text(key)
    if text is None or text == _NO_LIMIT:
        return None
    match = _RATE.fullmatch(text)
    count, seconds = (int(match[1]), int(match[2]) * _UNITS[match[3]]) if match else (0, 0)
    if count < 1 or not 1 <= seconds <= _LONGEST_PERIOD:
        allowed = 'it must be a number and a period in s, m, h or d, such as "300/3h", or "none"'
        inner.wrong(key, f"is {quoted(text)}; {allowed}")
        return None
    return Rate(count, seconds)


def deadlines(section: Section, account: str) -> Deadlines:
    """Seconds, with the built-in ones where the table "deadlines" does not have one."""
    inner = section.inner("deadlines", title("account", account, "deadlines"), schema.DEADLINES)
    if inner is None:
        return Deadlines()
    given = {key: inner.integer(key, 1, LONGEST[key], _WHY.get(key, "")) for key in schema.DEADLINES}
    return replace(Deadlines(), **{key: value for key, value in given.items() if value is not None})
