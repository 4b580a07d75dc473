# SPDX-License-Identifier: LGPL-2.1-or-later
import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from acmed.config import Account
from acmed.config.model import DIRECTORIES, DIRECTORY_LIMITS, Limits, Rate
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.manager.limits.counting import Counts
from acmed.manager.limits.limiter import Limiter, Reservation
from acmed.manager.limits.subjects import registered
from acmed.names import Identifier

_HOUR = 3600
_NOW = 1_800_000_000
_BUILT = _NOW - 2 * 365 * 24 * _HOUR
_WWW = "www"  # the name of a certificate


class _Clock:
    """In place of time.time()."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = _NOW
        monkeypatch.setattr("time.time", lambda: float(self.now))
        monkeypatch.setattr("acmed.manager.limits.counted._BUILT", _BUILT)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    return _Clock(monkeypatch)


def _account(name: str = "default", **rates: Rate) -> Account:
    return Account(name, "https://ca.example/directory", limits=Limits(**rates))


def _names(*texts: str) -> tuple[Identifier, ...]:
    return tuple(map(Identifier.parse, texts))


def _refused(
    limits: Limiter, account: Account, names: tuple[Identifier, ...], counts: Counts = Counts.AS_NEW
) -> Failure:
    with pytest.raises(Failure) as refused:
        limits.check(account, names, counts)
    assert refused.value.name == errors.RATE_LIMITED
    return refused.value


def _ordered(
    limits: Limiter, account: Account, names: tuple[Identifier, ...], counts: Counts = Counts.AS_NEW, name: str = _WWW
) -> Reservation:
    """The CA has made the order."""
    limits.reserve(account, name, names, counts).keep("orders")
    return limits.made(account, name, names, counts)


def _issued(limits: Limiter, account: Account, names: tuple[Identifier, ...], counts: Counts = Counts.AS_NEW) -> None:
    with _ordered(limits, account, names, counts) as counted:
        counted.asked("failures")
        counted.give_back("failures")
        counted.asked("certificates", "duplicates")
        counted.keep("certificates", "duplicates")


def _failed(limits: Limiter, account: Account, names: tuple[Identifier, ...], *failed: str) -> None:
    with _ordered(limits, account, names) as counted:
        counted.asked("failures")
        counted.keep("failures", subjects=failed)
        counted.give_back()


def _file(directory: Path, account: str = "default") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "limits" / f"{account}.json").read_text())
    return found


def test_orders_in_a_period(tmp_path: Path, clock: _Clock) -> None:
    limits, account, names = Limiter(tmp_path), _account(orders=Rate(2, 3 * _HOUR)), _names("www.example.com")
    for _ in range(2):
        _ordered(limits, account, names)
        clock.now += _HOUR
    failure = _refused(limits, account, names)
    assert failure.retry_after == _HOUR
    assert "2 orders in 3 h" in failure.message
    assert "'default'" in failure.message
    assert "not before 2027-01-15 11:00 UTC" in failure.message
    # What the CA is told of as a renewal does not count, and neither does another account.
    limits.check(account, names, Counts.AS_REPLACEMENT)
    limits.check(_account("other", orders=Rate(2, 3 * _HOUR)), names, Counts.AS_NEW)
    clock.now += _HOUR
    limits.check(account, names, Counts.AS_NEW)


def test_limit_that_was_lowered(tmp_path: Path, clock: _Clock) -> None:
    """There are more than it lets through: it is the last ones that are to be past."""
    names = _names("www.example.com")
    for _ in range(3):
        _ordered(Limiter(tmp_path), _account(orders=Rate(3, 3 * _HOUR)), names)
        clock.now += 600
    assert _refused(Limiter(tmp_path), _account(orders=Rate(1, 3 * _HOUR)), names).retry_after == 3 * _HOUR - 600
    assert _refused(Limiter(tmp_path), _account(orders=Rate(2, 3 * _HOUR)), names).retry_after == 3 * _HOUR - 1200


def test_replacements_are_not_counted(tmp_path: Path, clock: _Clock) -> None:
    one = Rate(1, _HOUR)
    limits, names = Limiter(tmp_path), _names("www.example.com")
    account = _account(orders=one, certificates=one, duplicates=one)
    _issued(limits, account, names, Counts.AS_REPLACEMENT)
    limits.check(account, names, Counts.AS_NEW)
    assert clock.now == _NOW


@pytest.mark.parametrize(
    ("counts", "under"),
    [
        (Counts.AS_NEW, {"orders", "certificates", "duplicates"}),
        (Counts.AS_RENEWAL, {"orders", "duplicates"}),
        (Counts.AS_REPLACEMENT, set()),
        (Counts.AS_AUTHORIZATION, {"orders"}),
    ],
)
def test_what_an_order_comes_under(tmp_path: Path, clock: _Clock, counts: Counts, under: set[str]) -> None:
    """It is refused at just those limits, and counts for just those."""
    names, one = _names("www.example.com"), Rate(1, _HOUR)
    for kind in ("orders", "certificates", "duplicates"):
        account = _account(kind, **{kind: one})
        limits = Limiter(tmp_path)
        _issued(limits, account, names, counts)
        if kind in under:
            _refused(limits, account, names, counts)
        else:
            _issued(limits, account, names)
            _refused(limits, account, names)
            limits.check(account, names, counts)
    assert clock.now == _NOW


def test_certificates_for_a_registered_domain(tmp_path: Path, clock: _Clock) -> None:
    limits, account = Limiter(tmp_path), _account(certificates=Rate(2, 24 * _HOUR))
    _issued(limits, account, _names("www.example.co.uk", "mail.example.co.uk", "a.example.net"))
    _issued(limits, account, _names("*.example.co.uk"))
    limits.check(account, _names("www.other.co.uk", "b.example.net"), Counts.AS_NEW)
    failure = _refused(limits, account, _names("b.example.net", "x.example.co.uk"))
    assert "certificates for example.co.uk" in failure.message
    assert clock.now == _NOW


def test_same_names_again(tmp_path: Path, clock: _Clock) -> None:
    limits, account = Limiter(tmp_path), _account(duplicates=Rate(1, 24 * _HOUR))
    _issued(limits, account, _names("a.example.com", "b.example.com"))
    limits.check(account, _names("a.example.com"), Counts.AS_NEW)
    assert "exactly these names" in _refused(limits, account, _names("b.example.com", "a.example.com")).message
    assert clock.now == _NOW


def test_failed_validations_count_for_all(tmp_path: Path, clock: _Clock) -> None:
    limits, account = Limiter(tmp_path), _account(failures=Rate(2, _HOUR))
    for _ in range(2):
        _failed(limits, account, _names("*.example.com", "www.example.com"), "example.com", "not.ordered.example.com")
        clock.now += 10
    limits.check(account, _names("www.example.com", "not.ordered.example.com"), Counts.AS_REPLACEMENT)
    for counts in Counts:
        failure = _refused(limits, account, _names("www.example.com", "example.com"), counts)
        assert "2 failed validations of example.com in 1 h; not before" in failure.message
        assert failure.retry_after == _HOUR - 20


# What is under way.


@pytest.mark.parametrize("kind", ["orders", "certificates", "duplicates", "failures"])
def test_what_is_under_way_counts(tmp_path: Path, clock: _Clock, kind: str) -> None:
    limits, names = Limiter(tmp_path), _names("www.example.com")
    account = _account("default", **{kind: Rate(2, _HOUR)})
    first, _ = (limits.reserve(account, name, names, Counts.AS_NEW) for name in ("a", "b"))
    for other in (limits, Limiter(tmp_path)):  # also after acmed was killed
        assert ", with what is under way; not before" in _refused(other, account, names).message
    with pytest.raises(Failure):
        limits.reserve(account, "c", names, Counts.AS_NEW)
    first.give_back()
    limits.reserve(account, "c", names, Counts.AS_NEW)
    clock.now += _HOUR
    limits.check(account, names, Counts.AS_NEW)  # nothing is held for ever


@pytest.mark.parametrize("kind", ["certificates", "duplicates", "failures"])
def test_what_may_come_to_nothing_is_looked_at_again_soon(tmp_path: Path, clock: _Clock, kind: str) -> None:
    """Else an outage of a CA would have others wait for a week for certificates that were never issued."""
    limits, names = Limiter(tmp_path), _names("www.example.com")
    account = _account("default", **{kind: Rate(2, 168 * _HOUR)})
    first, second = (_ordered(limits, account, names, name=name) for name in ("a", "b"))
    first.asked(kind)
    second.asked(kind)
    assert _refused(limits, account, names).retry_after == 600
    first.keep(kind)
    assert _refused(limits, account, names).retry_after == 600
    clock.now += 600  # by now it is known, or nobody will ever know
    assert _refused(limits, account, names).retry_after == 168 * _HOUR - 600
    second.give_back()
    limits.check(account, names, Counts.AS_NEW)
    _ordered(limits, account, names, name="c")
    clock.now += 900  # it has not come to that yet
    assert _refused(limits, account, names).retry_after == 600


def test_what_came_to_pass_counts_from_then_on(tmp_path: Path, clock: _Clock) -> None:
    """Also where that was longer ago than the period."""
    one = Rate(1, _HOUR)
    limits, account = Limiter(tmp_path), _account(certificates=one, failures=one)
    with _ordered(limits, account, _names("www.example.com")) as counted:
        clock.now += 2 * _HOUR
        counted.keep("certificates")
        counted.keep("failures", subjects=["www.example.com"])
    assert _refused(limits, account, _names("www.example.com"), Counts.AS_REPLACEMENT).retry_after == _HOUR
    assert _refused(limits, account, _names("other.example.com")).retry_after == _HOUR


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ((), set()),
        (("failures",), {"failures"}),
        (("failures", "certificates", "duplicates"), {"failures", "certificates", "duplicates"}),
    ],
)
def test_what_the_ca_was_not_asked_for_is_given_back(
    tmp_path: Path, clock: _Clock, asked: tuple[str, ...], left: set[str]
) -> None:
    one, names = Rate(1, _HOUR), _names("www.example.com")
    account = _account(certificates=one, duplicates=one, failures=one)
    limits = Limiter(tmp_path)
    with contextlib.suppress(Failure), _ordered(limits, account, names) as counted:
        counted.asked(*asked)
        raise Failure(errors.UNAVAILABLE, "sorry")
    assert {one["kind"] for one in _file(tmp_path)["held"].get(_WWW, [])} == left
    # An order of its name that the CA has goes on with what is left; when there is none any more, that stays counted.
    limits.made(account, _WWW, names, Counts.AS_NEW)
    assert {one["kind"] for one in _file(tmp_path)["held"][_WWW]} == {"failures", "certificates", "duplicates"}
    limits.over(account, _WWW)
    kept = _file(tmp_path)
    assert {kind for kind in kept if kind != "held" and kept[kind]} == left
    assert (kept["held"], clock.now) == ({}, _NOW)


def test_killed_before_the_answer_to_new_order(tmp_path: Path, clock: _Clock) -> None:
    """There may be an order, and there is no certificate."""
    account, names = _account(orders=Rate(2, _HOUR), duplicates=Rate(1, _HOUR)), _names("www.example.com")
    Limiter(tmp_path).reserve(account, _WWW, names, Counts.AS_NEW)
    clock.now += 10
    limits = Limiter(tmp_path)
    limits.over(account, _WWW)
    _issued(limits, account, names)
    kept = _file(tmp_path)
    assert (kept["orders"], list(kept["duplicates"].values())) == ({"": [_NOW, _NOW + 10]}, [[_NOW + 10]])


def test_order_that_is_taken_up_again_is_counted_once(tmp_path: Path, clock: _Clock) -> None:
    """The CA says that there is one, after acmed was killed."""
    account, names = _account(orders=Rate(5, _HOUR), duplicates=Rate(5, _HOUR)), _names("www.example.com")
    Limiter(tmp_path).reserve(account, _WWW, names, Counts.AS_NEW)
    for _ in range(2):
        clock.now += 10
        counted = Limiter(tmp_path).made(account, _WWW, names, Counts.AS_NEW)
        counted.asked("certificates", "duplicates")
    counted.keep("certificates", "duplicates")
    kept = _file(tmp_path)
    assert (kept["orders"], list(kept["duplicates"].values())) == ({"": [_NOW]}, [[_NOW + 20]])
    assert kept["held"] == {}


def test_order_that_nobody_counted(tmp_path: Path, clock: _Clock) -> None:
    """It was made by an older acmed, or the file was lost: its certificate counts."""
    account, names = _account(orders=Rate(1, _HOUR), duplicates=Rate(1, _HOUR)), _names("www.example.com")
    Limiter(tmp_path).made(account, _WWW, names, Counts.AS_NEW).keep("certificates", "duplicates")
    kept = _file(tmp_path)
    assert (kept["orders"], list(kept["duplicates"].values()), clock.now) == ({}, [[_NOW]], _NOW)


def test_each_account_has_counts_of_its_own(tmp_path: Path, clock: _Clock) -> None:
    limits, names = Limiter(tmp_path), _names("www.example.com")
    first, second = (_account(name, orders=Rate(1, _HOUR), duplicates=Rate(1, _HOUR)) for name in ("one", "two"))
    limits.reserve(first, _WWW, names, Counts.AS_NEW)
    limits.over(second, _WWW)
    _issued(limits, second, names)
    _refused(limits, first, names)
    assert (_file(tmp_path, "one")["orders"], len(_file(tmp_path, "one")["held"][_WWW])) == ({}, 2)
    assert (_file(tmp_path, "two")["orders"], clock.now) == ({"": [_NOW]}, _NOW)


# What is kept.


def test_next_run_knows_it_and_forgets_what_is_past(tmp_path: Path, clock: _Clock) -> None:
    account, names = _account(orders=Rate(1, _HOUR), failures=Rate(3, _HOUR)), _names("www.example.com")
    limited = _account(failures=Rate(3, _HOUR))
    _failed(Limiter(tmp_path), limited, names, "www.example.com")
    clock.now += 1000
    _ordered(Limiter(tmp_path), account, names).give_back()
    _refused(Limiter(tmp_path), account, names)
    clock.now += _HOUR - 500
    Limiter(tmp_path).made(account, _WWW, names, Counts.AS_NEW).keep("failures")
    assert _file(tmp_path) == {
        "orders": {"": [_NOW + 1000]}, "certificates": {}, "duplicates": {},
        "failures": {"www.example.com": [clock.now]}, "held": {},
    }  # fmt: skip


def test_no_more_is_kept_than_a_limit_can_count(tmp_path: Path, clock: _Clock) -> None:
    limits, account = Limiter(tmp_path), _account(failures=Rate(3, _HOUR))
    for _ in range(50):
        limits.made(account, _WWW, _names("www.example.com"), Counts.AS_NEW).keep("failures")
        clock.now += 1
    assert len(_file(tmp_path)["failures"]["www.example.com"]) == 3


def test_clock_that_was_set_back(tmp_path: Path, clock: _Clock) -> None:
    """Nothing is forgotten, not even where something else is counted meanwhile, and nothing lasts longer than its
    period from then on, also for one that was never right.
    """
    account, names = _account(orders=Rate(2, _HOUR), failures=Rate(1, _HOUR)), _names("www.example.com")
    limits = Limiter(tmp_path)
    _ordered(limits, account, names).give_back()
    limits.reserve(account, _WWW, names, Counts.AS_NEW)
    clock.now -= 365 * 24 * _HOUR
    assert "with what is under way" in _refused(limits, account, _names("mail.example.com")).message
    limits.over(account, _WWW)
    assert _refused(limits, account, _names("mail.example.com")).retry_after == _HOUR
    clock.now += _HOUR - 1
    assert _refused(Limiter(tmp_path), account, names).retry_after == 1
    clock.now += 1
    Limiter(tmp_path).check(account, names, Counts.AS_NEW)


def test_clock_that_is_set_back_meanwhile(tmp_path: Path, clock: _Clock) -> None:
    account, names = _account(orders=Rate(5, _HOUR), failures=Rate(1, _HOUR)), _names("www.example.com")
    limits = Limiter(tmp_path)
    for name in ("one", "two"):
        _ordered(limits, account, _names(f"{name}.example.com"), name=name).give_back()
    counted = _ordered(limits, account, names)
    clock.now -= 10 * _HOUR
    counted.keep("failures")
    assert _file(tmp_path)["orders"] == {"": [clock.now] * 3}
    _refused(Limiter(tmp_path), account, names)


@pytest.mark.parametrize("unset", [60, _BUILT - 1])
def test_clock_that_was_not_set_yet(tmp_path: Path, clock: _Clock, unset: int) -> None:
    """All that was counted counts as before when it is set, whatever was done meanwhile."""
    account, names = _account(orders=Rate(2, _HOUR), failures=Rate(1, _HOUR)), _names("www.example.com")
    limits = Limiter(tmp_path)
    _ordered(limits, account, names).keep("failures")
    limits.reserve(account, "mail", _names("mail.example.com"), Counts.AS_NEW)
    clock.now = unset
    again = Limiter(tmp_path)
    again.check(account, names, Counts.AS_NEW)
    with again.reserve(account, "b", _names("b.example.com"), Counts.AS_NEW) as counted:
        counted.give_back()
    clock.now = _NOW + 60
    for one in (again, Limiter(tmp_path)):
        assert "2 orders in 1 h" in _refused(one, account, _names("c.example.com")).message
        assert "failed validations of www.example.com" in _refused(one, account, names).message


def test_next_order_of_a_name_counts_beside_the_one_before(tmp_path: Path, clock: _Clock) -> None:
    limits, account, names = Limiter(tmp_path), _account(orders=Rate(2, _HOUR)), _names("www.example.com")
    for _ in range(2):
        limits.reserve(account, _WWW, names, Counts.AS_NEW)
    with pytest.raises(Failure):
        limits.reserve(account, _WWW, names, Counts.AS_NEW)
    assert clock.now == _NOW


def test_account_without_limits_is_not_counted(tmp_path: Path, clock: _Clock) -> None:
    limits, account, names = Limiter(tmp_path), _account(), _names("www.example.com")
    for _ in range(1000):
        _issued(limits, account, names)
        _failed(limits, account, names, "www.example.com")
    limits.check(account, names, Counts.AS_NEW)
    assert list((tmp_path / "limits").iterdir()) == []
    assert clock.now == _NOW


def test_limit_that_is_no_more(tmp_path: Path, clock: _Clock) -> None:
    """What was counted for it, and what is under way, is in nobody's way."""
    names = _names("www.example.com")
    Limiter(tmp_path).reserve(_account(orders=Rate(1, _HOUR), failures=Rate(1, _HOUR)), _WWW, names, Counts.AS_NEW)
    limits, account = Limiter(tmp_path), _account(orders=Rate(2, _HOUR))
    limits.over(account, _WWW)
    _issued(limits, account, names)
    assert _file(tmp_path)["orders"] == {"": [_NOW, _NOW]}
    assert (_file(tmp_path)["failures"], clock.now) == ({}, _NOW)


