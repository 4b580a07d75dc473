# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmectl says of what comes next, and what is wrong, is what acmed does."""

from dataclasses import replace

import pytest

from acmed.ctl import outlook, report, trouble
from acmed.ctl.advice import UNREVOKED
from acmed.ctl.client import Manager, Objects
from acmed.ctl.commands import show
from acmed.ctl.commands.dns import nothing
from acmed.ctl.exits import Exit
from acmed.ctl.failure import failure
from acmed.ctl.following.follow import Outcome
from acmed.ctl.following.progress import step
from acmed.ctl.records import Account, Certificate, Error
from tests.unit.ctl.samples import FAILING, JOB, NOW, USEC, VALID

pytestmark = pytest.mark.usefixtures("in_utc")

IN_AN_HOUR = (NOW + 3600) * USEC
DOWN = Error("org.acmed1.Error.Unreachable", "https://ca.example/dir: Connection refused", NOW * USEC)
# acmed takes what is installed for valid, whatever became of the revocation.
UNREVOKED_ONE = replace(VALID, error=DOWN, error_job="revoke", unrevoked=True)
LEFT_ALONE = replace(VALID, state="revoked")
MISSING = Certificate("/c", "www", account="default", state="missing")
BROKEN = replace(FAILING, account="", failures=0, error=Error("org.acmed1.Error.InvalidConfiguration", "line 3: no", 0))
UNSEEN = replace(
    MISSING, state="failing", endangered=True, error=Error("org.acmed1.Error.InstallFailed", "Permission denied", 0)
)
LOST = replace(
    VALID, state="due", damaged=True, error=Error("org.acmed1.Error.NotIssued", "no set"), error_job="restore"
)


def lines(certificate: Certificate) -> list[str]:
    return [line.strip() for line in show.describe(certificate, NOW, colour=False)]


@pytest.mark.parametrize("reason", [DOWN, replace(DOWN, name="org.acmed1.Error.TimedOut"), None])
@pytest.mark.parametrize("state", ["valid", "failing"])
def test_revocation_that_failed_is_not_said_to_be_tried_again(reason: Error | None, state: str) -> None:
    """Beside a renewal that waits, too."""
    left = replace(UNREVOKED_ONE, state=state, failures=int(state == "failing"), retry_at=IN_AN_HOUR)
    outcome = Outcome("www", 7, "failed", reason, left, type="revoke", remark="ordered again: mail")
    message, hint = failure(outcome, NOW)
    assert "note: ordered again: mail" in message
    assert UNREVOKED in hint.splitlines()
    told = "\n".join(lines(left))
    assert UNREVOKED in told
    for words in ("tries again by itself", "--force"):
        assert words not in hint
        assert words not in told
    assert "Attention: it was to be revoked, and that has failed: take it as NOT revoked" in told


def test_revocation_that_failed_needs_somebody() -> None:
    assert show.health([UNREVOKED_ONE]) is Exit.FAILED
    told = show.overview(Objects((UNREVOKED_ONE,), (), ()), Manager("1", 0, ""), (), NOW, colour=False)
    assert any("NOT revoked" in line for line in told)
    assert show.health([replace(VALID, error=DOWN, error_job="renew")]) is Exit.DONE


@pytest.mark.parametrize(
    "later",
    [
        replace(UNREVOKED_ONE, error=None, error_job=""),
        replace(UNREVOKED_ONE, error_job="deliver"),
        replace(FAILING, error=DOWN, error_job="renew", retry_at=IN_AN_HOUR, unrevoked=True),
    ],
)
def test_revocation_that_failed_is_told_whatever_came_after(later: Certificate) -> None:
    told = lines(later)
    assert "Attention: it was to be revoked, and that has failed: take it as NOT revoked" in told
    assert UNREVOKED in "\n".join(told)
    assert (later.state != "failing") or any("tries again by itself at 2025-06-15 16:06 UTC" in line for line in told)


@pytest.mark.parametrize(
    ("name", "id_"), [("org.acmed1.AcmeError.alreadyRevoked", 7), ("org.freedesktop.DBus.Error.AccessDenied", None)]
)
def test_what_is_revoked_or_was_not_asked_for_is_not_called_unrevoked(name: str, id_: int | None) -> None:
    _, hint = failure(Outcome("www", id_, "failed", Error(name, "x"), VALID, type="revoke"), NOW)
    assert "NOT revoked" not in hint


@pytest.mark.parametrize(
    ("certificate", "remark", "words"),
    [
        (LEFT_ALONE, "", "www: revoked; nothing is ordered in its place"),
        (LEFT_ALONE, "it is not replaced: its CSR", "www: revoked; nothing is ordered in its place"),
        (replace(LEFT_ALONE, endangered=True), "", "www: revoked; another one is ordered in its place"),
        (VALID, "", "www: revoked; another one is in its place"),
        (replace(LEFT_ALONE, endangered=True, account=""), "its configuration is broken", "www: revoked"),
        (None, "", "www: revoked"),
    ],
)
def test_revocation_says_what_comes_next(certificate: Certificate | None, remark: str, words: str) -> None:
    outcome = Outcome("www", 7, "done", certificate=certificate, type="revoke", remark=remark)
    assert report.success(outcome, "revoked", NOW) == [words]


def test_revoked_one_that_is_left_alone_says_what_orders_another_one() -> None:
    assert "'acmectl renew www' orders another one." in "\n".join(lines(LEFT_ALONE))
    of_csr = replace(LEFT_ALONE, paths=(("cert", "/c.pem"),))
    assert "acmectl order --name www --csr FILE" in "\n".join(lines(of_csr))
    assert "What to do" not in "\n".join(lines(replace(LEFT_ALONE, endangered=True)))


