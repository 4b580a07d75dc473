# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmectl prints: tables, times, progress, errors and JSON, as pure functions."""

import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from acmed.config import Problem
from acmed.ctl import configcheck, progress, records, report, show, table, times
from acmed.ctl.advice import advice
from acmed.ctl.client import Manager, Objects
from acmed.ctl.exits import CommandError, Exit, for_error, together
from acmed.ctl.files import certificates as read_ca_file
from acmed.ctl.follow import Outcome, guess_account, guess_certificate, left_running
from acmed.ctl.journaltail import line, trusted, unreadable
from acmed.ctl.output import Output, safe
from acmed.ctl.records import Account, Certificate, Error, Job

DAY = 86400
NOW = 1_750_000_000
USEC = 1_000_000
VALID = Certificate(
    "/c",
    "www",
    identifiers=("www.example.com", "example.com"),
    account="default",
    state="valid",
    not_before=(NOW - DAY) * USEC,
    not_after=(NOW + 60 * DAY) * USEC,
    renew_at=(NOW + 30 * DAY) * USEC,
    fingerprint="aa",
    paths=(("fullchain", "/f.pem"), ("privkey", "/p.pem")),
)
FAILING = replace(
    VALID, state="failing", error=Error("org.acmed1.Error.Unreachable", "no A record", (NOW - 7200) * USEC), failures=3
)
OWED = replace(VALID, undelivered=(("nginx", "nginx.service failed"),))
JOB = Job("/j", 7, "order", "www", started=NOW * USEC, step="challenge", progress=40)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("usec", "iso", "local"),
    [
        (0, None, "-"),
        (1_750_000_000_999_999, "2025-06-15T15:06:40Z", "2025-06-15 15:06 UTC"),
        (2**64 - 1, None, "-"),
    ],
)
def test_times(usec: int, iso: str | None, local: str) -> None:
    assert times.iso(usec) == iso
    assert times.local(usec) == local


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60 * DAY + 5, "in 60 days"),
        (DAY, "in 24 hours"),
        (-7200, "2 hours ago"),
        (119, "in 119 seconds"),
        (1, "now"),
        (-1, "now"),
    ],
)
def test_relative_times(seconds: int, text: str) -> None:
    assert times.relative((NOW + seconds) * USEC, NOW) == text


def test_table() -> None:
    rows = [("a", "valid", "x y"), ("longer", "failing", "z")]
    assert table.table(("NAME", "STATE", "NAMES"), rows, legend=True, colour=False, width=None) == [
        "NAME    STATE    NAMES",
        "a       valid    x y",
        "longer  failing  z",
    ]


def test_table_without_legend_or_rows() -> None:
    assert table.table(("NAME",), [("a",)], legend=False, colour=False, width=None) == ["a"]
    assert table.table(("NAME",), [], legend=True, colour=True, width=80) == []


@pytest.mark.parametrize("width", range(1, 30))
def test_table_is_never_wider(width: int) -> None:
    rows = [("name", "failing", "many names here")]
    lines = table.table(("NAME", "STATE", "NAMES"), rows, legend=True, colour=True, width=width)
    assert max(len(re.sub(r"\x1b\[\d*m", "", line)) for line in lines) <= width


def test_table_colours_states() -> None:
    rows = [("valid-name", "failing, undelivered")]
    (only,) = table.table(("NAME", "STATE"), rows, legend=False, colour=True, width=None)
    assert only == "valid-name  \x1b[31mfailing, undelivered\x1b[0m"


def test_step_counts_names() -> None:
    job = replace(JOB, challenges=(("a", "http-01", "valid"), ("b", "http-01", "pending")))
    assert progress.plain(job) == "www: answering challenges, 1 of 2 valid (40%)"
    assert progress.plain(replace(job, step="finalize")) == "www: finalizing the order (40%)"
    assert progress.plain(replace(job, step="something-new")) == "www: something-new (40%)"


@pytest.mark.parametrize(
    ("percent", "bar"), [(0, "-" * 20), (50, "#" * 10 + "-" * 10), (100, "#" * 20), (4000, "#" * 20)]
)
def test_bar(percent: int, bar: str) -> None:
    assert progress.bar(percent) == f"[{bar}]"


