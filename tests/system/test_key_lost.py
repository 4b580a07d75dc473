# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way to a key on another host breaks at a step of an order: it goes on, or fails clearly and is resumed; there is
never a second certificate.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import dyingsigner
from tests.system.farhost import KEYD, PORT, Hosts, User, hosts, policy

PROGRAM = "/usr/local/lib/dyingsigner.py"
STEPS = {"newOrder": "identifiers", "challenge": "{}", "finalize": "csr"}


@pytest.fixture(scope="module")
def both(debs: list[Path]) -> Iterator[Hosts]:
    with hosts(debs) as both:
        yield both


@pytest.fixture(scope="module")
def signer(both: Hosts) -> User:
    user, identity = both.far.user("signer"), both.far.identity("far")
    user.make_key("ec")
    user.write(user.config, KEYD + policy("*.example.com", more='operations = ["order", "newAccount"]'))
    both.machine.put(Path(dyingsigner.__file__), PROGRAM)
    user.authorize(identity, f"exec python3 {PROGRAM}")
    both.seal("far", identity)
    both.configure("far", f'key = "ssh:signer@127.0.0.1:{PORT}"')
    both.register("far")
    return user


def issued(both: Hosts) -> int:
    """How many certificates the CA has made."""
    return both.machine.journal("pebble.service").count("Issued certificate")


def orders(both: Hosts) -> int:
    return both.machine.journal("pebble.service").count("Added order")


@pytest.mark.parametrize("when", ["after", "keyd"])
@pytest.mark.parametrize("step", STEPS)
def test_it_dies_once(both: Hosts, signer: User, step: str, when: str) -> None:
    """Nobody notices: the same is signed again over another connection."""
    before = issued(both), orders(both)
    signer.write(f"{signer.home}/die", f"{STEPS[step]} {when} once")
    both.order("far", f"{step.lower()}-{when}.example.com")
    assert signer.run("ls ~").split() == ["account.key", "keyd.log"]
    assert (issued(both), orders(both)) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("step", STEPS)
def test_it_is_gone(both: Hosts, signer: User, step: str) -> None:
    name, before = f"{step.lower()}-gone.example.com", (issued(both), orders(both))
    signer.write(f"{signer.home}/die", f"{STEPS[step]} before always")
    said = both.ctl.error("order", name, "--account", "far", code=1)
    assert "KeyUnavailable" in said
    assert "ssh failed" in said
    signer.run("rm ~/die")
    both.ctl.run("renew", name)
    both.installed(name).check(name)
    assert (issued(both), orders(both)) == (before[0] + 1, before[1] + 1)
