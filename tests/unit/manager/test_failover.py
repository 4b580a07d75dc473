# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which account is tried."""

from dataclasses import replace
from pathlib import Path

import pytest

from acmed.manager import clock, errors
from acmed.manager.errors import Failure
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.known.state import Store
from acmed.manager.places import Places
from acmed.manager.ways import failover


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    places = Places(*(tmp_path / name for name in ("etc", "usr", "acme", "state")))
    (places.etc / "certificates.d").mkdir(parents=True)
    (places.etc / "acmed.toml").write_text(
        "".join(
            f'[account.{name}]\ndirectory = "https://{name}.example/directory"\n' for name in ("one", "two", "three")
        )
    )
    for name, keys in (("www", 'failover = ["two", "three"]\n'), ("mail", "")):
        (places.etc / "certificates.d" / f"{name}.toml").write_text(
            f'names = ["{name}.example.com"]\naccount = "one"\n{keys}'
        )
    return Catalogue(places, Store(places.state))


def test_in_the_configured_order(catalogue: Catalogue) -> None:
    assert failover.accounts(catalogue, catalogue.configured("www")) == ("one", "two", "three")
    assert failover.accounts(catalogue, catalogue.configured("mail")) == ("one",)


def test_only_the_one_that_was_asked_to_issue(catalogue: Catalogue) -> None:
    www = catalogue.configured("www")
    failover.unfinished(catalogue, www, "two")
    assert failover.accounts(catalogue, www) == ("two",)
    failover.finished(catalogue, www)
    assert failover.accounts(catalogue, www) == ("one", "two", "three")


def test_asked_again_to_issue_it_gets_no_more_time(catalogue: Catalogue) -> None:
    """Else an account that is tried each day would be the only one for ever."""
    www = catalogue.configured("www")
    then = clock.now() - 23 * clock.HOUR
    catalogue.save("www", replace(catalogue.status("www").state, unfinished="two", unfinished_since=then))
    failover.unfinished(catalogue, www, "two")
    assert catalogue.status("www").state.unfinished_since == then


@pytest.mark.parametrize("since", [-25 * 60, 5])
def test_not_for_ever(catalogue: Catalogue, since: int) -> None:
    """A CA that is gone for good; and a clock that was set back, or a moment from the future."""
    www = catalogue.configured("www")
    state = catalogue.status("www").state
    catalogue.save("www", replace(state, unfinished="two", unfinished_since=clock.now() + since * clock.MINUTE))
    assert failover.accounts(catalogue, www) == ("one", "two", "three")


def test_an_account_that_is_not_configured_any_more(catalogue: Catalogue) -> None:
    www = catalogue.configured("www")
    failover.unfinished(catalogue, www, "gone")
    assert failover.accounts(catalogue, www) == ("one", "two", "three")


def test_no_state_is_written_where_there_is_one_account_only(catalogue: Catalogue) -> None:
    failover.unfinished(catalogue, catalogue.configured("mail"), "one")
    assert catalogue.status("mail").state.unfinished == ""


@pytest.mark.parametrize(("waits", "wait"), [((60, 3600), 60), ((None, 3600), None), ((0, 5), 0)])
def test_failures_together(waits: tuple[int | None, int | None], wait: int | None) -> None:
    first = Failure(errors.UNREACHABLE, "no route", waits[0])
    second = Failure("org.acmed1.AcmeError.rateLimited", "too many", waits[1])
    assert failover.together([("one", first)]) is first
    both = failover.together([("one", first), ("two", second)])
    assert (both.name, both.message, both.retry_after) == (second.name, "one: no route; two: too many", wait)


def test_failures_together_are_a_limit_of_our_own_where_all_are() -> None:
    """Else a CA was asked."""
    other, own = Failure(errors.UNREACHABLE, "no route"), Failure(errors.RATE_LIMITED, "at the limit", 60)
    for failures, name in (
        ((other, own), errors.UNREACHABLE),
        ((own, other), errors.UNREACHABLE),
        ((own, own), errors.RATE_LIMITED),
    ):
        assert failover.together([("one", failures[0]), ("two", failures[1])]).name == name
