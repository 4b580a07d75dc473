# SPDX-License-Identifier: LGPL-2.1-or-later
"""A running job as one line of text. Pure functions: display.py puts the lines on a terminal or in a log."""

from collections.abc import Sequence

from acmed.ctl.records import Job
from acmed.ctl.table import cut

_BAR = 20
_STEPS = {
    "waiting": "waiting for its turn",
    "account": "registering the account",
    "order": "creating the order",
    "authorize": "reading the authorizations",
    "present": "publishing the answers to challenges",
    "challenge": "answering challenges",
    "finalize": "finalizing the order",
    "download": "downloading the certificate",
    "install": "installing",
    "reload": "reloading services",
    "verify": "verifying",
    "revoke": "revoking",
    "restore": "putting files back",
}

_OF_ACCOUNTS = {
    "deactivate-account": "ending the account",
    "rollover-key": "changing the account's key",
    "update-account": "changing the contacts",
}


def step(job: Job) -> str:
    """The step in words, and what it waits for; while it is about challenges, how many names were validated, once some
    were: acmed may hear of all at once only.
    """
    words = _STEPS.get(job.step, job.step) or "starting"
    if job.step == "account":
        words = _OF_ACCOUNTS.get(job.type, words)
    if job.detail:
        return f"{words}: {job.detail}"
    if not job.challenges or job.step not in ("authorize", "challenge"):
        return words
    done = sum(status == "valid" for _, _, status in job.challenges)
    return f"{words}, {done} of {len(job.challenges)} valid" if done else words


def plain(job: Job) -> str:
    """For a log: "www.example.com: answering challenges, 1 of 2 valid (40%)"."""
    return f"{job.certificate}: {step(job)} ({job.progress}%)"


def live(jobs: Sequence[Job], width: int, height: int) -> list[str]:
    """For a terminal of this many columns and rows: a line for each job, with a bar; the last counts those left out."""
    room = max(height - 1, 1)
    shown = list(jobs) if len(jobs) <= room else list(jobs[: room - 1])
    names = min(max((len(job.certificate) for job in shown), default=0), max(width // 3, 8))
    lines = [
        cut(
            f"{cut(job.certificate, names).ljust(names)}  {bar(job.progress)} {job.progress:3}%  {step(job)}", width - 1
        )
        for job in shown
    ]
    if len(shown) < len(jobs):
        lines.append(cut(f"and {len(jobs) - len(shown)} more", width - 1))
    return lines


def bar(percent: int) -> str:
    """[#####---------------]"""
    done = _BAR * min(max(percent, 0), 100) // 100
    return f"[{'#' * done}{'-' * (_BAR - done)}]"
