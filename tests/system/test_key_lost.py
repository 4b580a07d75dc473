# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way to a key on another host breaks at a step of an order: it goes on, or fails clearly and is resumed; there is
never a second certificate.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import dyingsigner
from tests.system.farhost import KEYD, PORT, Hosts, User, hosts, policy
from tests.system.once import once

PROGRAM = "/usr/local/lib/dyingsigner.py"
# What is signed for an order, with the paths that Pebble has for it.
STEPS = {
    "newOrder": "/order-plz",
    "authorization": "/authZ/",
    "challenge": "/chalZ/",
    "finalize": "/finalize-order/",
    "order": "/my-order/",
    "download": "/certZ/",
}
REGISTRATION = "/sign-me-up"


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


@pytest.mark.parametrize("when", ["after", "keyd"])
@pytest.mark.parametrize("step", STEPS)
def test_it_dies_once(both: Hosts, signer: User, step: str, when: str) -> None:
    """Nobody notices: the same is signed again over another connection."""
    signer.write(f"{signer.home}/die", f"{STEPS[step]} {when} once")
    with once(both.pebble):
        both.order("far", f"{step.lower()}-{when}.example.com")
    assert signer.run("ls ~").split() == ["account.key", "keyd.log"]


@pytest.mark.parametrize("step", STEPS)
def test_it_is_gone(both: Hosts, signer: User, step: str) -> None:
    name = f"{step.lower()}-gone.example.com"
    with once(both.pebble):
        signer.write(f"{signer.home}/die", f"{STEPS[step]} before always")
        said = both.ctl.error("order", name, "--account", "far", code=1)
        assert "KeyUnavailable" in said
        assert "ssh failed" in said
        signer.run("rm ~/die")
        both.ctl.run("renew", name)
        both.installed(name).check(name)


def test_it_is_gone_when_an_account_is_registered(both: Hosts, signer: User) -> None:
    """It is the account of its key, so registering it again finds the one that there is."""
    known = both.ctl.json("account", "show", "far")["uri"]
    both.seal("late", both.far.identity("late"))
    signer.authorize("/root/late", f"exec python3 {PROGRAM}")
    both.configure("late", f'key = "ssh:signer@127.0.0.1:{PORT}"')
    signer.write(f"{signer.home}/die", f"{REGISTRATION} before always")
    said = both.ctl.error("account", "add", "late", "--agree-tos", code=1)
    assert "KeyUnavailable" in said
    signer.run("rm ~/die")
    assert both.register("late") == known
