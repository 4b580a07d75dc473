# SPDX-License-Identifier: LGPL-2.1-or-later
"""How it went: exit codes, what is said of it, and what to do."""

from dataclasses import replace

import pytest

from acmed.ctl import report
from acmed.ctl.advice import advice
from acmed.ctl.commands import show
from acmed.ctl.exits import Exit, for_error, together
from acmed.ctl.failure import failure
from acmed.ctl.following.follow import Outcome
from acmed.ctl.records import Account, Certificate, Error
from tests.unit.ctl.samples import FAILING, NOW, OWED, VALID

pytestmark = pytest.mark.usefixtures("in_utc")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("org.freedesktop.DBus.Error.AccessDenied", 3),
        ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", 3),
        ("org.freedesktop.DBus.Error.InvalidArgs", 2),
        ("org.acmed1.Error.InvalidName", 2),
        ("org.acmed1.Error.NoSuchCertificate", 4),
        ("org.acmed1.Error.NoSuchAccount", 4),
        ("org.acmed1.Error.NoSuchJob", 4),
        ("org.freedesktop.DBus.Error.ServiceUnknown", 5),
        ("org.freedesktop.DBus.Error.NoReply", 5),
        ("org.freedesktop.DBus.Error.Spawn.ChildExited", 5),
        ("org.freedesktop.systemd1.UnitMasked", 5),
        ("org.acmed1.Error.Busy", 6),
        ("org.acmed1.Error.NotDue", 6),
        ("org.acmed1.Error.CertificateExists", 6),
        ("org.acmed1.Error.NotIssued", 6),
        ("org.acmed1.AcmeError.rateLimited", 7),
        ("org.acmed1.AcmeError.unauthorized", 1),
        ("org.acmed1.Error.Unreachable", 1),
        ("org.acmed1.Error.InstallFailed", 1),
        ("something.Else", 1),
    ],
)
def test_exit_code_of_an_error(name: str, code: int) -> None:
    assert for_error(name) == code


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 0], 0), ([0, 7], 7), ([7, 0, 7], 7), ([7, 3], 1), ([8, 0], 8), ([130], 130)],
)
def test_exit_code_of_several(codes: list[int], code: int) -> None:
    assert together(Exit(one) for one in codes) == code


def test_advice_names_the_certificate() -> None:
    assert "acmectl renew www --force" in advice("org.acmed1.Error.NotDue", "www")
    assert "acmed.service" in advice("org.freedesktop.DBus.Error.NoReply")
    assert advice("something.Else") == ""


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome("www", 7, "done", certificate=VALID), 0),
        (Outcome("www", 7, "done", certificate=OWED), 8),
        (Outcome("www", 7, "failed", Error("org.acmed1.Error.InstallFailed", "x"), OWED), 8),
        (Outcome("www", 7, "failed", Error("org.acmed1.Error.InstallFailed", "x"), replace(OWED, state="failing")), 1),
        (Outcome("www", 7, "failed", Error("org.acmed1.AcmeError.rateLimited", "x"), VALID), 7),
        (Outcome("www", 7, "failed"), 1),
        (Outcome("www", 7, "canceled"), 1),
        (Outcome("www", 7, "timeout"), 1),
        (Outcome("www", None, "skipped"), 0),
        (Outcome("www", None, "refused", Error("org.acmed1.Error.NotDue", "x")), 6),
    ],
)
def test_exit_code_of_a_job(outcome: Outcome, code: int) -> None:
    assert report.exit_code(outcome) == code


def test_success_says_where_and_until_when() -> None:
    assert report.success(Outcome("www", 7, "done", certificate=VALID), "issued", NOW) == [
        "www: issued, valid until 2025-08-14 15:06 UTC (in 60 days)",
        "  fullchain  /f.pem",
        "  privkey    /p.pem",
    ]
    account = Account("/a", "default", "https://ca/dir", "https://ca/1")
    assert report.success(Outcome("default", 1, "done", account=account), "registered", NOW) == [
        "default: registered, https://ca/1"
    ]


@pytest.mark.parametrize(
    "name", ["Error.Unreachable", "Error.TimedOut", "Error.InvalidConfiguration", "Error.ChallengeUnavailable",
             "Error.PreflightFailed", "AcmeError.badNonce"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["account", "update-account", "rollover-key", "deactivate-account", "authorize"])
def test_nobody_is_sent_to_renew_what_is_no_certificate(name: str, kind: str) -> None:
    _, hint = failure(Outcome("le", 7, "failed", Error(f"org.acmed1.{name}", "x"), type=kind), NOW)
    assert "renew" not in hint
    assert "acmectl check " not in hint
    assert "'acmectl config check' says" not in hint
    assert "in its file" not in hint


def test_what_kept_a_challenge_from_being_answered_is_looked_for_where_it_may_be() -> None:
    assert advice("org.acmed1.Error.ChallengeUnavailable", "www").startswith("'acmectl check www'")


def test_no_advice_beside_that_of_acmed() -> None:
    refused = Outcome("ca", 7, "failed", Error("org.acmed1.AcmeError.unauthorized", "no such key id. To do: …"))
    assert failure(refused, NOW)[1] == "The whole story: journalctl ACME_JOB=7"


def test_failure_says_all_and_what_to_do() -> None:
    message, hint = failure(Outcome("www", 7, "failed", FAILING.error, FAILING, type="renew"), NOW)
    assert message == "www: failed: no A record (org.acmed1.Error.Unreachable)"
    assert hint.splitlines() == [
        "The CA could not be reached from this host.",
        "acmed tries again by itself at the next run of acme-renew.timer; 'acmectl renew www' tries at once.",
        "The whole story: journalctl ACME_JOB=7",
    ]


@pytest.mark.parametrize(
    ("certificates", "code"),
    [
        ([], 0),
        ([VALID, replace(VALID, state="due")], 0),
        ([VALID, OWED], 8),
        ([OWED, FAILING], 1),
        ([replace(VALID, state="expired")], 1),
        ([replace(VALID, state="revoked")], 1),
        ([replace(VALID, state="missing")], 1),
    ],
)
def test_health(certificates: list[Certificate], code: int) -> None:
    assert show.health(certificates) == code
