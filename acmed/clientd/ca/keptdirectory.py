# SPDX-License-Identifier: LGPL-2.1-or-later
"""The directories of CAs, kept on the disk: a run that begins without one saves the request for it.

A CA's resources are where they were for years, and one that is not is found out by its answer (resources.py). So a
directory is kept for a day, and for less where Cache-Control (RFC 9111 section 5.2) has a max-age that is shorter, and
not at all where it has no-store. "max-age=0, no-cache", which Boulder and Pebble say of all that they answer, asks that
nothing is used without the CA's word that it is still good: here that is the answer of the resource.
"""

import re
import time

from acmed.clientd.ca.directory import Directory, directory
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import Unreachable
from acmed.clientd.notes import Notes

_LONGEST = 86400  # seconds
_MAX_AGE = re.compile(r"(?<![\w-])max-age\s*=\s*\"?(\d{1,9})\b", re.ASCII)


def save(notes: Notes, url: str, answer: Answer) -> None:
    """Keeps the answer, which is a directory; url: the one that root configured, wherever that led to."""
    control = answer.headers.get("cache-control", "").lower()
    if "no-store" in control:
        notes.drop(url)
        return
    found = _MAX_AGE.search(control)
    lifetime = min(int(found[1]) if found else 0, _LONGEST) or _LONGEST
    now = int(time.time())
    notes.write(url, fetched=now, until=now + lifetime, body=answer.body.decode(errors="replace"))


def load(notes: Notes, url: str) -> tuple[Directory, float] | None:
    """The directory, and for how many seconds more it is good; None where there is none, or it is none."""
    note = notes.read(url)
    fetched, until, body, now = note.get("fetched"), note.get("until"), note.get("body"), time.time()
    if not isinstance(fetched, int) or not isinstance(until, int) or not isinstance(body, str):
        return None
    if not fetched <= now < until <= fetched + _LONGEST:
        return None
    try:
        return directory(Answer(url, 200, {}, body.encode(errors="replace"))), until - now
    except Unreachable:
        return None
