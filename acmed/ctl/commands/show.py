# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl list and acmectl status"""

import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence

from acmed.ctl import outlook, table, times, trouble
from acmed.ctl.client import Manager, Objects
from acmed.ctl.commands.account import describe as describe_account
from acmed.ctl.exits import Exit
from acmed.ctl.following.progress import step
from acmed.ctl.output import safe
from acmed.ctl.records import Account, Certificate, Mistake
from acmed.ctl.session import Session
from acmed.names import shown


async def list_(session: Session, _: Namespace) -> Exit:
    """All certificates."""
    certificates = (await session.acmed.objects()).certificates
    if session.output.json:
        session.output.document([certificate.json() for certificate in certificates])
        return Exit.DONE
    session.output.table(
        ("CERTIFICATE", "STATE", "VALID UNTIL", "RENEWAL", "NAMES"),
        [_row(one, time.time()) for one in certificates],
    )
    if not certificates and not session.output.quiet:
        session.output.line("No certificates. 'acmectl order NAME' orders one.")
    return Exit.DONE


async def status(session: Session, arguments: Namespace) -> Exit:
    """One certificate, or how everything is. The exit code says whether all is well."""
    if arguments.certificate is None:
        return await _overview(session)
    certificate = await session.acmed.certificate(arguments.certificate)
    if session.output.json:
        session.output.document(certificate.json())
    elif not session.output.quiet:
        colour = session.output.coloured(sys.stdout)
        session.output.lines(describe(certificate, time.time(), colour))
    return health([certificate])


async def _overview(session: Session) -> Exit:
    mistakes = await session.acmed.mistakes()
    objects, manager = await session.acmed.objects(), await session.acmed.manager()
    if session.output.json:
        session.output.document(
            {
                "version": manager.version,
                "defaultAccount": manager.default_account or None,
                "nextRenewal": times.iso(manager.next_renewal),
                "certificates": [certificate.json() for certificate in objects.certificates],
                "jobs": [job.json() for job in objects.jobs],
                "accounts": [account.json() for account in objects.accounts],
                "problems": [mistake.json() for mistake in mistakes],
            }
        )
    elif not session.output.quiet:
        session.output.lines(overview(objects, manager, mistakes, time.time(), session.output.coloured(sys.stdout)))
    return Exit.FAILED if mistakes else health(objects.certificates, objects.accounts)


def health(certificates: Sequence[Certificate], accounts: Sequence[Account] = ()) -> Exit:
    """FAILED where one is not well, or an account's names cannot be validated; UNDELIVERED where a service still waits
    for one.
    """
    if any(account.failures for account in accounts) or any(map(trouble.is_bad, certificates)):
        return Exit.FAILED
    return Exit.UNDELIVERED if any(certificate.undelivered for certificate in certificates) else Exit.DONE


def describe(certificate: Certificate, now: float, colour: bool) -> list[str]:
    """The lines of `status CERT`: every property."""
    state = table.coloured(certificate.state, table.state_style(certificate.state), colour)
    pairs = [
        ("Certificate", safe(certificate.name)),
        ("State", state + (f", {certificate.failures} failures in a row" if certificate.failures > 1 else "")),
        ("Names", safe("\n".join(_both(name) for name in certificate.identifiers)) or "-"),
        ("Account", safe(", then ".join((certificate.account, *certificate.failover))) or "-"),
        ("Key type", safe(certificate.key_type) or "-"),
        ("Services", safe(", ".join(certificate.services)) or "-"),
        ("Valid since", times.local(certificate.not_before)),
        ("Valid until", times.with_relative(certificate.not_after, now)),
        ("Next renewal", outlook.next_renewal_in_words(certificate, now)),
        *_optional(certificate, now, colour),
        ("Serial number", safe(certificate.serial_number) or "-"),
        ("Issuer", safe(certificate.issuer) or "-"),
        ("SHA-256", safe(certificate.fingerprint) or "-"),
        ("Files", safe(_paths(certificate)) or "-"),
    ]
    if certificate.job:
        pairs.append(("Job", str(certificate.job)))
    for service, message in certificate.undelivered:
        pairs.append(("Undelivered", table.coloured(safe(f"{service}: {message or 'not tried yet'}"), "bad", colour)))
    if certificate.error:
        message = table.coloured(safe(certificate.error.message), "bad", colour)
        when = f", {times.with_relative(certificate.error.time, now)}" if certificate.error.time else ""
        pairs.append(("Last error", f"{message}\n{safe(certificate.error.name)}{when}"))
    if hint := trouble.to_do(certificate, now):
        pairs.append(("What to do", safe(hint)))
    return table.fields(pairs, colour)


