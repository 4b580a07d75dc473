# SPDX-License-Identifier: LGPL-2.1-or-later
import json
from pathlib import Path

import pytest

from acmed.config import Account
from acmed.config.model import DIRECTORIES, DIRECTORY_LIMITS, Limits, Rate
from acmed.manager import errors
from acmed.manager.counting import Counts
from acmed.manager.errors import Failure
from acmed.manager.limiter import Limiter, registered
from acmed.names import Identifier

_HOUR = 3600
_NOW = 1_800_000_000


class _Clock:
    """In place of time.time()."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = _NOW
        monkeypatch.setattr("acmed.manager.limiter.time.time", lambda: float(self.now))


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


def test_orders_in_a_period(tmp_path: Path, clock: _Clock) -> None:
    limits, account, names = Limiter(tmp_path), _account(orders=Rate(2, 3 * _HOUR)), _names("www.example.com")
    for _ in range(2):
        limits.check(account, names, Counts.AS_NEW)
        limits.ordered(account, Counts.AS_NEW)
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


def test_replacements_are_not_counted(tmp_path: Path, clock: _Clock) -> None:
    one = Rate(1, _HOUR)
    limits, names = Limiter(tmp_path), _names("www.example.com")
    account = _account(orders=one, certificates=one, duplicates=one)
    limits.ordered(account, Counts.AS_REPLACEMENT)
    limits.issued(account, names, Counts.AS_REPLACEMENT)
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
        limits.ordered(account, counts)
        limits.issued(account, names, counts)
        if kind in under:
            _refused(limits, account, names, counts)
        else:
            limits.check(account, names, Counts.AS_NEW)
            limits.ordered(account, Counts.AS_NEW)
            limits.issued(account, names, Counts.AS_NEW)
            _refused(limits, account, names)
            limits.check(account, names, counts)
    assert clock.now == _NOW


def test_certificates_for_a_registered_domain(tmp_path: Path, clock: _Clock) -> None:
    limits, account = Limiter(tmp_path), _account(certificates=Rate(2, 24 * _HOUR))
    limits.issued(account, _names("www.example.co.uk", "mail.example.co.uk", "a.example.net"), Counts.AS_NEW)
    limits.issued(account, _names("*.example.co.uk"), Counts.AS_NEW)
    limits.check(account, _names("www.other.co.uk", "b.example.net"), Counts.AS_NEW)
    failure = _refused(limits, account, _names("b.example.net", "x.example.co.uk"))
    assert "certificates for example.co.uk" in failure.message
    assert clock.now == _NOW


def test_same_names_again(tmp_path: Path, clock: _Clock) -> None:
    limits, account = Limiter(tmp_path), _account(duplicates=Rate(1, 24 * _HOUR))
    limits.issued(account, _names("a.example.com", "b.example.com"), Counts.AS_NEW)
    limits.check(account, _names("a.example.com"), Counts.AS_NEW)
    assert "exactly these names" in _refused(limits, account, _names("b.example.com", "a.example.com")).message
    assert clock.now == _NOW


def test_failed_validations_count_for_all(tmp_path: Path, clock: _Clock) -> None:
    limits, account = Limiter(tmp_path), _account(failures=Rate(2, _HOUR))
    for _ in range(2):
        limits.failed(account, _names("*.example.com"))
        clock.now += 10
    limits.check(account, _names("www.example.com"), Counts.AS_REPLACEMENT)
    for counts in Counts:
        failure = _refused(limits, account, _names("www.example.com", "example.com"), counts)
        assert "failed validations of example.com" in failure.message
        assert failure.retry_after == _HOUR - 20


def test_next_run_knows_it_and_forgets_what_is_past(tmp_path: Path, clock: _Clock) -> None:
    account, names = _account(orders=Rate(1, _HOUR), failures=Rate(3, _HOUR)), _names("www.example.com")
    Limiter(tmp_path).failed(account, names)
    clock.now += 1000
    Limiter(tmp_path).ordered(account, Counts.AS_NEW)
    _refused(Limiter(tmp_path), account, names)
    clock.now += _HOUR - 500
    Limiter(tmp_path).failed(account, names)
    kept = json.loads((tmp_path / "limits" / "default.json").read_text())
    assert kept == {
        "orders": {"": [_NOW + 1000]}, "certificates": {}, "duplicates": {},
        "failures": {"www.example.com": [clock.now]},
    }  # fmt: skip


def test_no_more_is_kept_than_a_limit_can_count(tmp_path: Path, clock: _Clock) -> None:
    limits, account = Limiter(tmp_path), _account(orders=Rate(3, _HOUR))
    for _ in range(50):
        limits.ordered(account, Counts.AS_NEW)
        clock.now += 1
    assert len(json.loads((tmp_path / "limits" / "default.json").read_text())["orders"][""]) == 3


def test_clock_that_was_set_back(tmp_path: Path, clock: _Clock) -> None:
    limits, account, names = Limiter(tmp_path), _account(orders=Rate(1, _HOUR)), _names("www.example.com")
    limits.ordered(account, Counts.AS_NEW)
    clock.now -= 365 * 24 * _HOUR
    limits.check(account, names, Counts.AS_NEW)


def test_account_without_limits_is_not_counted(tmp_path: Path, clock: _Clock) -> None:
    limits, account, names = Limiter(tmp_path), _account(), _names("www.example.com")
    for _ in range(1000):
        limits.ordered(account, Counts.AS_NEW)
        limits.issued(account, names, Counts.AS_NEW)
        limits.failed(account, names)
    limits.check(account, names, Counts.AS_NEW)
    assert list((tmp_path / "limits").iterdir()) == []
    assert clock.now == _NOW


@pytest.mark.parametrize("content", ["{", "[]", '{"orders": {"": ["x"]}}', '{"orders": 1}'])
def test_broken_file_is_set_aside(tmp_path: Path, clock: _Clock, content: str) -> None:
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits" / "default.json").write_text(content)
    Limiter(tmp_path).check(_account(orders=Rate(1, _HOUR)), _names("www.example.com"), Counts.AS_NEW)
    assert (tmp_path / "limits" / "default.json.broken").exists()
    assert clock.now == _NOW


def test_disk_that_is_full_fails_nothing(tmp_path: Path, clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    limits, account, names = Limiter(tmp_path), _account(orders=Rate(1, _HOUR)), _names("www.example.com")
    monkeypatch.setattr("os.open", _full)
    limits.ordered(account, Counts.AS_NEW)
    _refused(limits, account, names)
    assert clock.now == _NOW


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
        limits.check(account, names, Counts.AS_NEW)
        limits.ordered(account, Counts.AS_NEW)
        limits.issued(account, names, Counts.AS_NEW)
        clock.now += 60
    assert _refused(limits, account, names).retry_after == 7 * 24 * _HOUR - 5 * 60
