# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts whose key is behind a socket: of another user's lacme-accountd, or of an acme-keyd in somebody's terminal on
another host, which ssh -R brings here.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Machine
from tests.system.farhost import KEYD, KNOWN_HOSTS, PORT, Hosts, User, hosts, policy
from tests.system.timer import run_timer

NAME = "attended.example.com"


@pytest.fixture(scope="module")
def both(debs: list[Path]) -> Iterator[Hosts]:
    with hosts(debs) as both:
        yield both


@contextlib.contextmanager
def terminal(machine: Machine, user: str, env: dict[str, str], *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A program of somebody's; it gets SIGHUP at the end, as it does when its terminal is closed."""
    process = machine.popen(["sh", "-c", 'echo $$; exec "$@"', "sh", *words], user=user, env=env)
    assert process.stdout
    pid = process.stdout.readline().strip()
    try:
        yield process
    finally:
        machine.run(["kill", "-HUP", pid], check=False)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


@contextlib.contextmanager
def attended(both: Hosts, jane: User, socket: str) -> Iterator[None]:
    """acme-keyd in jane's terminal, and ssh -R in another one."""
    runtime = f"{jane.home}/run"
    environment = {"XDG_RUNTIME_DIR": runtime}
    ssh = ["ssh", "-N", "-o", f"UserKnownHostsFile={KNOWN_HOSTS}", "-o", "ExitOnForwardFailure=yes", "-p", str(PORT)]
    forward = [*ssh, "-R", f"{socket}:{runtime}/acme-keyd.sock", "deploy@127.0.0.1"]
    with (
        terminal(both.machine, jane.name, environment, "acme-keyd", "--socket"),
        terminal(both.machine, jane.name, environment, *forward),
    ):
        both.machine.wait_until("the sockets", lambda: is_there(both, socket, f"{runtime}/acme-keyd.sock"))
        yield


def is_there(both: Hosts, *paths: str) -> bool:
    return all(both.machine.run(["test", "-S", path], check=False).returncode == 0 for path in paths)


def test_the_terminal_is_closed_and_opened_again(both: Hosts) -> None:
    """Meanwhile the renewal by the timer waits for the key, and ends well when it is there again."""
    jane, deploy = both.far.user("jane"), both.far.user("deploy")
    jane.make_key("ec")
    jane.write(jane.config, KEYD + policy(NAME, more='operations = ["order", "newAccount"]'))
    jane.run("mkdir ~/run ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519")
    deploy.authorize(f"{jane.home}/.ssh/id_ed25519")
    socket = f"{deploy.home}/keyd.sock"
    both.configure("attended", f'key = "unix:{socket}"')
    with attended(both, jane, socket):
        assert both.machine.run(["stat", "-c", "%a %U", socket]).stdout.split() == ["600", "deploy"]
        both.register("attended")
        both.order("attended", NAME)
    first = both.installed(NAME).serial
    both.make_due("attended", NAME)
    run_timer(both.machine, fails=True)
    failing = both.ctl.json("status", NAME, code=1)
    assert (failing["state"], failing["failures"]) == ("failing", 1)
    assert failing["lastError"]["name"] == "org.acmed1.Error.KeyUnavailable"
    with attended(both, jane, socket):
        both.ctl.run("renew", NAME)
        both.installed(NAME).check(NAME)
    assert both.installed(NAME).serial != first


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
