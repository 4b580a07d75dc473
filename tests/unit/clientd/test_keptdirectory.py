# SPDX-License-Identifier: LGPL-2.1-or-later
"""Directories that outlive the process, and what becomes of those that are wrong."""

import asyncio
import json
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from acmed.clientd.ca import keptdirectory
from acmed.clientd.ca.transport import Answer
from acmed.clientd.notes import Notes
from acmed.varlink import VarlinkError
from tests.unit.clientd import faults
from tests.unit.clientd.ca import Fault
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import Rig

URL = "https://ca.example/directory"
FIELDS = {name: f"https://ca.example/{name}" for name in ("newNonce", "newAccount", "newOrder")}
DAY = 86400


def answer(**headers: str) -> Answer:
    return Answer(URL, 200, headers, json.dumps(FIELDS).encode())


def lifetime(notes: Notes) -> float | None:
    """Seconds that are left to what is kept; None where nothing is."""
    found = keptdirectory.load(notes, URL)
    return found and found[1]


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (None, DAY),
        ("max-age=600", 600),
        ("public, Max-Age = 7200, must-revalidate", 7200),
        ('max-age="600"', 600),
        ("max-age=31536000", DAY),
        ("public, max-age=0, no-cache", DAY),
        ("max-age=soon", DAY),
        ("s-max-age=5, x", DAY),
        ("max-age=99999999999", DAY),
        ("no-store", None),
        ("max-age=600, No-Store", None),
    ],
)
def test_how_long_it_is_kept(tmp_path: Path, control: str | None, expected: int | None) -> None:
    notes = Notes(tmp_path / "notes")
    keptdirectory.save(notes, URL, answer())
    keptdirectory.save(notes, URL, answer(**({"cache-control": control} if control else {})))
    left = lifetime(notes)
    assert left is None if expected is None else left is not None and expected - 100 < left <= expected


def test_it_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes, now = Notes(tmp_path), time.time()
    keptdirectory.save(notes, URL, answer())
    for moment, kept in ((now + DAY - 10, True), (now + DAY + 10, False), (now - 100, False)):
        with monkeypatch.context() as patch:
            patch.setattr("time.time", lambda moment=moment: moment)
            assert (lifetime(notes) is not None) == kept


def test_each_ca_has_its_own(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    keptdirectory.save(notes, URL, answer())
    assert keptdirectory.load(notes, f"{URL}/2") is None
    found = keptdirectory.load(notes, URL)
    assert found is not None
    assert found[0].resources == FIELDS


@pytest.mark.parametrize(
    "change",
    [
        {"until": 10**10},
        {"fetched": 0},
        {"fetched": None},
        {"until": "tomorrow"},
        {"body": "{}"},
        {"body": "{"},
        {"body": "[" * 100000},
        {"body": 5},
        {"format": 2},
        {"subject": "https://ca.example/other"},
    ],
)
def test_what_is_no_note_of_a_directory(tmp_path: Path, change: dict[str, Any]) -> None:
    notes = Notes(tmp_path)
    keptdirectory.save(notes, URL, answer())
    (path,) = tmp_path.iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert lifetime(notes) is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"5", b"[" * 100000, b" " * 2**20 + b"{}"])
def test_what_is_no_note(tmp_path: Path, content: bytes) -> None:
    notes = Notes(tmp_path)
    keptdirectory.save(notes, URL, answer())
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert lifetime(notes) is None
    keptdirectory.save(notes, URL, answer())
    assert lifetime(notes) is not None


def test_where_nothing_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("")
    notes = Notes(tmp_path / "notes")
    keptdirectory.save(notes, URL, answer())
    notes.drop(URL)
    assert lifetime(notes) is None


STALE = {
    "404": faults.page(404),
    "405": faults.page(405),
    "410": faults.page(410),
    "redirect": faults.redirect("/elsewhere"),
    "page": faults.page(200),
    "bad gateway": faults.page(502),
    "refused": faults.refuse(Refusal(501, "", "out of order")),
    "huge": faults.huge_answer,
}


@pytest.mark.parametrize("kind", ["newOrder", "newNonce"])
@pytest.mark.parametrize("fault", STALE.values(), ids=STALE)
def test_a_kept_directory_that_is_wrong(play: Play, kind: str, fault: Fault) -> None:
    """It is fetched once, and the order goes on."""

    async def scenario(rig: Rig) -> None:
        rig.daemon.restart()
        rig.ca.moved[kind] = "elsewhere"
        rig.ca.faults[kind] = [fault]
        assert await rig.issue()
        assert rig.ca.counts()["directory"] == 1
        assert rig.ca.counts()[kind] == 2
        rig.daemon.restart()
        rig.ca.requests.clear()
        assert await rig.issue("b.example", certificate="b")
        assert "directory" not in rig.ca.counts()

    play(scenario)


@pytest.mark.parametrize(
    ("fault", "fetched"),
    [
        (faults.page(502), 1),
        (faults.refuse(Refusal(404, "malformed")), 2),  # each time, as ever
        (faults.refuse(Refusal(403, "userActionRequired")), 1),
        (faults.refuse(Refusal(400, "invalidProfile")), 1),
        (faults.refuse(Refusal(403, "rejectedIdentifier")), 0),
        (faults.refuse(Refusal(429, "rateLimited"), "3600"), 0),
        (faults.page(503, Retry_After="3600"), 0),
    ],
)
def test_a_kept_directory_that_may_be_wrong(play: Play, fault: Fault, fetched: int) -> None:
    """The refusal is the result, and the kept directory is held against the CA's own once."""

    async def scenario(rig: Rig) -> None:
        rig.daemon.restart()
        for number in (1, 2):
            rig.ca.faults["newOrder"] = [fault]
            with pytest.raises(VarlinkError):
                await rig.order()
            assert rig.ca.counts()["newOrder"] == number
        assert rig.ca.counts().get("directory", 0) == fetched

    play(scenario)


