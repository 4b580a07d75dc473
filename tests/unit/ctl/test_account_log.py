# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl account log: what it makes of the journal's entries; tests/system has a journal."""

import json
import os
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from acmed.ctl.audit import log
from acmed.ctl.commandline import arguments
from acmed.ctl.commands.accountlog import show
from acmed.ctl.output import Output
from acmed.keyd.audit import MESSAGE_FAR_REFUSED, MESSAGE_REFUSED, MESSAGE_SIGNED, MESSAGE_UNAVAILABLE

SIGNED: dict[str, Any] = {
    "__REALTIME_TIMESTAMP": datetime(2026, 2, 19, 8, 0, 1, 5, tzinfo=UTC),
    "MESSAGE_ID": UUID(MESSAGE_SIGNED),
    "_SYSTEMD_UNIT": "acme-keyd.service",
    "_UID": 61234,
    "ACME_ACCOUNT": "main",
    "ACME_OPERATION": "newOrder",
    "ACME_URL": "https://ca.example/new-order",
    "ACME_RULE": "permit:order:www",
    "ACME_IDENTIFIERS": "a.example.com www.example.com",
    "ACME_PEER_UID": "65534",
    "ACME_PEER_PID": "77",
}
PEER = {"_UID": 61235, "_SYSTEMD_UNIT": "acme-clientd.service"}
FORGED: dict[str, Any] = {
    "__REALTIME_TIMESTAMP": datetime(2026, 2, 19, 8, 0, 2, tzinfo=UTC),
    "MESSAGE_ID": UUID(MESSAGE_REFUSED),
    "_UID": os.getuid(),
    "ACME_ACCOUNT": ["main", "other"],
    "ACME_CLIENT": b"\xff\x1b[31m",
    "ACME_RULE": "no\nrule",
    "ACME_PEER_UID": "-1; rm",
}


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    entries = [log._entry(SIGNED, PEER), log._entry(FORGED, {})]
    show(Output(json=True), entries)
    signed, forged = json.loads(capsys.readouterr().out)
    assert signed == {
        "time": "2026-02-19T08:00:01Z",
        "signed": True,
        "result": "signed",
        "account": "main",
        "operation": "newOrder",
        "url": "https://ca.example/new-order",
        "rule": "permit:order:www",
        "reason": None,
        "identifiers": ["a.example.com", "www.example.com"],
        "csrSHA256": None,
        "certificateSHA256": None,
        "nextKey": None,
        "client": None,
        "peer": {"uid": 61235, "pid": 77, "unit": "acme-clientd.service"},
        "signer": {"unit": "acme-keyd.service", "uid": 61234},
    }
    assert (forged["signed"], forged["account"], forged["peer"]["uid"]) == (False, "main", None)
    assert forged["signer"] == {"unit": None, "uid": os.getuid()}


def test_who_asked_where_only_acme_keyd_saw_it() -> None:
    assert (log._entry(SIGNED, {}).peer_uid, log._entry(SIGNED, {}).peer) == ("", "uid ?")
    assert log._entry(SIGNED | {"ACME_PEER_UID": "0"}, {}).peer_uid == "0"


def test_a_key_that_could_not_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither signed nor refused; the reason is what is of interest."""
    fields = SIGNED | {"MESSAGE_ID": UUID(MESSAGE_UNAVAILABLE), "ACME_REASON": "the token is gone"}
    show(Output(json=True), [log._entry(fields, PEER)])
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["signed"], entry["result"]) == (False, "unavailable")
    assert (entry["rule"], entry["reason"]) == ("permit:order:www", "the token is gone")
    show(Output(), [log._entry(fields, PEER)])
    line = capsys.readouterr().out.splitlines()[1]
    assert " unavailable " in line and line.endswith("the token is gone")


@pytest.mark.parametrize("message_id", [MESSAGE_REFUSED, MESSAGE_FAR_REFUSED])
def test_refusals(message_id: str) -> None:
    assert log._entry(FORGED | {"MESSAGE_ID": UUID(message_id)}, {}).json()["result"] == "refused"


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show(Output(), [log._entry(SIGNED, PEER), log._entry(FORGED, {})])
    heading, signed, forged = capsys.readouterr().out.splitlines()
    assert heading.split() == ["TIME", "ACCOUNT", "RESULT", "OPERATION", "FOR", "BY", "SUBJECT", "WHY"]
    words = ["main", "signed", "newOrder", "acme-clientd.service", "acme-keyd.service"]
    assert signed.split()[2:] == [*words, "a.example.com", "www.example.com", "permit:order:www"]
    assert "user root" in forged or os.getuid() != 0
    assert "\x1b" not in forged
    assert forged.endswith("no\\nrule")


def test_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show(Output(), [])
    assert "Nothing was signed" in capsys.readouterr().out
    show(Output(json=True), [])
    assert json.loads(capsys.readouterr().out) == []


def test_since() -> None:
    assert arguments.moment("2026-02-19T08:00:00Z") == 1771488000
    assert arguments.moment("2026-02-19") == datetime(2026, 2, 19).timestamp()
    assert abs(time.time() - 7200 - arguments.moment("2h")) < 60
