# SPDX-License-Identifier: LGPL-2.1-or-later
"""What came of jobs: as text, as JSON, and as an exit code."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from acmed.bus import DBusError
from acmed.ctl import outlook, table, times
from acmed.ctl.exits import Exit, for_error, together
from acmed.ctl.failure import failure, is_replaced
from acmed.ctl.following.follow import Outcome
from acmed.ctl.output import Output, safe
from acmed.ctl.records import Error, undelivered_json
from acmed.ctl.trouble import GOOD_STATES
from acmed.names import HOOK_OF, OWN_FILES

_DONE = {
    "order": "issued",
    "renew": "renewed",
    "revoke": "revoked",
    "account": "registered",
    "authorize": "authorized",
    "deactivate-account": "deactivated",
    "deliver": "delivered",
    "restore": "restored",
    "rollover-key": "has a new key",
    "update-account": "updated",
}


def refused(name: str, error: DBusError) -> Outcome:
    """The outcome of a call that acmed answered with an error."""
    return Outcome(name, None, "refused", Error(error.name, error.message))


def report(output: Output, outcomes: Sequence[Outcome], kind: str) -> Exit:
    """Prints what came of each job, and returns the exit code. kind: the type of a job whose own is not known."""
    if output.json:
        output.document({"jobs": [as_json(outcome) for outcome in outcomes]})
    else:
        for outcome in outcomes:
            of_kind = outcome if outcome.type else replace(outcome, type=kind)
            _print(output, of_kind, _DONE.get(of_kind.type, "done"))
    return together(exit_code(outcome) for outcome in outcomes)


def exit_code(outcome: Outcome) -> Exit:
    """The exit code of one job."""
    if is_undelivered(outcome):
        return Exit.UNDELIVERED
    if outcome.result in ("done", "skipped"):
        return Exit.DONE
    if outcome.error is None or is_replaced(outcome, outcome.error):
        return Exit.FAILED
    return for_error(outcome.error.name)


def is_undelivered(outcome: Outcome) -> bool:
    """Whether all that failed is that a service has not got the certificate, which itself is well."""
    certificate = outcome.certificate
    if certificate is None or not certificate.undelivered or certificate.state not in GOOD_STATES:
        return False
    installed = outcome.error is not None and outcome.error.name == outlook.INSTALL_FAILED
    return outcome.result == "done" or (outcome.result == "failed" and installed)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """As acmectl(1) documents it."""
    values: dict[str, Any] = {
        "id": outcome.id,
        "name": outcome.name,
        "result": outcome.result,
        "error": {"name": outcome.error.name, "message": outcome.error.message} if outcome.error else None,
        "remark": outcome.remark or None,
    }
    if outcome.certificate:
        values["state"] = outcome.certificate.state
        values["notAfter"] = times.iso(outcome.certificate.not_after)
        values["paths"] = dict(outcome.certificate.paths)
        values["undelivered"] = undelivered_json(outcome.certificate.undelivered)
    if outcome.account:
        values["directory"] = outcome.account.directory
        values["uri"] = outcome.account.uri or None
    return values


def success(outcome: Outcome, done: str, now: float) -> list[str]:
    """The lines for a job that is done: until when it is valid, and where the files are."""
    certificate = outcome.certificate
    if outcome.account:
        return [f"{outcome.name}: {done}, {outcome.account.uri or outcome.account.directory}"]
    if outcome.type == "revoke":
        return [f"{outcome.name}: {done}{_after_revocation(outcome)}"]
    if certificate is None or certificate.state == "revoked" or not certificate.not_after:
        return [f"{outcome.name}: {done}"]
    kinds = max((len(kind) for kind, _ in certificate.paths), default=0)
    return [
        f"{outcome.name}: {done}, valid until {times.with_relative(certificate.not_after, now)}",
        *[f"  {kind.ljust(kinds)}  {path}" for kind, path in certificate.paths],
    ]


def _after_revocation(outcome: Outcome) -> str:
    """What comes next, which may be over by now."""
    certificate = outcome.certificate
    if certificate is None or not certificate.account:
        return ""
    if outlook.is_left_alone(certificate):
        return "; nothing is ordered in its place"
    return (
        "; another one is ordered in its place" if certificate.state == "revoked" else "; another one is in its place"
    )


def undelivered(outcome: Outcome) -> tuple[str, str]:
    """The message about services that still have the certificate before, and what comes next."""
    services = outcome.certificate.undelivered if outcome.certificate else ()
    lines = [
        f"{outcome.name}: {_recipient(service)} not got it yet" + (f": {message}" if message else "")
        for service, message in services
    ]
    return "\n".join(lines), f"acmed tries again by itself at the next run of acme-renew.timer; {_status(outcome)}"


def _recipient(service: str) -> str:
    if service == OWN_FILES:
        return f"{service} have"
    return f"the {service} has" if service.startswith(HOOK_OF) else f"the service {service} has"


def _print(output: Output, outcome: Outcome, done: str) -> None:
    if outcome.result == "skipped":
        if not output.quiet:
            output.line(f"{safe(outcome.name)}: nothing to do")
        return
    late = is_undelivered(outcome)
    if outcome.result != "done" and not late:
        output.error(*failure(outcome, time.time()))
        return
    if not output.quiet and outcome.type != "deliver":
        first, *more = (safe(line) for line in [*success(outcome, done, time.time()), *_remark(outcome)])
        mark = table.coloured(done, "good", output.coloured(sys.stdout))
        output.lines([first.replace(f": {done}", f": {mark}", 1), *more])
    elif not output.quiet and not late:
        output.lines([safe(line) for line in (f"{outcome.name}: {done}", *_remark(outcome))])
    if late:
        output.error(*undelivered(outcome))


def _remark(outcome: Outcome) -> list[str]:
    return [f"  note: {outcome.remark}"] if outcome.remark else []


def _status(outcome: Outcome) -> str:
    return f"'acmectl status {outcome.name}' shows how it is."
