# SPDX-License-Identifier: LGPL-2.1-or-later
"""The limits that acmed keeps to, and what counts for them: what the CA says it did, as far as root asked for it."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from acmed.bus import Variant
from acmed.manager.objects.objectpaths import certificate
from acmed.varlink import VarlinkError
from tests.bus.rig import CERTIFICATE, JOB, WWW, Rig, rig

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
    number = await it.caller.renew(force=True)
    if await it.caller.result(number) == "done":
        return "done"
    return it.caller.error(number)[0].rpartition(".")[2]


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


# What is under way.


async def _order(it: Rig, name: str, *names: str) -> int:
    return await it.caller.order(name, *(names or (name,)), account=Variant("s", "one"))


async def _error(it: Rig, name: str) -> tuple[str, str]:
    """Of a certificate: the last part of its name, and the message."""
    error, message = (await it.caller.properties(certificate(name)))["LastError"]
    return error.rpartition(".")[2], message


async def _ended(it: Rig, count: int) -> list[str]:
    """What the first jobs that end are about."""
    async with asyncio.timeout(10):
        while len(ended := [one.body[2] for one in it.caller.signals if one.member == "JobRemoved"]) < count:
            it.caller.news.clear()
            await it.caller.news.wait()
    return ended


async def _at_step(it: Rig, number: int, step: str) -> None:
    async with asyncio.timeout(10):
        while (await it.caller.properties(f"/org/acmed1/job/_{number}", JOB))["Step"] != step:
            await asyncio.sleep(0.01)


def _held(it: Rig, account: str = "one") -> dict[str, list[str]]:
    """What is not settled, by certificate."""
    kept = json.loads((it.places.state / "limits" / f"{account}.json").read_text())
    return {name: sorted(one["kind"] for one in some) for name, some in kept["held"].items()}


def _counted(it: Rig, kind: str, account: str = "one") -> int:
    """What came to pass."""
    kept = json.loads((it.places.state / "limits" / f"{account}.json").read_text())
    return sum(map(len, kept[kind].values()))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("orders", [(f"{letter}.example.com",) for letter in "abcde"]),
        ("certificates", [(f"{letter}.example.com",) for letter in "abcde"]),
        ("duplicates", [("www.example.com",)] * 5),
        ("failures", [("www.example.com", f"{letter}.example.com") for letter in "abcde"]),
    ],
)
def test_as_many_at_once_as_there_is_room_for(tmp_path: Path, kind: str, names: list[tuple[str, ...]]) -> None:
    """The CA is asked for no more, however many there are; the others are told until when."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, f'{kind} = "2/1h"\n')
            gate = it.clientd.gate("Order")
            jobs = [await _order(it, f"at-once-{number}", *some) for number, some in enumerate(names)]
            refused = await _ended(it, 3)
            for name in refused:
                error, message = await _error(it, name)
                assert error == "RateLimited"
                assert re.search(r" in 1 h, with what is under way; not before \d{4}-", message)
            gate.set()
            results = [await it.caller.result(number) for number in jobs]
            assert sorted(results) == ["done", "done", "failed", "failed", "failed"]
            assert len(_sent(it)) == 2
            assert _held(it) == {}

    asyncio.run(run())


def _acme(status: int, final: bool = False, **more: bool) -> VarlinkError:
    return VarlinkError(
        "org.acmed.Client.Acme",
        type="malformed", detail="no", status=status, retryAfter=None, final=final, subproblems=[], **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (_acme(403), False),
        (_acme(429), False),
        (_acme(0), False),
        (VarlinkError("org.acmed.Client.KeyUnavailable", account="one", reason="locked"), False),
        (VarlinkError("org.acmed.Client.NotPermitted", account="one", rule="a permit"), False),
        (VarlinkError("org.acmed.Client.Unreachable", url="https://one.example", message="lost", unsent=True), False),
        (_acme(503, unsent=True), False),
        (_acme(408), True),
        (_acme(500), True),
        (VarlinkError("org.acmed.Client.Unreachable", url="https://one.example", message="lost"), True),
        (VarlinkError("org.acmed.InternalError"), True),
    ],
)
def test_order_that_may_have_been_made_counts(tmp_path: Path, error: VarlinkError, counts: bool) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, _ALL)
            it.clientd.failures["Order"] = [error]
            assert await it.caller.result(await it.caller.order(_NAME)) == "failed"
            assert await _renewed(it) == ("RateLimited" if counts else "done")
            assert len(_sent(it)) == (1 if counts else 2)

    asyncio.run(run())