def _optional(certificate: Certificate, now: float, colour: bool) -> list[tuple[str, str]]:
    """What not every certificate has."""
    pairs = []
    if all(certificate.window):
        start, end = map(times.local, certificate.window)
        pairs.append(("CA's window", f"{start} to {end}"))
    if certificate.explanation:
        pairs.append(("Its reason", safe(certificate.explanation)))
    if certificate.retry_at > now * 1_000_000 and outlook.tries_again(certificate):
        pairs.append(("Next attempt", times.with_relative(certificate.retry_at, now)))
    pairs += [("Attention", table.coloured(words, "bad", colour)) for words in trouble.alarms(certificate)]
    if certificate.challenge:
        pairs.append(("Challenge", safe(certificate.challenge)))
    if certificate.profile:
        pairs.append(("Profile", safe(certificate.profile)))
    if certificate.differences:
        words = f"differs from configuration: {', '.join(certificate.differences)}"
        pairs.append(("Installed", table.coloured(safe(words), "warn", colour)))
    return pairs


def _both(name: str) -> str:
    """A name for people, with its A-labels where these differ."""
    unicode = shown(name)
    return name if unicode == name else f"{unicode} ({name})"


def overview(objects: Objects, manager: Manager, mistakes: Sequence[Mistake], now: float, colour: bool) -> list[str]:
    """The lines of `status`: counts, what runs, and what needs somebody."""
    counts = Counter(certificate.state for certificate in objects.certificates)
    pairs = [
        ("acmed", safe(manager.version)),
        ("Certificates", ", ".join(f"{count} {safe(state)}" for state, count in sorted(counts.items())) or "none"),
        ("Accounts", safe(", ".join(map(_account, objects.accounts))) or "none"),
        ("Default account", safe(manager.default_account) or "-"),
        ("Next renewal", times.with_relative(manager.next_renewal, now)),
        ("Jobs", "\n".join(safe(f"{job.id} {job.certificate}: {step(job)}") for job in objects.jobs) or "none"),
        *_configuration(mistakes, colour),
    ]
    lines = table.fields(pairs, colour)
    for certificate in objects.certificates:
        if health([certificate]) is not Exit.DONE:
            lines += ["", *describe(certificate, now, colour)]
    for account in objects.accounts:
        if account.failures:
            lines += ["", *map(safe, describe_account(account, now))]
    return lines


def _configuration(mistakes: Sequence[Mistake], colour: bool) -> list[tuple[str, str]]:
    """What is in it and does not count: a service or a zone that is not there shows at the next renewal only."""
    if not mistakes:
        return []
    count = "1 problem" if len(mistakes) == 1 else f"{len(mistakes)} problems"
    first = table.coloured(f"{count}, 'acmectl config check' says what to do:", "bad", colour)
    return [("Configuration", "\n".join([first, *(safe(str(mistake)) for mistake in mistakes)]))]


def _account(account: Account) -> str:
    return account.name if account.uri else f"{account.name} (not registered)"


def _row(certificate: Certificate, now: float) -> tuple[str, ...]:
    renewal = outlook.next_renewal(certificate, now)
    state = f"{certificate.state}, undelivered" if certificate.undelivered else certificate.state
    names = safe(" ".join(certificate.identifiers))
    return safe(certificate.name), safe(state), times.local(certificate.not_after), renewal, names


def _paths(certificate: Certificate) -> str:
    kinds = max((len(kind) for kind, _ in certificate.paths), default=0)
    return "\n".join(f"{kind.ljust(kinds)}  {path}" for kind, path in certificate.paths)
