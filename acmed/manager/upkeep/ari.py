# SPDX-License-Identifier: LGPL-2.1-or-later
"""When the CA wants a certificate to be renewed (RFC 9773): asked next to the timer; what fails here fails nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from acmed import journal
from acmed.manager import clock
from acmed.manager.daemons import Daemons
from acmed.manager.errors import Failure
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.known.remembered import Window
from acmed.manager.known.status import Status
from acmed.manager.upkeep import renewal

# A CA that does not answer is asked again at one of the next runs of the timer, one that refuses later (RFC 9773
# section 4.3.3).
_UNREACHED, _REFUSED = 60 * clock.MINUTE, 360 * clock.MINUTE
# Seconds, for one and for all. The caller waits for 25 s at most.
_TIMEOUT, _TIMEOUT_OF_ALL = 10.0, 15.0
_AT_ONCE = 8
# Seconds, whatever the CA says (RFC 9773 section 4.3.2).
_SHORTEST, _LONGEST = 60, 24 * 3600
_LONGEST_URL = 1000  # characters
_MAX_SIZE = 64 * 1024  # bytes; a certificate is at most 16 KiB


def wants(status: Status, now: int) -> bool:
    """Whether a certificate's CA is to be asked now: one that expired, or that is ordered anew, is not."""
    if not status.configured or not status.installed or status.revoked or now >= status.installed.not_after:
        return False
    if status.account not in ("", *status.configured.accounts) or "ca" in status.differences:
        return False
    window = status.window
    if window is None:
        return True
    # That is farther away than any CA has it only where the clock was ahead.
    return bool(window.cert_id) and not now < window.poll_at <= now + _LONGEST * clock.SECOND


async def poll(names: Sequence[str], catalogue: Catalogue, daemons: Daemons) -> None:
    """Asks about these certificates. What fails is asked again later, and is no failure of theirs."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> None:
        async with gate:
            await _poll(name, catalogue, daemons)

    tasks = [asyncio.ensure_future(one(name)) for name in names]
    try:
        _, late = await asyncio.wait(tasks, timeout=_TIMEOUT_OF_ALL) if tasks else ((), ())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if late:
        journal.info("%d of %d certificates could not be asked about in time", len(late), len(tasks))


async def _poll(name: str, catalogue: Catalogue, daemons: Daemons) -> None:
    status = catalogue.status(name)
    if not status.configured or not status.ordered:
        return
    known = status.window or Window(status.fingerprint, certificate_id(catalogue.directory(name) / "cert.pem"))
    if not known.cert_id:
        catalogue.polled(name, known)
        return
    account = status.account or status.configured.account
    try:
        answer = await daemons.client("RenewalInfo", timeout=_TIMEOUT, job=0, account=account, certId=known.cert_id)
    except Failure as failure:
        journal.info("%s: the CA could not be asked when to renew it: %s", name, failure.message, certificate=name)
        pause = _REFUSED if failure.name.startswith("org.acmed1.AcmeError.") else _UNREACHED
        pause = max(pause, min(failure.retry_after or 0, _LONGEST) * clock.SECOND)
        catalogue.polled(name, replace(known, poll_at=clock.now() + pause))
        return
    wait = min(max(answer["retryAfter"], _SHORTEST), _LONGEST)
    start, end = (clock.shown(answer[key]) if answer[key] else 0 for key in ("start", "end"))
    found = replace(
        known,
        start=start if start < end else 0,
        end=end if start < end else 0,
        explanation=journal.printable(answer["explanationUrl"] or "")[:_LONGEST_URL] if start < end else "",
        poll_at=clock.now() + wait * clock.SECOND,
    )
    if catalogue.status(name).fingerprint != known.fingerprint:
        return  # it was renewed meanwhile
    expected = renewal.planned(status.ordered, status.configured.renew_before)
    if found.start and (found.start, found.end) != (known.start, known.end) and not start <= expected <= end:
        window = f"between {clock.text(start)} and {clock.text(end)}"
        journal.info("%s: the CA wants it to be renewed %s", name, window, certificate=name)
    catalogue.polled(name, found)


def certificate_id(path: Path) -> str:
    """The name of a certificate (PEM) for its CA; empty where it has none, or cannot be read."""
    # Slow to load, and remembered.
    from cryptography import x509  # noqa: PLC0415

    from acmed import certid  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            return certid.certificate_id(x509.load_pem_x509_certificate(file.read(_MAX_SIZE))) or ""
    except (OSError, ValueError):
        return ""