def test_live_lines() -> None:
    jobs = [replace(JOB, id=number, certificate=f"{number}.example.com") for number in range(5)]
    lines = progress.live(jobs, width=80, height=24)
    assert lines[0] == "0.example.com  [########------------]  40%  answering challenges"
    assert len(lines) == 5
    few = progress.live(jobs, width=20, height=4)
    assert len(few) == 3
    assert few[-1] == "and 3 more"
    assert max(map(len, few)) < 20


def test_safe_escapes_what_terminals_obey() -> None:
    assert safe("a\x1b[31m\nb\udcff\r") == "a\\x1b[31m\nb\\udcff"


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


def test_no_advice_beside_that_of_acmed() -> None:
    refused = Outcome("ca", 7, "failed", Error("org.acmed1.AcmeError.unauthorized", "no such key id. To do: …"))
    assert report.failure(refused)[1] == "The whole story: journalctl ACME_JOB=7"


def test_failure_says_all_and_what_to_do() -> None:
    message, hint = report.failure(Outcome("www", 7, "failed", FAILING.error, FAILING))
    assert message == "www: failed: no A record (org.acmed1.Error.Unreachable)"
    todo = advice("org.acmed1.Error.Unreachable", "www")
    assert hint.splitlines() == [todo, "The whole story: journalctl ACME_JOB=7"]


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


def test_status_shows_every_property() -> None:
    certificate = replace(
        FAILING,
        key_type="ecdsa-p256",
        services=("nginx", "postfix"),
        serial_number="0a0b",
        issuer="CN=Some CA",
        undelivered=(("nginx", "it failed"), ("postfix", "")),
        job=7,
    )
    lines = show.describe(certificate, NOW, colour=False)
    for expected in (
        "State: failing, 3 failures in a row",
        "Names: www.example.com",
        "example.com",
        "Account: default",
        "Key type: ecdsa-p256",
        "Services: nginx, postfix",
        "Valid since: 2025-06-14 15:06 UTC",
        "Valid until: 2025-08-14 15:06 UTC (in 60 days)",
        "Next renewal: 2025-07-15 15:06 UTC (in 30 days)",
        "Serial number: 0a0b",
        "Issuer: CN=Some CA",
        "SHA-256: aa",
        "Files: fullchain  /f.pem",
        "privkey    /p.pem",
        "Job: 7",
        "Undelivered: nginx: it failed",
        "Undelivered: postfix: not tried yet",
        "Last error: no A record",
        "org.acmed1.Error.Unreachable, 2025-06-15 13:06 UTC (2 hours ago)",
        f"What to do: {advice('org.acmed1.Error.Unreachable', 'www')}",
    ):
        assert expected in [line.strip() for line in lines]


def test_overview_shows_those_that_need_somebody() -> None:
    lines = show.overview(
        Objects((VALID, replace(FAILING, name="bad")), (), (JOB,)), Manager("1", 0, ""), NOW, colour=False
    )
    text = "\n".join(lines)
    assert "Certificates: 1 failing, 1 valid" in text
    assert "Jobs: 7 www: answering challenges" in text
    assert "Certificate: bad" in text
    assert "Certificate: www" not in text


def test_json_of_a_certificate() -> None:
    assert FAILING.json() == {
        "name": "www",
        "identifiers": ["www.example.com", "example.com"],
        "account": "default",
        "keyType": "",
        "services": [],
        "state": "failing",
        "notBefore": "2025-06-14T15:06:40Z",
        "notAfter": "2025-08-14T15:06:40Z",
        "renewAt": "2025-07-15T15:06:40Z",
        "serialNumber": "",
        "issuer": "",
        "fingerprintSHA256": "aa",
        "paths": {"fullchain": "/f.pem", "privkey": "/p.pem"},
        "lastError": {"name": "org.acmed1.Error.Unreachable", "message": "no A record", "time": "2025-06-15T13:06:40Z"},
        "failures": 3,
        "undelivered": [],
        "job": None,
        "failover": [],
        "challenge": None,
        "profile": None,
        "differences": [],
        "renewalWindow": None,
        "renewalExplanation": None,
        "retryAt": None,
        "endangered": False,
    }


