# SPDX-License-Identifier: LGPL-2.1-or-later
"""What CAs say of themselves, and where they have moved what."""

import asyncio
import json
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from acmed.clientd.ca.authority import Authorities
from acmed.clientd.ca.directory import directory
from acmed.clientd.ca.transport import Answer, Transport
from acmed.clientd.errors import Unreachable
from acmed.clientd.limits import Limits
from acmed.clientd.notes import Notes
from acmed.config.model import Account
from acmed.varlink import VarlinkError
from tests.unit.clientd import faults
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import Rig

URL = "https://ca.example/x"
BASE = {"newNonce": URL, "newAccount": URL, "newOrder": URL}


def answer(value: Any) -> Answer:
    return Answer(URL, 200, {"content-type": "application/json"}, json.dumps(value).encode())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"new-reg": URL, "new-authz": URL, "new-cert": URL}, "ACME v1"),
        ({"newNonce": URL, "newAccount": URL}, "no newOrder"),
        ({"newNonce": URL, "newAccount": URL, "newOrder": 5}, "no newOrder"),
        (["newNonce"], "no JSON object"),
    ],
)
def test_what_is_no_directory(value: Any, words: str) -> None:
    with pytest.raises(Unreachable, match=words):
        directory(answer(value))


@pytest.mark.parametrize(
    "meta",
    [
        None,
        5,
        {},
        {"termsOfService": 5, "website": ["x"], "caaIdentities": "ca.example", "profiles": 5},
        {"externalAccountRequired": "false", "termsOfService": "a\nb", "caaIdentities": [5, "", None]},
        {"profiles": {"": "x"}},
    ],
)
def test_what_is_not_as_it_should_be_is_left_out(meta: Any) -> None:
    found = directory(answer(BASE | {"meta": meta, "Xq1": "https://random.example", "renewalInfo": 1}))
    assert (found.terms, found.website, found.caa_identities) == (None, None, ())
    assert (found.profiles, found.external_account_required) == ({}, False)
    assert "renewalInfo" not in found.resources


def test_too_much_is_cut() -> None:
    profiles = {f"p{number}": "x" * 9000 for number in range(1000)}
    found = directory(answer(BASE | {"meta": {"profiles": profiles, "caaIdentities": ["a.example"] * 1000}}))
    assert (len(found.profiles), len(found.caa_identities), len(found.profiles["p7"])) == (100, 100, 2048)


