# SPDX-License-Identifier: LGPL-2.1-or-later
"""The limits that acmed keeps to, and what counts for them: what the CA says it did, as far as root asked for it."""

import asyncio
from pathlib import Path

import pytest

from acmed.bus import Variant
from acmed.varlink import VarlinkError
from tests.bus.rig import Rig, rig

_ALL = 'orders = "1/1h"\ncertificates = "1/1h"\nduplicates = "1/1h"\n'
_NAME = "www.example.com"


def _configure(it: Rig, limits: str, name: str = _NAME) -> None:
    more = f"[account.one.limits]\n{limits}"
    it.privd.configure_account("one", "https://one.example/directory", "https://one.example/account/1", more)
    it.privd.configure(name, [name], account="one")


def _sent(it: Rig) -> list[str | None]:
    """What the CA was asked for orders to replace."""
    return [given["replaces"] for given in it.clientd.given("Order")]


async def _renewed(it: Rig) -> str:
    """How a renewal ends; the last part of its error, or done."""
    if await it.caller.result(await it.caller.renew(force=True)) == "done":
        return "done"
    return str((await it.caller.properties())["LastError"][0]).rpartition(".")[2]


def test_replacement_that_the_ca_takes_is_not_counted(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, _ALL)
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            it.privd.replaces = "AAAA.BBBB"
            for _ in range(3):
                assert await _renewed(it) == "done"
            assert _sent(it) == [None, *["AAAA.BBBB"] * 3]

    asyncio.run(run())


def test_replacement_that_the_ca_does_not_take_is_counted(tmp_path: Path) -> None:
    """It is sent again without "replaces" only where a limit has room for it."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'orders = "2/1h"\n')
            it.clientd.takes_replacements = False
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            it.privd.replaces = "AAAA.BBBB"
            assert await _renewed(it) == "done"
            assert _sent(it) == [None, "AAAA.BBBB", None]
            assert await _renewed(it) == "RateLimited"
            assert _sent(it) == [None, "AAAA.BBBB", None, "AAAA.BBBB"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("limit", "result"), [("orders", "RateLimited"), ("certificates", "done"), ("duplicates", "RateLimited")]
)
def test_renewal_for_the_same_names_is_none_of_a_registered_domains(tmp_path: Path, limit: str, result: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, f'{limit} = "1/1h"\n')
            it.clientd.takes_replacements = False
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            it.privd.replaces = "AAAA.BBBB"
            assert await _renewed(it) == result

    asyncio.run(run())


def test_renewal_for_other_names_counts_as_new(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'certificates = "1/1h"\n')
            it.clientd.takes_replacements = False
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            it.privd.configure(_NAME, [_NAME, "mail.example.com"], account="one")
            assert await _renewed(it) == "RateLimited"

    asyncio.run(run())


def test_renewal_at_another_ca_counts_as_new(tmp_path: Path) -> None:
    """Also where that CA is the account's now, which had another one."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'certificates = "1/1h"\n')
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            path = it.privd.account_file("one")
            path.write_text(path.read_text().replace("https://one.example", "https://moved.example"))
            assert await _renewed(it) == "RateLimited"

    asyncio.run(run())


def test_order_that_there_is_comes_under_no_limit(tmp_path: Path) -> None:
    """The CA has counted it already."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, _ALL)
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            assert await _renewed(it) == "RateLimited"
            it.clientd.kept = {_NAME: False}
            assert await _renewed(it) == "done"
            assert len(_sent(it)) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("asked", "said", "result"), [(True, True, "done"), (True, False, "RateLimited"), (False, True, "RateLimited")]
)
def test_certificate_of_an_order_that_there_is_counts_as_that_does(
    tmp_path: Path, asked: bool, said: bool, result: str
) -> None:
    """acme-clientd is not believed where it says more than root asked for."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'duplicates = "1/1h"\n')
            it.privd.replaces = "AAAA.BBBB" if asked else None
            it.clientd.kept = {_NAME: said}
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            it.clientd.kept = {}
            it.privd.replaces = None
            assert await _renewed(it) == result

    asyncio.run(run())


def test_certificate_that_is_refused_here_counts_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'duplicates = "1/1h"\n')
            it.privd.errors["Install"] = VarlinkError(
                "org.acmed.Priv.InvalidChain", certificate=_NAME, message="not what was ordered"
            )
            assert await it.caller.result(await it.caller.order(_NAME)) == "failed"
            assert await _renewed(it) == "RateLimited"

    asyncio.run(run())


def test_names_without_a_certificate_count_as_orders_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'orders = "3/1h"\ncertificates = "1/1h"\nduplicates = "1/1h"\n')
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            results = []
            for _ in range(3):
                number, _ = await it.caller.manager("Authorize", "asa{sv}", [_NAME], {"account": Variant("s", "one")})
                results.append(await it.caller.result(number))
            assert results == ["done", "done", "failed"]

    asyncio.run(run())


def test_acme_clientd_that_never_has_an_order(tmp_path: Path) -> None:
    """Which it may say only of a replacement."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, "")
            it.clientd.orders_nothing = True
            assert await it.caller.result(await it.caller.order(_NAME)) == "failed"
            assert (await it.caller.properties())["LastError"][0] == "org.acmed1.Error.Unavailable"
            assert _sent(it) == [None]

    asyncio.run(run())