@pytest.mark.parametrize(
    ("certificate", "column"),
    [
        (VALID, "2025-07-15 15:06 UTC"),
        (LEFT_ALONE, "-"),
        (BROKEN, "-"),
        (UNSEEN, "-"),
        (MISSING, "now"),
        (replace(MISSING, state="failing", failures=1, retry_at=IN_AN_HOUR), "2025-06-15 16:06 UTC"),
        (replace(LEFT_ALONE, endangered=True), "now"),
        (replace(VALID, state="due", differences=("names",)), "now"),
        (replace(VALID, state="due"), "now"),
        (replace(VALID, state="due", damaged=True), "2025-07-15 15:06 UTC"),
        (LOST, "now"),
        (FAILING, "now"),
        (replace(FAILING, retry_at=IN_AN_HOUR), "2025-06-15 16:06 UTC"),
        (replace(VALID, error=DOWN, error_job="renew"), "2025-07-15 15:06 UTC"),
        (replace(VALID, state="expired", renew_at=NOW), "now"),
    ],
)
def test_next_renewal(certificate: Certificate, column: str) -> None:
    """As Status.next_attempt() has it."""
    assert outlook.next_renewal(certificate, NOW) == column
    words = outlook.next_renewal_in_words(certificate, NOW)
    assert words.startswith("none, as" if column == "-" else column)


@pytest.mark.parametrize("name", ["Error.Unreachable", "Error.RateLimited", "AcmeError.serverInternal"])
def test_renewal_that_was_not_due_is_not_said_to_be_tried_again(name: str) -> None:
    error = Error(f"org.acmed1.{name}", "x")
    left = replace(VALID, error=error, error_job="renew")
    _, hint = failure(Outcome("www", 7, "failed", error, left, type="renew"), NOW)
    for told in (hint, "\n".join(lines(left))):
        assert "acmed does not try that again by itself" in told
        assert "tries again" not in told
        assert "Next attempt" not in told


def test_renewal_that_is_tried_again_says_when() -> None:
    left = replace(FAILING, error=DOWN, retry_at=IN_AN_HOUR)
    _, hint = failure(Outcome("www", 7, "failed", DOWN, left, type="renew"), NOW)
    words = "acmed tries again by itself at 2025-06-15 16:06 UTC (in 60 minutes); 'acmectl renew www' tries at once."
    assert words in hint
    assert words in lines(left)
    limit = Error("org.acmed1.Error.RateLimited", "x")
    _, hint = failure(Outcome("www", 7, "failed", limit, replace(left, error=limit), type="renew"), NOW)
    assert "at once" not in hint


def test_set_that_is_lost_is_ordered_again() -> None:
    error = LOST.error
    assert error
    outcome = Outcome("www", 7, "failed", error, LOST, type="restore")
    _, hint = failure(outcome, NOW)
    assert hint.startswith("Another one is ordered in its place")
    assert "acmectl order" not in hint
    assert report.exit_code(outcome) is Exit.FAILED
    assert trouble.to_do(LOST, NOW) == "Another one is ordered in its place."


@pytest.mark.parametrize(
    ("certificate", "promised"),
    [
        (replace(VALID, state="due", damaged=True), True),
        (replace(VALID, undelivered=(("nginx", ""),)), True),
        (VALID, False),
    ],
)
@pytest.mark.parametrize("kind", ["deliver", "restore"])
def test_files_that_could_not_be_seen_to_are_tried_again_where_that_is_owed(
    certificate: Certificate, promised: bool, kind: str
) -> None:
    error = Error("org.acmed1.Error.Unavailable", "x")
    left = replace(certificate, error=error, error_job=kind)
    _, hint = failure(Outcome("www", 7, "failed", error, left, type=kind), NOW)
    assert ("acmed tries again by itself at the next run of acme-renew.timer." in hint) is promised
    assert "--force" not in hint


def test_delivery_that_is_over_does_not_hide_a_renewal_that_is_tried_again() -> None:
    left = replace(FAILING, error=DOWN, error_job="deliver", retry_at=IN_AN_HOUR)
    assert "acmed tries again by itself at 2025-06-15 16:06 UTC" in outlook.promise(left, NOW)


def test_what_cannot_be_read_is_not_said_to_be_missing() -> None:
    told = "\n".join(lines(UNSEEN))
    assert "there is none yet" not in told
    assert "namei -l" in told
    none = replace(UNSEEN, failures=1, error_job="order")
    assert "Attention: there is none yet" in lines(none)


def test_accounts_that_are_not_registered_are_called_so() -> None:
    accounts = (Account("/a", "one", uri="https://ca/1"), Account("/b", "two"))
    told = show.overview(Objects((), accounts, ()), Manager("1", 0, ""), (), NOW, colour=False)
    assert "Accounts: one, two (not registered)" in [line.strip() for line in told]


def test_names_that_are_validated_are_counted_once_one_is() -> None:
    job = replace(JOB, challenges=(("a", "http-01", "processing"), ("b", "http-01", "processing")))
    assert step(job) == "answering challenges"
    assert step(replace(job, challenges=(("a", "http-01", "valid"),))) == "answering challenges, 1 of 1 valid"


@pytest.mark.parametrize(
    ("challenge", "names", "lasting"),
    [("", ("a.example",), True), ("http-01", ("a.example",), True), ("dns-01", ("a.example",), False),
     ("dns-account-01", ("a.example",), False), ("", ("*.a.example",), False)],
)  # fmt: skip
def test_no_record_to_publish(challenge: str, names: tuple[str, ...], lasting: bool) -> None:
    told = nothing(replace(VALID, challenge=challenge, identifiers=names))
    assert all(line.startswith("; ") for line in told)
    assert (told == ["; no record needs to be published for www"]) is lasting
    assert any("[zone]" in line for line in told) is not lasting
