# SPDX-License-Identifier: LGPL-2.1-or-later
import pytest

from acmed.clientd.ca.nonces import Nonces


def test_the_newest_goes_first_and_once() -> None:
    nonces = Nonces()
    nonces.put("b2xk")
    nonces.put("bmV3")
    assert [nonces.take(), nonces.take(), nonces.take()] == ["bmV3", "b2xk", None]


@pytest.mark.parametrize("value", [None, "", "a b", "a=", "a+b", "a\n", "é", "x" * 513, "a, b"])
def test_what_is_no_nonce_is_not_kept(value: str | None) -> None:
    nonces = Nonces()
    nonces.put(value)
    assert nonces.take() is None


def test_no_more_are_kept_than_are_of_use() -> None:
    nonces = Nonces()
    for number in range(1000):
        nonces.put(f"n{number}")
    taken = [nonces.take() for _ in range(1000)]
    assert taken[:2] == ["n999", "n998"]
    assert len([nonce for nonce in taken if nonce]) == 64


def test_old_ones_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    nonces = Nonces()
    nonces.put("b2xk")
    now += 301
    assert nonces.take() is None
    nonces.put("bmV3")
    assert nonces.take() == "bmV3"
