# SPDX-License-Identifier: LGPL-2.1-or-later
"""What became of a job whose end was not seen, and what the journal says of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from acmed.ctl.following.follow import guess_account, guess_certificate, left_running
from acmed.ctl.following.journaltail import line, trusted, unreadable
from acmed.ctl.records import Account, Certificate, Error, Job
from tests.unit.ctl.samples import JOB, VALID


@pytest.mark.parametrize(
    ("job", "before", "certificate", "result"),
    [
        (JOB, "old", VALID, "done"),
        (JOB, "aa", VALID, "failed"),
        (JOB, None, VALID, "done"),
        (JOB, None, replace(VALID, state="due"), "failed"),
        (JOB, "", None, "failed"),
        (JOB, "old", replace(VALID, error=Error("x.Y", "z", JOB.started + 1)), "failed"),
        (JOB, "old", replace(VALID, error=Error("x.Y", "z", JOB.started - 1)), "done"),
        (replace(JOB, type="revoke"), "aa", replace(VALID, state="revoked"), "done"),
        (replace(JOB, type="revoke"), "aa", VALID, "failed"),
        (replace(JOB, type="revoke"), "bb", VALID, "done"),  # and another one is in its place already
    ],
)
def test_guess(job: Job, before: str | None, certificate: Certificate | None, result: str) -> None:
    guessed, error = guess_certificate(job, before, certificate)
    assert guessed == result
    assert (error is None) == (result == "done")


def test_guess_of_an_account() -> None:
    assert guess_account(Account("/a", "a", uri="https://ca/1")) == ("done", None)
    assert guess_account(Account("/a", "a"))[0] == "failed"
    assert guess_account(None)[0] == "failed"


def test_left_running() -> None:
    assert left_running([7]).startswith("Job 7 goes on.")
    assert "acmectl cancel 7; acmectl cancel 8" in left_running([7, 8])


@pytest.mark.parametrize(
    ("unit", "ours"),
    [("acmed.service", True), ("acme-clientd.service", True), ("user@1000.service", False), ("", False)],
)
def test_journal_entries_of_others_are_not_shown(unit: str, ours: bool) -> None:
    assert trusted({"_SYSTEMD_UNIT": unit, "ACME_JOB": "7"}) is ours


def test_journal_line() -> None:
    assert line({"SYSLOG_IDENTIFIER": "acme-keyd", "MESSAGE": "signed"}).endswith(" acme-keyd: signed")


def test_unreadable_journal(tmp_path: Path) -> None:
    assert "no journal" in unreadable([tmp_path])
    (tmp_path / "id").mkdir()
    (tmp_path / "id" / "system.journal").touch()
    assert unreadable([tmp_path]) == ""