def test_a_lost_answer_says_nothing_of_the_directory(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.daemon.restart()
        rig.ca.faults["newOrder"] = [faults.lose_request]
        rig.ca.faults["newNonce"] = [faults.lose_request]
        assert await rig.issue()
        assert "directory" not in rig.ca.counts()

    play(scenario)


def test_a_profile_that_is_new(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields["meta"].pop("profiles")
        await rig.ask("Directory")
        rig.ca.edits.clear()
        rig.daemon.restart()
        rig.ca.requests.clear()
        assert (await rig.order(profile="shortlived"))["created"]
        assert rig.ca.counts()["directory"] == 1

    play(scenario, directory_is_known=False)


def test_a_profile_that_is_gone(play: Play) -> None:
    """What the CA has instead is what it has now."""

    async def scenario(rig: Rig) -> None:
        rig.daemon.restart()
        rig.ca.edits["directory"] = lambda fields: fields["meta"].update(profiles={"modern": ""})
        rig.ca.faults["newOrder"] = [faults.refuse(Refusal(400, "invalidProfile", "no"))]
        with pytest.raises(VarlinkError) as caught:
            await rig.order(profile="shortlived")
        assert caught.value.parameters["detail"] == "no: this CA has modern"

    play(scenario)


@pytest.mark.parametrize("url", ["https://evil.example/newOrder", "http://localhost/newOrder", "no URL"])
def test_a_kept_directory_of_another_origin(play: Play, url: str) -> None:
    """As if it were not there: it is no more believed than what comes from the network."""

    async def scenario(rig: Rig) -> None:
        for path in (rig.orders.parent / "notes").iterdir():
            note = json.loads(path.read_text())
            if "body" in note:
                body = json.dumps(json.loads(note["body"]) | {"newOrder": url})
                path.write_text(json.dumps(note | {"body": body}))
        rig.daemon.restart()
        assert await rig.issue()
        assert rig.ca.counts()["directory"] == 1
        assert not [signed for signed in rig.keys.signed if signed == url]

    play(scenario)


def test_rare_requests_get_a_new_one(play: Play) -> None:
    """Terms that are agreed to, and where a revocation goes."""

    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields["meta"].update(termsOfService="https://ca.example/new")
        for number, method in enumerate(("Register", "FindAccount", "RevocationNonce"), 1):
            rig.daemon.restart()
            found = await rig.ask(method)
            assert rig.ca.counts()["directory"] == number
            assert found.get("termsOfService", "https://ca.example/new") == "https://ca.example/new"

    play(scenario)


def test_terms_that_somebody_is_to_agree_to(play: Play) -> None:
    """Before there is an account: those of today. With one it is the directory that is kept."""

    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields["meta"].update(termsOfService="https://ca.example/new")
        rig.daemon.restart()
        assert (await rig.ask("Directory"))["termsOfService"] == f"{rig.ca.base}/terms"
        rig.accounts["main"] = replace(rig.accounts["main"], uri=None)
        for _ in range(2):
            assert (await rig.ask("Directory"))["termsOfService"] == "https://ca.example/new"
        assert rig.ca.counts()["directory"] == 1

    play(scenario)


def test_the_clock_of_a_ca_whose_directory_is_kept(play: Play) -> None:
    """It comes with the nonce that the order needs anyhow."""

    async def scenario(rig: Rig) -> None:
        rig.daemon.restart()
        rig.ca.headers["newNonce"] = {"Date": formatdate(time.time() + 7200, usegmt=True)}
        for _ in range(2):
            found = await rig.ask("Directory")
            assert abs(found["clockOffset"] - 7200) <= 2
            assert found["caaIdentities"] == ["ca.example"]
            assert rig.ca.counts() == {"newNonce": 1}
        assert await rig.issue()
        assert len(rig.ca.requests) == 8

    play(scenario)


def test_no_store(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.headers["directory"] = {"Cache-Control": "no-store"}
        for _ in range(2):
            rig.daemon.restart()
            await rig.ask("Directory")
        rig.daemon.restart()
        assert await rig.issue()
        assert rig.ca.counts()["directory"] == 3

    play(scenario, directory_is_known=False)


def test_renewal_information_that_has_moved(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.resources = {"renewalInfo"}
        await rig.ask("Directory")
        rig.daemon.restart()
        rig.ca.moved["renewalInfo"] = "elsewhere"
        window = {"start": "2025-01-02T04:00:00Z", "end": "2025-01-03T04:00:00Z"}
        rig.ca.renewals["a.b"] = {"suggestedWindow": window}
        assert (await rig.ask("RenewalInfo", certId="a.b"))["start"]
        assert rig.ca.counts() == {"directory": 2, "renewalInfo": 2}

    play(scenario, directory_is_known=False)


def test_many_orders_meet_a_wrong_directory_together(play: Play) -> None:
    """It is fetched once for all."""

    async def scenario(rig: Rig) -> None:
        rig.daemon.restart()
        rig.ca.faults["newOrder"] = [lambda _: Reply(502)] * 8
        orders = (rig.order(f"n{number}.example", certificate=f"n{number}") for number in range(8))
        failures = await asyncio.gather(*orders, return_exceptions=True)
        assert all(isinstance(failure, VarlinkError) for failure in failures)
        assert (rig.ca.counts()["newOrder"], rig.ca.counts()["directory"]) == (8, 1)

    play(scenario)
