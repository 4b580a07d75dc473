# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts whose key is behind a socket: of another user's lacme-accountd, or of an acme-keyd in somebody's terminal on
another host, which ssh -R brings here.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.acmectl import Running, running
from tests.system.farhost import KEYD, KNOWN_HOSTS, PORT, Hosts, User, hosts, policy
from tests.system.once import once
from tests.system.standstill import frozen_ca
from tests.system.terminal import terminal
from tests.system.timer import run_timer


@pytest.fixture(scope="module")
def both(debs: list[Path]) -> Iterator[Hosts]:
    with hosts(debs) as both:
        yield both


@dataclass(frozen=True)
class Attended:
    """acme-keyd in jane's terminal, and ssh -R in another one, as deploy."""

    both: Hosts
    jane: User
    socket: str

    @property
    def _environment(self) -> dict[str, str]:
        return {"XDG_RUNTIME_DIR": f"{self.jane.home}/run"}

    @property
    def _own(self) -> str:
        return f"{self.jane.home}/run/acme-keyd.sock"

    @contextlib.contextmanager
    def keyd(self) -> Iterator[None]:
        machine = self.both.machine
        with terminal(machine, self.jane.name, self._environment, "acme-keyd", "--socket"):
            machine.wait_until("acme-keyd's socket", lambda: is_there(self.both, self._own))
            yield

    @contextlib.contextmanager
    def forwarded(self) -> Iterator[None]:
        machine = self.both.machine
        ssh = ["ssh", "-N", "-o", f"UserKnownHostsFile={KNOWN_HOSTS}", "-o", "ExitOnForwardFailure=yes"]
        machine.run(["rm", "-f", self.socket])  # which sshd leaves when a session breaks
        command = [*ssh, "-p", str(PORT), "-R", f"{self.socket}:{self._own}", "deploy@127.0.0.1"]
        with terminal(machine, self.jane.name, self._environment, *command):
            machine.wait_until("sshd's socket", lambda: is_there(self.both, self.socket))
            yield

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        with self.keyd(), self.forwarded():
            yield


def is_there(both: Hosts, path: str) -> bool:
    return both.machine.run(["test", "-S", path], check=False).returncode == 0


@pytest.fixture(scope="module")
def attended(both: Hosts) -> Attended:
    """With the account attended."""
    jane, deploy = both.far.user("jane"), both.far.user("deploy")
    jane.make_key("ec")
    jane.write(jane.config, KEYD + policy("*.example.com", more='operations = ["order", "newAccount"]'))
    jane.run("mkdir ~/run ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519")
    deploy.authorize(f"{jane.home}/.ssh/id_ed25519")
    attended = Attended(both, jane, f"{deploy.home}/keyd.sock")
    both.configure("attended", f'key = "unix:{attended.socket}"')
    with attended.here():
        assert both.machine.run(["stat", "-c", "%a %U", attended.socket]).stdout.split() == ["600", "deploy"]
        both.register("attended")
    return attended


def test_the_terminal_is_closed_and_opened_again(both: Hosts, attended: Attended) -> None:
    """Meanwhile the renewal by the timer waits for the key, and ends well, by itself, when it is there again."""
    name = "timer.example.com"
    with attended.here():
        both.order("attended", name)
    first = both.installed(name).serial
    both.make_due("attended", name)
    run_timer(both.machine, fails=True)
    failing = both.ctl.json("status", name, code=1)
    assert (failing["state"], failing["failures"]) == ("failing", 1)
    assert failing["lastError"]["name"] == "org.acmed1.Error.KeyUnavailable"
    with attended.here(), once(both.pebble):
        both.machine.wait_until("the second attempt", lambda: both.installed(name).serial != first, timeout=150)
        both.installed(name).check(name)


def test_acme_keyd_is_started_anew_in_the_middle(both: Hosts, attended: Attended) -> None:
    name = "anew.example.com"
    with attended.forwarded(), once(both.pebble):
        with contextlib.ExitStack() as old, attended_order(both, name, old, attended) as order:
            old.close()
            with attended.keyd():
                both.machine.run(["systemctl", "kill", "--signal=CONT", "pebble.service"])
                code, output = order.end()
        assert code == 0, output
        both.installed(name).check(name)


def test_the_terminal_is_closed_in_the_middle(both: Hosts, attended: Attended) -> None:
    name = "closed.example.com"
    with once(both.pebble):
        with contextlib.ExitStack() as old:
            old.enter_context(attended.forwarded())
            with attended_order(both, name, old, attended) as order:
                old.close()
                both.machine.run(["systemctl", "kill", "--signal=CONT", "pebble.service"])
                code, output = order.end()
        assert code == 1
        assert "KeyUnavailable" in output
        with attended.here():
            both.ctl.run("renew", name)
        both.installed(name).check(name)


@contextlib.contextmanager
def attended_order(both: Hosts, name: str, old: contextlib.ExitStack, attended: Attended) -> Iterator[Running]:
    """One that waits for the CA's answer to newOrder, with an acme-keyd that old ends."""
    old.enter_context(attended.keyd())
    with frozen_ca(both.machine), running(both.machine, "order", name, "--account", "attended") as order:
        both.machine.wait_until(
            "the order to be on its way",
            lambda: [job for job in both.ctl.json("jobs") if job["step"] == "authorize"],
        )
        yield order


def test_a_lacme_accountd_of_another_user(both: Hosts) -> None:
    joe = both.far.user("joe")
    joe.make_key("rsa")
    joe.run("mkdir ~/run")
    socket = f"{joe.home}/run/S.lacme"
    both.configure("local", f'key = "unix:{socket}"')
    words = [f"--privkey=file:{joe.home}/account.key", f"--socket={socket}"]
    with terminal(both.machine, joe.name, {}, "lacme-accountd", *words):
        both.machine.wait_until("its socket", lambda: is_there(both, socket))
        both.register("local")
        both.order("local", "local.example.org")
    said = both.ctl.error("order", "more.example.org", "--account", "local", code=1)
    assert "KeyUnavailable" in said
    assert "nobody listens there any more; remove it" in said


def test_another_user_was_there_first(both: Hosts) -> None:
    """Where anybody may put a socket, no key is taken for a new account."""
    mallory = both.far.user("mallory")
    mallory.make_key("ec")
    mallory.write(mallory.config, KEYD + policy("*.example.com", more='operations = ["order", "newAccount"]'))
    mallory.run("mkdir ~/run; ln -s ~/run/acme-keyd.sock /run/lock/keyd.sock")
    both.configure("squatted", 'key = "unix:/run/lock/keyd.sock"')
    with terminal(both.machine, mallory.name, {"XDG_RUNTIME_DIR": f"{mallory.home}/run"}, "acme-keyd", "--socket"):
        both.machine.wait_until("mallory's socket", lambda: is_there(both, "/run/lock/keyd.sock"))
        said = both.ctl.error("account", "add", "squatted", "--agree-tos", code=1)
        assert "/run/lock may be written by others, who could put another socket there" in said
        assert mallory.log() == []
    checked = both.machine.run(["acmectl", "config", "check"], check=False).stdout
    assert "acme-store-unix.service does not connect to /run/lock/keyd.sock" in checked
