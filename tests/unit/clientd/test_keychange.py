# SPDX-License-Identifier: LGPL-2.1-or-later
"""The change of an account's key, interrupted wherever it can be."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd import faults, jws
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import QUICK, Rig


async def refused(rig: Rig) -> VarlinkError:
    with pytest.raises(VarlinkError) as caught:
        await rig.ask("ChangeKey")
    return caught.value


def kept_of(rig: Rig) -> Path:
    """When the CA was asked for a change that it has not answered."""
    path = rig.orders.parent / "key-changes" / "main.json"
    path.parent.mkdir(exist_ok=True)
    return path


def check_changed(rig: Rig) -> None:
    """One account, with the next key."""
    assert [account.key for account in rig.ca.accounts.values()] == [jws.jwk(rig.keys.next_key)]


def test_the_key_is_changed(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        assert await rig.ask("ChangeKey") == {}
        check_changed(rig)
        assert rig.ca.counts() == {"keyChange": 1}

    play(scenario)


def test_a_change_that_was_made_before(play: Play) -> None:
    """As after a crash between the two keys: acme-keyd still signs with the old one."""

    async def scenario(rig: Rig) -> None:
        await rig.ask("ChangeKey")
        rig.ca.requests.clear()
        assert await rig.ask("ChangeKey") == {}
        check_changed(rig)
        assert rig.ca.counts() == {"keyChange": 1, "newAccount": 1}
        assert rig.ca.payloads("newAccount") == [{"onlyReturnExisting": True}]

    play(scenario)


@pytest.mark.parametrize("fault", [faults.lose_request, faults.lose_answer, faults.cut_answer])
def test_a_lost_change(play: Play, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [fault]
        await rig.ask("ChangeKey")
        check_changed(rig)

    play(scenario)


@pytest.mark.parametrize("relative", [False, True])
def test_a_conflict_with_itself(play: Play, relative: bool) -> None:
    """A CA that looks at the next key first, and says nothing else than whose it is, as Pebble."""

    async def scenario(rig: Rig) -> None:
        uri = rig.accounts["main"].uri or ""
        location = uri.removeprefix(rig.ca.base) if relative else uri
        rig.ca.faults["keyChange"] = [lambda _: Reply(409, {"Location": location})]
        await rig.ask("ChangeKey")
        assert rig.ca.counts() == {"keyChange": 1}

    play(scenario)


@pytest.mark.parametrize("told", [True, False])
def test_a_key_that_is_another_accounts(play: Play, told: bool) -> None:
    async def scenario(rig: Rig) -> None:
        other = rig.ca.open_account(jws.jwk(rig.keys.next_key))
        if not told:
            rig.ca.faults["keyChange"] = [faults.refuse(Refusal(409, "conflict"))]
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ChangeKey")
        assert caught.value.parameters["type"] == "conflict"
        assert caught.value.parameters["detail"] == (
            f"the next key of main is already the key of another account, {other}"
        )

    play(scenario)


@pytest.mark.parametrize(
    "refusal", [Refusal(403, "unauthorized", "no"), Refusal(400, "badPublicKey", "weak"), Refusal(404, "malformed")]
)
def test_a_change_that_is_refused(play: Play, refusal: Refusal) -> None:
    """The next key has no account, so what the CA said first is what counts."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(refusal)]
        error = await refused(rig)
        assert error.name == "org.acmed.Client.NextKeyRefused"
        assert error.parameters == {"type": refusal.kind, "detail": refusal.detail, "status": refusal.status}
        assert rig.ca.counts()["newAccount"] == 1
        assert [account.key for account in rig.ca.accounts.values()] == [jws.jwk(rig.keys.key)]

    play(scenario)


WEAK = Refusal(400, "badPublicKey", "weak")
STRANGE = Refusal(400, "malformed", "what is this?")


def test_a_key_of_a_type_that_the_ca_cannot_even_look_for(play: Play) -> None:
    """Then it says that the account has the old one."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(STRANGE)]
        rig.ca.faults["newAccount"] = [faults.refuse(STRANGE)]
        error = await refused(rig)
        assert error.name == "org.acmed.Client.NextKeyRefused"
        assert [rig.ca.counts()[name] for name in ("keyChange", "newAccount")] == [1, 2]

    play(scenario)


def test_a_refusal_of_a_ca_that_knows_neither_key(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(WEAK)]
        rig.ca.faults["newAccount"] = [faults.refuse(STRANGE), faults.refuse(STRANGE)]
        assert (await refused(rig)).name == "org.acmed.Client.Acme"

    play(scenario)


def test_a_refusal_of_a_ca_that_has_the_old_key_for_another_account(play: Play) -> None:
    """That says nothing of this one."""

    async def scenario(rig: Rig) -> None:
        other = Reply(200, {"Location": f"{rig.ca.base}/account/99", "Content-Type": "application/json"}, b"{}")
        rig.ca.faults["keyChange"] = [faults.refuse(WEAK)]
        rig.ca.faults["newAccount"] = [faults.refuse(STRANGE), lambda _: other]
        error = await refused(rig)
        assert (error.name, error.parameters["detail"]) == ("org.acmed.Client.Acme", STRANGE.detail)
        assert rig.ca.counts()["newAccount"] == 2

    play(scenario)


PUT_OFF = [Refusal(400, "badNonce"), Refusal(403, "rateLimited")]


@pytest.mark.parametrize("refusal", PUT_OFF)
def test_a_change_that_is_put_off_for_ever(play: Play, refusal: Refusal) -> None:
    """Whatever the status, that says nothing of the next key: nobody asks whose it is, and it is kept."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(refusal)] * 9
        error = await refused(rig)
        assert (error.name, error.parameters["type"]) == ("org.acmed.Client.Acme", refusal.kind)
        assert "newAccount" not in rig.ca.counts()

    play(scenario, limits=replace(QUICK, nonce_tries=2))


