# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a certificate's own file asks for beside services, and services' hooks: who gets what, when, and once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from acmed.manager.ways import delivery
from acmed.names import OWN_FILES
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate
from tests.bus.rig import Rig, rig

_NAME = "www.example.com"
_COPY = {"files": {"cert": "/etc/a.pem"}}


def _configure(it: Rig, **keys: Any) -> None:
    """Writes the certificate's file, with a service. A change is seen though it comes at the same time."""
    table = keys.pop("files", {})
    it.privd.configure(_NAME, [_NAME], services=["nginx"], **keys)
    path = it.places.etc / "certificates.d" / f"{_NAME}.toml"
    if table:
        lines = "".join(f'{kind} = "{target}"\n' for kind, target in table.items())
        path.write_text(f"{path.read_text()}[files]\n{lines}")
    with path.open("a") as file:
        file.write("#" * (1 + len(it.privd.calls)))


def _hook(it: Rig) -> None:
    directory = it.places.etc / "acmed.toml.d"
    directory.mkdir(exist_ok=True)
    (directory / "hook.toml").write_text('[service.nginx]\nhook = "push"\n')


async def _ordered(it: Rig, **keys: Any) -> None:
    _configure(it, **keys)
    it.privd.install(_NAME, certificate([_NAME]))
    await _renewed(it)
    it.privd.calls.clear()


async def _renewed(it: Rig) -> str:
    return await it.caller.result(await it.caller.renew())


def _delivered(it: Rig) -> list[list[str]]:
    """To whom, by each call since the last time."""
    found = [call["services"] for call in it.privd.given("Deliver")]
    it.privd.calls.clear()
    return found


async def _undelivered(it: Rig) -> list[list[str]]:
    found: list[list[str]] = (await it.caller.properties())["Undelivered"]
    return found


def test_services_are_told_when_the_copies_are_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _hook(it)
            _configure(it, **_COPY)
            it.privd.install(_NAME, certificate([_NAME]))
            assert await _undelivered(it) == [[OWN_FILES, ""], ["nginx", ""], ["hook of nginx", ""]]
            assert await _renewed(it) == "done"
            assert _delivered(it) == [[OWN_FILES], ["nginx"], ["hook of nginx"]]
            assert await _undelivered(it) == []

    asyncio.run(run())