def test_order_that_was_not_asked_for_counts_for_nothing(tmp_path: Path) -> None:
    """Its preflight failed, or acme-clientd is not there."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, _ALL)
            it.clientd.clock_offset = 4000
            assert await it.caller.result(await it.caller.order(_NAME)) == "failed"
            it.clientd.clock_offset = 0
            it.clientd.failures["Resume"] = [VarlinkError("org.acmed.InternalError")]
            assert await _renewed(it) == "Unavailable"
            assert await _renewed(it) == "done"

    asyncio.run(run())


def test_order_whose_authorizations_cannot_be_read_counts(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'orders = "2/1h"\nduplicates = "1/1h"\n')
            it.clientd.unread = [_acme(403)]
            assert await it.caller.result(await it.caller.order(_NAME)) == "failed"
            assert _counted(it, "orders") == 1
            assert _held(it) == {}
            assert await _renewed(it) == "done"
            assert _counted(it, "orders") == 2

    asyncio.run(run())


def test_order_that_is_lost_at_once_is_made_again_as_far_as_there_is_room(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'orders = "3/1h"\nduplicates = "1/1h"\n')
            it.clientd.unread = [_acme(404, final=True)]
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            assert _counted(it, "orders") == len(_sent(it)) == 2
            _configure(it, 'orders = "4/1h"\n')
            it.clientd.failures["Order"] = [_acme(201, final=True)]  # it is dead as soon as it is made
            assert await _renewed(it) == "done"
            assert _counted(it, "orders") == len(_sent(it)) == 4
            _configure(it, 'orders = "5/1h"\n')
            it.clientd.unread = [_acme(404, final=True)]
            assert await _renewed(it) == "RateLimited"
            assert _counted(it, "orders") == len(_sent(it)) == 5

    asyncio.run(run())


def test_what_is_not_issued_is_given_back(tmp_path: Path) -> None:
    """The CA was not asked to issue, or says that it will not."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'certificates = "1/1h"\nduplicates = "1/1h"\nfailures = "1/1h"\n')
            it.clientd.token = "no token of a CA"
            assert await it.caller.result(await it.caller.order(_NAME)) == "failed"
            it.clientd.token = "token"
            gate = it.clientd.gate("Download")
            it.clientd.failures["Download"] = [_acme(403, final=True)]
            number = await it.caller.renew(force=True)
            await _at_step(it, number, "finalize")
            assert _held(it) == {_NAME: ["certificates", "duplicates"]}
            gate.set()
            assert await it.caller.result(number) == "failed"
            assert _held(it) == {}
            assert await _renewed(it) == "done"

    asyncio.run(run())


def test_order_that_is_cancelled_while_the_ca_validates(tmp_path: Path) -> None:
    """Nothing is issued. Whether a validation fails nobody knows."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'duplicates = "1/1h"\nfailures = "1/1h"\n')
            it.clientd.gate("Finalize")
            number = await it.caller.order(_NAME)
            await it.clientd.reached["Finalize"].wait()
            await it.caller.call(f"/org/acmed1/job/_{number}", JOB, "Cancel")
            assert await it.caller.result(number) == "canceled"
            assert _held(it) == {_NAME: ["failures"]}
            it.clientd.gates.clear()
            assert await _renewed(it) == "RateLimited"
            assert _held(it) == {}

    asyncio.run(run())


@pytest.mark.parametrize("method", ["Order", "Finalize", "Download"])
def test_killed_while_the_ca_is_asked(tmp_path: Path, method: str) -> None:
    """What is taken up again is not counted twice, and what may have come to pass is."""

    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            _configure(it, 'orders = "2/1h"\ncertificates = "2/1h"\nduplicates = "2/1h"\nfailures = "2/1h"\n')
            await it.start_process()
            number = await it.kill_in(it.clientd, method, it.caller.order(_NAME))
            assert "duplicates" in _held(it)[_NAME]
            it.clientd.kept = {} if method == "Order" else {_NAME: False}
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert _held(it) == {}
            assert _counted(it, "orders") == len(_sent(it)) == (2 if method == "Order" else 1)
            assert (_counted(it, "certificates"), _counted(it, "duplicates"), _counted(it, "failures")) == (1, 1, 0)

    asyncio.run(run())


def test_order_that_waits_for_what_others_may_come_to_waits_for_minutes(tmp_path: Path) -> None:
    """They come to nothing, and the next attempt is not a week away."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'certificates = "1/168h"\n')
            it.clientd.unread = [_acme(500)]
            gate = it.clientd.gate("Order")
            first = await _order(it, "a.example.com")
            await it.clientd.reached["Order"].wait()
            assert await it.caller.result(await _order(it, "b.example.com")) == "failed"
            gate.set()
            assert await it.caller.result(first) == "failed"
            values = await it.caller.properties(certificate("b.example.com"))
            assert values["LastError"][0] == "org.acmed1.Error.RateLimited"
            assert 0 < values["RetryAt"] - values["LastErrorTimestamp"] <= 600 * 1_000_000
            assert await it.caller.result(await it.caller.renew(certificate("b.example.com"))) == "done"

    asyncio.run(run())


def test_what_a_certificate_has_under_way_itself_is_not_in_its_way(tmp_path: Path) -> None:
    """Its next attempt goes on with that, so nothing is wrong with it for whoever checks."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _configure(it, 'duplicates = "1/1h"\n')
            it.clientd.failures["Download"] = [
                VarlinkError("org.acmed.Client.TimedOut", step="finalize", message="busy", retryAfter=None)
            ]
            assert await it.caller.result(await it.caller.order(_NAME)) == "timeout"
            assert _held(it) == {_NAME: ["duplicates"]}
            (found,) = await it.caller.call(WWW, CERTIFICATE, "Check", "a{sv}", {})
            assert [one[2] for one in found if one[0] == "limit"] == ["ok"]
            it.clientd.kept = {_NAME: False}
            assert await _renewed(it) == "done"

    asyncio.run(run())


def test_failover_counts_at_each_ca_what_that_was_asked(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            for name in ("one", "two"):
                url = f"https://{name}.example"
                it.privd.configure_account(name, f"{url}/directory", f"{url}/1", f"[account.{name}.limits]\n{_ALL}")
            it.privd.configure(_NAME, [_NAME], account="one", failover=["two"])
            it.clientd.unreachable = {"one"}
            assert await it.caller.result(await it.caller.order(_NAME)) == "done"
            assert (_held(it), _held(it, "two")) == ({_NAME: ["orders"]}, {})
            assert (_counted(it, "duplicates"), _counted(it, "duplicates", "two")) == (0, 1)
            assert (_counted(it, "orders"), _counted(it, "orders", "two")) == (0, 1)

    asyncio.run(run())