@pytest.mark.parametrize("refusal", PUT_OFF)
def test_a_lookup_that_is_put_off(play: Play, refusal: Refusal) -> None:
    """Nobody knows then whether the next key has an account."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(WEAK)]
        rig.ca.faults["newAccount"] = [faults.refuse(refusal)] * (2 if refusal.kind == "badNonce" else 1)
        error = await refused(rig)
        assert (error.name, error.parameters["type"]) == ("org.acmed.Client.Acme", refusal.kind)

    play(scenario, limits=replace(QUICK, nonce_tries=2))


@pytest.mark.parametrize(
    ("fault", "is_asked_again"),
    [
        (faults.lose_request, True),
        (faults.page(403), False),
        (faults.page(502), False),
        (faults.refuse(Refusal(408, "malformed")), False),
    ],
)
def test_a_refusal_while_the_ca_may_still_make_the_change(play: Play, fault: Any, is_asked_again: bool) -> None:
    """A request for it may be on its way, so that next key must be kept: also in the next run, until it cannot be."""

    async def scenario(rig: Rig) -> None:
        kept = kept_of(rig)
        rig.ca.faults["keyChange"] = [fault, *[faults.refuse(WEAK)] * 3]
        if not is_asked_again:
            assert (await refused(rig)).name != "org.acmed.Client.NextKeyRefused"
        error = await refused(rig)
        assert error.name == "org.acmed.Client.Acme"
        assert "try again in an hour" in error.parameters["detail"]
        since = json.loads(kept.read_text())["since"]
        assert (await refused(rig)).name == "org.acmed.Client.Acme"
        assert json.loads(kept.read_text())["since"] == since
        kept.write_text(json.dumps({"uri": rig.accounts["main"].uri, "since": since - 3601}))
        assert (await refused(rig)).name == "org.acmed.Client.NextKeyRefused"
        assert not kept.exists()

    play(scenario)


def test_a_refusal_after_a_kill(play: Play) -> None:
    """What was asked for before it may have an answer that nobody has heard."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(WEAK)]
        kept = kept_of(rig)
        kept.write_text(json.dumps({"uri": rig.accounts["main"].uri, "since": time.time()}))
        assert (await refused(rig)).name == "org.acmed.Client.Acme"
        await rig.ask("ChangeKey")
        assert not kept.exists()

    play(scenario)


@pytest.mark.parametrize("content", ['{"uri": "https://ca.example/before", "since": 9e99}', "{"])
def test_what_is_kept_of_another_account_or_broken(play: Play, content: str) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(WEAK)]
        kept = kept_of(rig)
        kept.write_text(content)
        expected = "NextKeyRefused" if "uri" in content else "Acme"
        assert (await refused(rig)).name == f"org.acmed.Client.{expected}"

    play(scenario)


def test_what_the_ca_has_put_off_is_not_under_way(play: Play) -> None:
    """Neither that, nor a nonce that it did not like: it did not do it, by its own word."""

    async def scenario(rig: Rig) -> None:
        bad = faults.refuse(Refusal(400, "badNonce"))
        rig.ca.faults["keyChange"] = [bad, faults.refuse(Refusal(429, "rateLimited"), "3600")]
        assert (await refused(rig)).parameters["type"] == "rateLimited"
        rig.ca.faults["keyChange"] = [bad, faults.refuse(WEAK)]
        assert (await refused(rig)).name == "org.acmed.Client.NextKeyRefused"

    play(scenario)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_change_that_is_put_off(play: Play, status: int) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["keyChange"] = [faults.refuse(Refusal(status, "serverInternal"), "3600")]
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ChangeKey")
        assert caught.value.parameters["retryAfter"] == 3600
        assert "newAccount" not in rig.ca.counts()
        await rig.ask("ChangeKey")
        check_changed(rig)

    play(scenario)


def test_a_lookup_that_fails(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.ask("ChangeKey")
        rig.ca.faults["newAccount"] = [faults.lose_request] * 9
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ChangeKey")
        assert caught.value.name == "org.acmed.Client.Unreachable"
        rig.ca.faults.clear()
        await rig.ask("ChangeKey")

    play(scenario)


def test_a_ca_that_cannot(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["directory"] = lambda fields: fields.pop("keyChange")
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("ChangeKey")
        assert caught.value.parameters["message"] == "this CA has no keyChange"

    play(scenario, directory_is_known=False)
