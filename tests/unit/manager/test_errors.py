# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of a CA's errors: their names, what to do, and whether another CA may be tried."""

from typing import Any

import pytest

from acmed.manager import errors
from acmed.manager.errors import Failure, from_varlink
from acmed.varlink import VarlinkError

_ACME: dict[str, Any] = {
    "type": "unauthorized", "detail": "no", "status": 403, "retryAfter": None, "final": False, "subproblems": [],
}  # fmt: skip


def _acme(**changes: Any) -> Failure:
    return from_varlink("acme-clientd", VarlinkError("org.acmed.Client.Acme", **_ACME | changes))


@pytest.mark.parametrize(
    ("changes", "of_ca"),
    [
        ({"type": "serverInternal", "status": 500}, True),
        ({"type": "rateLimited", "status": 429}, True),
        ({"type": "badNonce", "status": 400}, True),
        ({"type": "malformed", "status": 503}, True),
        ({"type": "", "status": 502}, True),
        ({"type": "rejectedIdentifier"}, False),
        ({"type": "unauthorized"}, False),
        ({"type": "caa"}, False),
        ({"type": "accountDoesNotExist"}, False),
    ],
)
def test_whose_failure_it_is(changes: dict[str, Any], of_ca: bool) -> None:
    assert _acme(**changes).of_ca == of_ca


@pytest.mark.parametrize(
    ("name", "parameters", "of_ca"),
    [
        ("Client.Unreachable", {"url": "https://ca.example/", "message": "refused"}, True),
        ("Client.TimedOut", {"step": "challenge", "message": "pending", "retryAfter": None}, True),
        ("Client.KeyUnavailable", {"account": "default", "reason": "none"}, False),
        ("Priv.ChallengeUnavailable", {"message": "port 80"}, False),
        ("DNS.NotPropagated", {"name": "_acme-challenge.www.example.com", "message": "ns2"}, False),
    ],
)
def test_of_other_daemons(name: str, parameters: dict[str, Any], of_ca: bool) -> None:
    assert from_varlink("a daemon", VarlinkError(f"org.acmed.{name}", **parameters)).of_ca == of_ca


def test_own_limit_is_as_good_a_reason() -> None:
    assert Failure(errors.RATE_LIMITED, "too many").of_ca
    assert not Failure(errors.CHALLENGE_UNAVAILABLE, "no port").of_ca


def test_each_name_has_its_own_error_and_each_kind_what_to_do() -> None:
    failure = _acme(
        type="compound",
        detail="Some names failed",
        final=True,
        subproblems=[
            {"identifier": {"type": "dns", "value": "a.example.com"}, "type": "dns", "detail": "NXDOMAIN for a"},
            {"identifier": {"type": "dns", "value": "b.example.com"}, "type": "dns", "detail": "NXDOMAIN for b"},
            {"identifier": {"type": "dns", "value": "c.example.com"}, "type": "caa", "detail": "CAA forbids c"},
        ],
    )
    assert failure.name == "org.acmed1.AcmeError.compound"
    assert failure.identifiers == ("a.example.com", "b.example.com", "c.example.com")
    assert failure.lost
    for words in ("a.example.com: NXDOMAIN for a (dns)", "c.example.com: CAA forbids c (caa)", "CAA record"):
        assert words in failure.message
    assert failure.message.count("public DNS") == 1


def test_all_of_a_hundred_names_are_told() -> None:
    names = [f"{'x' * 40}{number}.example.com" for number in range(100)]
    problems = [
        {"identifier": {"type": "dns", "value": name}, "type": "dns", "detail": f"DNS problem: NXDOMAIN for {name}"}
        for name in names
    ]
    message = _acme(type="dns", detail="", subproblems=problems).message
    assert all(name in message for name in names)


def test_page_that_lets_a_paused_account_go_on() -> None:
    page = "https://portal.letsencrypt.example/sfe/v1/unpause?jwt=" + "x" * 900
    message = _acme(type="rateLimited", status=429, detail=f"Your account is paused. Please visit: {page}").message
    assert page in message
    assert "open that page" in message
    assert "wait;" not in message


@pytest.mark.parametrize("seconds", [-5, 0, 10**12])
def test_time_to_wait_is_held_to_what_a_ca_can_mean(seconds: int) -> None:
    failure = _acme(type="rateLimited", retryAfter=seconds)
    assert failure.retry_after is not None
    assert 0 <= failure.retry_after <= 30 * 24 * 3600


def test_a_ca_that_is_slow_may_say_when_to_come_back() -> None:
    def slow(retry_after: int | None) -> Failure:
        parameters = {"step": "finalize", "message": "still processing", "retryAfter": retry_after}
        return from_varlink("acme-clientd", VarlinkError("org.acmed.Client.TimedOut", **parameters))

    assert slow(7200).retry_after == 7200
    assert "still processing; not before " in slow(7200).message
    assert slow(None).retry_after is None
    assert slow(None).message.endswith("still processing")


def test_what_to_do_about_a_name_is_not_said_of_an_account() -> None:
    assert "To do" not in _acme().message
    assert "answers for that name" in _acme(final=True).message
