# SPDX-License-Identifier: LGPL-2.1-or-later
"""Renewal by the days that are left, and runs in which there is nothing to do."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from acmed.bus import DBusError, Variant
from tests.bus.peers import certificate
from tests.bus.rig import CERTIFICATE, NOBODY, WWW, Rig, rig

_NAME = "www.example.com"


def _stands(it: Rig, left: int) -> None:
    """A certificate that has so many days left, and some minutes."""
    it.privd.configure(_NAME, [_NAME])
    it.privd.install(_NAME, certificate([_NAME], timedelta(days=90 - left) - timedelta(minutes=5)))


async def _renew(it: Rig, **options: Variant) -> str:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    number, _ = await it.caller.call(WWW, CERTIFICATE, "Renew", "a{sv}", given)
    return await it.caller.result(number)


async def _refused(it: Rig, **options: Variant) -> tuple[str, str]:
    with pytest.raises(DBusError) as caught:
        await _renew(it, **options)
    return caught.value.name, caught.value.message


@pytest.mark.parametrize(("left", "days"), [(80, 81), (80, 90), (10, 11), (80, 2**32 - 1)])
def test_one_that_has_no_more_days_is_renewed(tmp_path: Path, left: int, days: int) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _stands(it, left)
            assert await _renew(it, min_days=Variant("u", days)) == "done"
            assert len(it.clientd.given("Order")) == 1

    asyncio.run(run())


@pytest.mark.parametrize(("left", "days"), [(80, 80), (80, 0), (10, 10), (1, 0)])
def test_one_that_has_more_is_not_due(tmp_path: Path, left: int, days: int) -> None:
    """Whatever the rule says."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _stands(it, left)
            name, message = await _refused(it, min_days=Variant("u", days))
            assert name == "org.acmed1.Error.NotDue"
            assert f"it has more than {days} days left" in message
            assert not it.clientd.given("Order")

    asyncio.run(run())


def test_what_is_missing_or_differs_is_renewed_all_the_same(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME])
            assert await _renew(it, min_days=Variant("u", 0)) == "done"
            it.privd.configure(_NAME, [_NAME, "mail.example.com"])
            assert await _renew(it, min_days=Variant("u", 0)) == "done"
            assert (await _refused(it, min_days=Variant("u", 0)))[0] == "org.acmed1.Error.NotDue"

    asyncio.run(run())


@pytest.mark.parametrize(
    "options",
    [
        {"min_days": Variant("i", -1)},
        {"min_days": Variant("s", "21")},
        {"min_days": Variant("u", 21), "force": Variant("b", True)},
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, options: dict[str, Variant]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _stands(it, 1)
            assert (await _refused(it, **options))[0] == "org.freedesktop.DBus.Error.InvalidArgs"

    asyncio.run(run())


def _state(it: Rig) -> dict[str, tuple[int, int]]:
    """Each file and directory of acmed's and acme-privd's, with the times of its last changes."""
    tops = (it.places.etc, it.places.certificates, it.places.state)
    found = [path for top in tops for path in (top, *top.rglob("*"))]
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in found}


def test_run_without_work_touches_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME], services=["nginx"])
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            await it.caller.manager("RenewDue", "t", 0)  # the CA is asked when it wants the renewal
            before = _state(it)
            asked = len(it.clientd.calls), len(it.privd.calls)
            (jobs,) = await it.caller.manager("RenewDue", "t", 0)
            assert jobs == []
            assert (await _refused(it, min_days=Variant("u", 21)))[0] == "org.acmed1.Error.NotDue"
            assert _state(it) == before
            assert (len(it.clientd.calls), len(it.privd.calls)) == asked

    asyncio.run(run())


@pytest.mark.parametrize(("left", "days", "forced"), [(80, 2**32 - 1, "true"), (10, 2**32 - 1, "false")])
def test_rules_are_told_what_is_due_by_that_alone(tmp_path: Path, left: int, days: int, forced: str) -> None:
    """Who may not force renewals must not be able to by a number."""

    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            assert it.polkit
            _stands(it, left)
            assert await _renew(it, min_days=Variant("u", days)) == "done"
            (question,) = it.polkit.asked
            assert question.details["force"] == forced

    asyncio.run(run())