def test_copies_that_come_late_are_told_of(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.undeliverable[OWN_FILES] = "no such directory"
            await _ordered(it, **_COPY)
            assert await _undelivered(it) == [[OWN_FILES, "no such directory"]]
            assert await _renewed(it) == "failed"
            assert _delivered(it) == [[OWN_FILES]], "services are left alone as long as there is nothing new"
            it.privd.undeliverable.clear()
            assert await _renewed(it) == "done"
            assert _delivered(it) == [[OWN_FILES], ["nginx"]]
            assert await _undelivered(it) == []

    asyncio.run(run())


def test_a_hook_that_failed_is_all_that_is_run_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _hook(it)
            it.privd.undeliverable["hook of nginx"] = "exit status 1"
            await _ordered(it)
            assert await _undelivered(it) == [["hook of nginx", "exit status 1"]]
            it.privd.undeliverable.clear()
            assert await _renewed(it) == "done"
            assert _delivered(it) == [["hook of nginx"]]

    asyncio.run(run())


def test_a_hook_waits_for_its_service(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _hook(it)
            it.privd.undeliverable["nginx"] = "the reload failed"
            await _ordered(it)
            waits = "it is run when nginx has got the certificate"
            assert await _undelivered(it) == [["nginx", "the reload failed"], ["hook of nginx", waits]]
            it.privd.undeliverable.clear()
            assert await _renewed(it) == "done"
            assert _delivered(it) == [["nginx"], ["hook of nginx"]]

    asyncio.run(run())


def test_what_hangs_keeps_nothing_else_from_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as what is late, and owed by itself."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _hook(it)
            it.privd.configure(_NAME, [_NAME], services=["nginx", "postfix"])
            it.privd.install(_NAME, certificate([_NAME]))
            it.privd.hanging = {"nginx"}
            number = await it.caller.renew()
            assert await it.caller.result(number) == "failed"
            late = "acme-privd did not answer Deliver in time; see 'systemctl status acme-privd.service'"
            waits = "it is run when nginx has got the certificate"
            assert await _undelivered(it) == [["nginx", late], ["hook of nginx", waits]]
            assert _delivered(it) == [["nginx"], ["postfix"]]
            _, message = (await it.caller.properties())["LastError"]
            assert message.endswith(f"not delivered to nginx: {late}; hook of nginx: {waits}")
            it.privd.hanging = {"hook of nginx"}
            assert await _renewed(it) == "failed"
            assert await _undelivered(it) == [["hook of nginx", late]]
            it.privd.hanging = set()
            assert await _renewed(it) == "done"
            assert _delivered(it) == [["nginx"], ["hook of nginx"], ["hook of nginx"]]

    # Nobody waits here for what never comes.
    monkeypatch.setattr(delivery, "_longest", lambda _, name: 0.1 if name == "nginx" else 60.0)
    asyncio.run(run())


def test_what_was_delivered_before_a_sigkill_is_not_delivered_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            it.privd.configure(_NAME, [_NAME], services=["nginx", "postfix"])
            it.privd.install(_NAME, certificate([_NAME]))
            it.privd.hanging = {"postfix"}
            number = await it.caller.renew()
            async with asyncio.timeout(10):
                while it.privd.called.count("Deliver") < 2:
                    await asyncio.sleep(0.01)
            await it.kill()
            it.privd.hanging = set()
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert _delivered(it) == [["nginx"], ["postfix"], ["postfix"]]

    asyncio.run(run())


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"cert": "/etc/b.pem"}},
        {"files": {"chain": "/etc/a.pem"}},
        {**_COPY, "owner": "nobody"},
        {**_COPY, "group": "mail"},
        {**_COPY, "mode": "0600"},
        {},
    ],
)
def test_another_wish_is_owed_and_no_reason_to_order(tmp_path: Path, change: dict[str, Any]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it, **_COPY)
            _configure(it, **_COPY)
            assert await _undelivered(it) == []
            _configure(it, **change)
            assert await _undelivered(it) == [[OWN_FILES, ""]]
            assert await _renewed(it) == "done"
            assert it.privd.called == ["Deliver"]
            assert _delivered(it) == [[OWN_FILES]]
            assert await _undelivered(it) == []

    asyncio.run(run())


def test_a_key_that_was_given_to_others_is_not_damaged(tmp_path: Path) -> None:
    """acme-privd publishes all files anew for that."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            pem = (it.places.certificates / _NAME / "cert.pem").read_text()
            _configure(it, owner="nobody")
            gate = it.privd.gate("Deliver")
            number = await it.caller.renew()
            await it.privd.reached["Deliver"].wait()
            it.privd.install(_NAME, pem)
            gate.set()
            assert await it.caller.result(number) == "done"
            assert (await it.caller.properties())["State"] == "valid"
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]

    asyncio.run(run())


def test_what_is_lost_stays_lost(tmp_path: Path) -> None:
    """A delivery in between does not make right what is published."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            (it.places.certificates / _NAME / "privkey.pem").write_text("damaged")
            it.privd.errors["Restore"] = VarlinkError("org.acmed.Priv.NotIssued", certificate=_NAME)
            it.clientd.unreachable.add("default")
            (jobs,) = await it.caller.manager("RenewDue", "t", 0)
            assert await it.caller.result(jobs[0][1] + 1) == "failed"
            _configure(it, owner="nobody")
            (jobs,) = await it.caller.manager("RenewDue", "t", 0)
            assert await it.caller.result(jobs[0][1]) == "done"
            assert _delivered(it)[-1] == [OWN_FILES]
            it.clientd.unreachable.clear()
            assert await _renewed(it) == "done"
            assert "NewRequest" in it.privd.called

    asyncio.run(run())
