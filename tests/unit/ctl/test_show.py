# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates, jobs and outcomes, as text and as JSON."""

from dataclasses import replace

import pytest

from acmed.ctl import records, report
from acmed.ctl.advice import advice
from acmed.ctl.client import Manager, Objects
from acmed.ctl.commands import show
from acmed.ctl.exits import Exit
from acmed.ctl.following.follow import Outcome
from acmed.ctl.records import Certificate, Error, Job
from tests.unit.ctl.samples import FAILING, JOB, NOW, OWED, VALID

pytestmark = pytest.mark.usefixtures("in_utc")


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
        "Next renewal: now, by the next run of acme-renew.timer",
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
        f"What to do: {advice('org.acmed1.Error.Unreachable')}",
        "acmed tries again by itself at the next run of acme-renew.timer; 'acmectl renew www' tries at once.",
    ):
        assert expected in [line.strip() for line in lines]


def test_overview_shows_those_that_need_somebody() -> None:
    lines = show.overview(
        Objects((VALID, replace(FAILING, name="bad")), (), (JOB,)), Manager("1", 0, ""), (), NOW, colour=False
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
        "damaged": False,
        "lastErrorJob": None,
        "unrevoked": False,
    }


def test_files_that_are_not_there_any_more_are_told() -> None:
    """Not while a job is at work, which may be what changes them."""
    damaged = replace(VALID, state="due", damaged=True)
    words = "its files are missing or were changed; 'acmectl renew --due' sees to it now, the timer within an hour"
    assert f"Attention: {words}" in [line.strip() for line in show.describe(damaged, NOW, colour=False)]
    assert show.health([damaged]) is Exit.FAILED
    assert words not in "".join(show.describe(replace(damaged, job=7), NOW, colour=False))
    assert show.health([replace(damaged, job=7)]) is Exit.DONE


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