def test_all_of_it(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        def edit(fields: dict[str, Any]) -> None:
            fields["meta"] |= {"website": "https://ca.example", "externalAccountRequired": True}
            fields["meta"]["profiles"] = {"classic": "https://ca.example/classic", "odd": 5}

        rig.ca.edits["directory"] = edit
        rig.ca.resources = {"renewalInfo", "newAuthz"}
        assert await rig.ask("Directory") == {
            "termsOfService": f"{rig.ca.base}/terms",
            "website": "https://ca.example",
            "caaIdentities": ["ca.example"],
            "externalAccountRequired": True,
            "profiles": {"classic": "https://ca.example/classic", "odd": ""},
            "renewalInfo": True,
            "newAuthz": True,
            "clockOffset": 0,
        }
        assert rig.ca.counts() == {"directory": 1}
        await rig.ask("Directory")
        assert rig.ca.counts() == {"directory": 1}

    play(scenario, registered=False)


def test_who_wants_to_know_whether_the_ca_answers_now(play: Play) -> None:
    """However lately it was asked, and by whom."""

    async def scenario(rig: Rig) -> None:
        await rig.ask("Directory")
        rig.ca.headers["directory"] = {"Date": formatdate(time.time() + 7200, usegmt=True)}
        assert (await rig.ask("Directory"))["clockOffset"] == 0
        assert abs((await rig.ask("Directory", fresh=True))["clockOffset"] - 7200) <= 2
        assert rig.ca.counts() == {"directory": 2}
        rig.ca.faults["directory"] = [faults.refuse(Refusal(403, "malformed"))]
        with pytest.raises(VarlinkError):
            await rig.ask("Directory", fresh=True)
        await rig.ask("Directory")
        assert rig.ca.counts() == {"directory": 3}

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize("offset", [0, 7200, -400 * 86400])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati"])
def test_the_clock_of_the_ca(play: Play, monkeypatch: pytest.MonkeyPatch, offset: int, zone: str) -> None:
    """By its last answer of any kind, whatever this host's clock did since."""

    async def scenario(rig: Rig) -> None:
        rig.ca.headers["directory"] = {"Date": formatdate(time.time() + offset, usegmt=True)}
        found = await rig.ask("Directory")
        assert abs(found["clockOffset"] - offset) <= 2
        honest = time.time
        with monkeypatch.context() as later:
            later.setattr("time.time", lambda: honest() + 500)
            found = await rig.ask("Directory")
        assert abs(found["clockOffset"] - offset + 500) <= 2

    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        play(scenario, registered=False)
    time.tzset()


def test_the_directory_is_of_its_own_origin(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields.update(newAccount="https://evil.example/newAccount")
        with pytest.raises(VarlinkError) as caught:
            await rig.register()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert caught.value.parameters["url"] == "https://evil.example/newAccount"
        assert rig.keys.signed == []

    play(scenario, registered=False)


@pytest.mark.parametrize(
    ("target", "fine"),
    [
        ("/directory/v2", True),
        ("https://evil.example/directory", False),
        ("http://localhost/directory", False),
        ("https://localhost:1/directory", False),
        ("", False),
    ],
)
def test_the_directory_may_move_within_its_origin(play: Play, target: str, fine: bool) -> None:
    async def scenario(rig: Rig) -> None:
        redirect = Reply(302, {"Location": target})
        rig.ca.faults["directory"] = [lambda _: redirect] * (1 if fine else 9)
        if fine:
            await rig.register()
            return
        with pytest.raises(VarlinkError) as caught:
            await rig.register()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert "redirects" in caught.value.parameters["message"]

    play(scenario, registered=False)


@pytest.mark.parametrize("kind", ["newOrder", "newNonce", "revokeCert", "newAccount"])
@pytest.mark.parametrize("status", [404, 405, 410])
def test_a_resource_that_has_moved(play: Play, kind: str, status: int) -> None:
    """The directory that is known is read anew, once."""

    async def scenario(rig: Rig) -> None:
        await rig.ask("Directory")
        rig.ca.moved[kind] = "elsewhere"
        if status != 404:
            rig.ca.faults[kind] = [faults.page(status)]
        await rig.register()
        if kind == "newOrder":
            assert await rig.issue()
        if kind == "revokeCert":
            await rig.ask("Revoke", certificate="www", der="YQ==", reason=1)
        assert rig.ca.counts()["directory"] == 2
        assert rig.ca.counts()[kind] == 2

    play(scenario, registered=False)


def test_a_resource_that_is_gone(play: Play) -> None:
    """No loop: the directory says that it is where it was."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newOrder"] = [faults.refuse(Refusal(404, "malformed", "no such thing"))] * 9
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["detail"] == "no such thing"
        assert rig.ca.counts() == {"newOrder": 1, "directory": 1}

    play(scenario)


def test_many_orders_meet_a_move_together(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.moved["newOrder"] = "elsewhere"
        jobs = (rig.issue(f"n{number}.example", certificate=f"n{number}") for number in range(8))
        assert all(await asyncio.gather(*jobs))
        assert rig.ca.counts()["directory"] == 1
        assert rig.ca.counts()["newOrder"] <= 16

    play(scenario)


@pytest.mark.parametrize("change", [{"newOrder": "https://evil.example/newOrder"}, {"revokeCert": 5}])
def test_a_bad_directory_is_read_again(play: Play, change: dict[str, Any]) -> None:
    """At the next request: it may be better by then, and is kept for an hour where it is good."""

    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields.update(change)
        for _ in range(2):
            with pytest.raises(VarlinkError):
                await (rig.order() if "newOrder" in change else rig.ask("RevocationNonce"))
        assert rig.ca.counts()["directory"] == 2
        rig.ca.edits.clear()
        assert await rig.issue()
        assert await rig.ask("RevocationNonce")
        assert rig.ca.counts()["directory"] == 3

    play(scenario, directory_is_known=False)


def test_a_move_to_another_origin(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.moved["newOrder"] = "elsewhere"
        rig.ca.edits["directory"] = lambda fields: fields.update(newOrder="https://evil.example/newOrder")
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert caught.value.parameters["url"] == "https://evil.example/newOrder"
        assert not [url for url in rig.keys.signed if "evil" in url]

    play(scenario)


def test_the_clock_of_the_ca_goes_on(tmp_path: Path, certificate: Path) -> None:
    limits = Limits()
    authority = Authorities(Transport(limits), limits, Notes(tmp_path)).of(Account("a", URL, (), None, certificate))
    authority._clock = (time.monotonic() - 100, 1000.0)
    assert 1100 <= authority.now() < 1200