_EMPTY: dict[str, Any] = {"orders": {}, "certificates": {}, "duplicates": {}, "failures": {}}
_HELD = {"kind": "orders", "subject": "", "since": _NOW, "asked": True}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "\udcff",
        '{"orders": {"": ["x"]}}',
        '{"orders": 1}',
        json.dumps(_EMPTY | {"held": {"www": [_HELD | {"kind": "__class__"}]}}),
        json.dumps(_EMPTY | {"held": {"www": [{}]}}),
        json.dumps(_EMPTY | {"held": None}),
    ],
)
def test_broken_file_is_set_aside(
    tmp_path: Path, clock: _Clock, capfd: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits" / "default.json").write_bytes(content.encode(errors="surrogateescape"))
    limits, account, names = Limiter(tmp_path), _account(orders=Rate(1, _HOUR)), _names("www.example.com")
    _ordered(limits, account, names)
    _refused(Limiter(tmp_path), account, names)
    assert (tmp_path / "limits" / "default.json.broken").exists()
    assert "was set aside as default.json.broken" in capfd.readouterr().err
    assert clock.now == _NOW


def test_file_that_cannot_be_read_blocks_nothing(
    tmp_path: Path, clock: _Clock, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits" / "default.json").write_text("{}")
    limits, account, names = Limiter(tmp_path), _account(orders=Rate(1, _HOUR)), _names("www.example.com")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", _no_more_files)
        limits.check(account, names, Counts.AS_NEW)
    _ordered(limits, account, names)
    _refused(limits, account, names)
    assert "default.json, so counting begins anew: Too many open files" in capfd.readouterr().err
    assert clock.now == _NOW


def test_file_of_an_older_acmed(tmp_path: Path, clock: _Clock) -> None:
    """Which kept what came to pass."""
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits" / "default.json").write_text(json.dumps(_EMPTY | {"orders": {"": [_NOW - 100]}}))
    account, names = _account(orders=Rate(1, _HOUR)), _names("www.example.com")
    assert _refused(Limiter(tmp_path), account, names).retry_after == _HOUR - 100
    assert clock.now == _NOW


def test_disk_that_is_full_fails_nothing(tmp_path: Path, clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    limits, account, names = Limiter(tmp_path), _account(orders=Rate(1, _HOUR)), _names("www.example.com")
    monkeypatch.setattr("os.open", _full)
    _ordered(limits, account, names)
    _refused(limits, account, names)
    assert clock.now == _NOW


def _no_more_files(_: Path) -> bytes:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _full(*_: object) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("*.example.co.uk", "example.co.uk"),
        ("someone.github.io", "someone.github.io"),
        ("github.io", "github.io"),
        ("a.b.c.kobe.jp", "b.c.kobe.jp"),
        ("www.city.kobe.jp", "city.kobe.jp"),
        ("xn--bcher-kva.xn--fiqs8s", "xn--bcher-kva.xn--fiqs8s"),
        ("www.host.internal-zone", "host.internal-zone"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ],
)
def test_registered_domain(name: str, domain: str) -> None:
    assert registered(_names(name)) == [domain]


def test_limits_of_lets_encrypt_are_the_default_of_its_directory(tmp_path: Path, clock: _Clock) -> None:
    directory = DIRECTORIES["letsencrypt"]
    limits, account = Limiter(tmp_path), Account("le", directory, limits=DIRECTORY_LIMITS[directory])
    names = _names("www.example.com")
    for _ in range(5):
        _issued(limits, account, names)
        clock.now += 60
    assert _refused(limits, account, names).retry_after == 7 * 24 * _HOUR - 5 * 60