def test_json_of_outcomes() -> None:
    assert report.as_json(Outcome("www", 7, "done", certificate=OWED)) == {
        "id": 7,
        "name": "www",
        "result": "done",
        "error": None,
        "remark": None,
        "state": "valid",
        "notAfter": "2025-08-14T15:06:40Z",
        "paths": {"fullchain": "/f.pem", "privkey": "/p.pem"},
        "undelivered": [{"service": "nginx", "error": "nginx.service failed"}],
    }
    assert report.as_json(Outcome("a", None, "refused", Error("x.Y", "z"))) == {
        "id": None,
        "name": "a",
        "result": "refused",
        "error": {"name": "x.Y", "message": "z"},
        "remark": None,
    }


def test_json_of_a_job() -> None:
    job = replace(JOB, challenges=(("a", "http-01", "valid"),))
    assert job.json() == {
        "id": 7,
        "type": "order",
        "certificate": "www",
        "startedByUID": 0,
        "started": "2025-06-15T15:06:40Z",
        "step": "challenge",
        "progress": 40,
        "detail": None,
        "deadline": None,
        "challenges": [{"identifier": "a", "type": "http-01", "status": "valid"}],
    }


def test_properties_of_wrong_types_are_empty() -> None:
    wrong = {
        "Name": 1,
        "Identifiers": "x",
        "NotAfter": "y",
        "Paths": [],
        "LastError": 3,
        "Undelivered": [[1]],
        "Job": [],
    }
    assert Certificate.read("/c", wrong) == Certificate("/c", "")
    assert Job.read("/j", {"Certificate": 1, "Challenges": None, "Id": []}) == Job("/j", 0)


def test_update_of_a_job() -> None:
    after = JOB.updated({"Step": "finalize", "Progress": 0, "Error": ["x.Y", "z"]})
    assert (after.id, after.type, after.step, after.progress) == (7, "order", "finalize", 0)
    assert after.error == Error("x.Y", "z")
    assert records.error({"LastError": ["", ""]}, "LastError") is None


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


PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"


def test_ca_file(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(f"# Größe\n{PEM}\nsubject\n{PEM}\n")
    assert read_ca_file(path) == f"{PEM}\n{PEM}\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no certificate"),
        (b"\xff\x00\xfe", "holds no certificate"),
        (PEM.encode() + b"\n-----BEGIN PRIVATE KEY-----\n", "holds a private key"),
        (b"x" * (2 << 20), "larger than"),
    ],
)
def test_bad_ca_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=message) as error:
        read_ca_file(path)
    assert str(path) in error.value.message


def test_unreadable_ca_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        read_ca_file(tmp_path / "none")
    with pytest.raises(CommandError, match="Is a directory"):
        read_ca_file(tmp_path)


PROBLEM = Problem(Path("/etc/acmed/acmed.toml"), 3, "unknown key 'x'", "did you mean 'y'?")
NOTE = Problem(Path("/etc/acmed/acmed.toml"), 0, "not checked", note=True)


def test_problems_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert configcheck.report(Output(), [PROBLEM, NOTE]) is Exit.FAILED
    assert capsys.readouterr().out == (
        "/etc/acmed/acmed.toml:3: unknown key 'x'\n    did you mean 'y'?\n/etc/acmed/acmed.toml: note: not checked\n"
    )


def test_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert configcheck.report(Output(), [NOTE]) is Exit.DONE
    assert capsys.readouterr().out.endswith("No problems.\n")
    assert configcheck.report(Output(quiet=True), [NOTE]) is Exit.DONE
    assert capsys.readouterr().out == ""


def test_problems_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert configcheck.report(Output(json=True), [PROBLEM]) is Exit.FAILED
    assert json.loads(capsys.readouterr().out) == {
        "problems": [
            {
                "file": "/etc/acmed/acmed.toml",
                "line": 3,
                "message": "unknown key 'x'",
                "hint": "did you mean 'y'?",
                "note": False,
            }
        ]
    }


@pytest.mark.parametrize(
    ("colour", "no_color", "wanted"), [("auto", "", False), ("always", "1", True), ("never", "", False)]
)
def test_colour(colour: str, no_color: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    assert Output(colour=colour).coloured(sys.stdout) is wanted
