# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl check"""

import sys
from argparse import Namespace

from acmed.ctl import table
from acmed.ctl.exits import Exit
from acmed.ctl.output import safe
from acmed.ctl.records import Finding
from acmed.ctl.session import Session

_STYLES = {"ok": "good", "warning": "warn", "error": "bad"}


async def check(session: Session, arguments: Namespace) -> Exit:
    """What an order would meet. FAILED where one of the findings would stop it."""
    with session.asking():
        findings = await session.acmed.check(arguments.certificate)
    if session.output.json:
        session.output.document([finding.json() for finding in findings])
    else:
        colour = session.output.coloured(sys.stdout)
        shown = [finding for finding in findings if finding.severity != "ok" or not session.output.quiet]
        session.output.lines([_line(finding, colour) for finding in shown])
    return Exit.FAILED if any(finding.severity == "error" for finding in findings) else Exit.DONE


def _line(finding: Finding, colour: bool) -> str:
    """error    port     www.example.com: port 80 is held by nginx.service"""
    severity = table.coloured(finding.severity.ljust(7), _STYLES.get(finding.severity, ""), colour)
    subject = f"{finding.subject}: " if finding.subject else ""
    return f"{severity}  {safe(finding.check).ljust(8)}  {safe(subject + finding.message)}"
