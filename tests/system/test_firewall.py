# SPDX-License-Identifier: LGPL-2.1-or-later
"""Port 80 as a stranger sees it, on a host that drops all input: open while a lease lives, and closed whatever dies."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.machine import Machine
from tests.system.lease import (
    ANSWER,
    FIREWALLS,
    PATH,
    RESPONDER,
    SOCKET,
    Lease,
    pending_challenge,
    state,
    wait_closed,
)
from tests.system.network import ADDRESSES, Stranger, stranger

NFT = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        ct state invalid drop
        iif "lo" accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        tcp dport 22 accept
    }
}
"""
# Two base chains have to agree, and the reject is in a chain of its own.
NFT_SEVERAL = (
    """
table ip first {
    chain in { type filter hook input priority -10; policy accept; jump refuse; }
    chain refuse { iif != "lo" tcp dport 1-1023 reject with tcp reset; }
}
table ip6 first {
    chain in { type filter hook input priority -10; policy accept; tcp dport != { 22, 443 } drop; }
}
"""
    + NFT
)
IPTABLES = """
{0} -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{0} -A INPUT -i lo -j ACCEPT
{0} -A INPUT -p {1} -j ACCEPT
{0} -A INPUT -p tcp --dport 22 -j ACCEPT
{0} -P INPUT DROP
"""
IPTABLES_FLUSH = "{0} -P INPUT ACCEPT\n{0} -F\n{0} -X\n"
UFW_ON = "ufw --force reset\nufw default deny incoming\nufw allow 22/tcp\nufw --force enable\n"
UFW_OFF = "ufw --force disable\nufw --force reset\n"


def script(machine: Machine, text: str) -> None:
    machine.run(["sh", "-e"], input=text)


@contextlib.contextmanager
def nothing(machine: Machine) -> Iterator[None]:
    yield


@contextlib.contextmanager
def nft(machine: Machine, rules: str = NFT) -> Iterator[None]:
    machine.run(["nft", "-f", "-"], input=rules)
    try:
        yield
    finally:
        machine.run(["nft", "flush", "ruleset"])


@contextlib.contextmanager
def nft_several(machine: Machine) -> Iterator[None]:
    with nft(machine, NFT_SEVERAL):
        yield


@contextlib.contextmanager
def iptables_nft(machine: Machine) -> Iterator[None]:
    script(machine, IPTABLES.format("iptables-nft", "icmp") + IPTABLES.format("ip6tables-nft", "icmpv6"))
    try:
        yield
    finally:
        machine.run(["nft", "flush", "ruleset"])


@contextlib.contextmanager
def iptables_legacy(machine: Machine) -> Iterator[None]:
    script(machine, IPTABLES.format("iptables-legacy", "icmp") + IPTABLES.format("ip6tables-legacy", "icmpv6"))
    try:
        yield
    finally:
        script(machine, IPTABLES_FLUSH.format("iptables-legacy") + IPTABLES_FLUSH.format("ip6tables-legacy"))


@contextlib.contextmanager
def ufw(machine: Machine) -> Iterator[None]:
    script(machine, UFW_ON)
    try:
        yield
    finally:
        script(machine, UFW_OFF)
        machine.run(["nft", "flush", "ruleset"])


@contextlib.contextmanager
def firewalld(machine: Machine) -> Iterator[None]:
    machine.run(["systemctl", "start", "firewalld.service"])
    machine.run(["firewall-cmd", "--zone=work", "--change-interface=host"])
    machine.run(["firewall-cmd", "--zone=work", "--remove-service=http"], check=False)
    try:
        yield
    finally:
        machine.run(["systemctl", "stop", "firewalld.service"])


@contextlib.contextmanager
def firewalld_and_nft(machine: Machine) -> Iterator[None]:
    with firewalld(machine), nft(machine):
        yield


Firewall = Callable[[Machine], contextlib.AbstractContextManager[None]]
ON_BOTH: list[Firewall] = [nft, nft_several, iptables_nft, iptables_legacy]
ON_TRIXIE: list[Firewall] = [*ON_BOTH, ufw, firewalld, firewalld_and_nft]


def rules(machine: Machine) -> str:
    """All rules but for counters and what else differs by itself."""
    commands = (["nft", "--stateless", "list", "ruleset"], ["iptables-legacy", "-S"], ["ip6tables-legacy", "-S"])
    return "\n".join(machine.run(command, check=False).stdout for command in commands)


def check_open_and_close(machine: Machine, firewall: Firewall) -> None:
    with stranger(machine) as ca, firewall(machine), pending_challenge(machine):
        before = rules(machine)
        lease = Lease(machine)
        assert ca.is_shut_out()
        lease.start()
        assert [ca.get(PATH, address) for address in ADDRESSES] == [ANSWER, ANSWER]
        lease.stop()
        wait_closed(machine)
        assert ca.is_shut_out()
        assert rules(machine) == before


@pytest.mark.parametrize("firewall", ON_TRIXIE)
def test_open_for_the_lease_and_closed_after(machine: Machine, firewall: Firewall) -> None:
    check_open_and_close(machine, firewall)


@pytest.mark.parametrize("firewall", ON_BOTH)
def test_open_for_the_lease_and_closed_after_on_debian_12(bookworm: Machine, firewall: Firewall) -> None:
    check_open_and_close(bookworm, firewall)


@pytest.mark.parametrize("victim", ["the lease", "acmed.service"])
def test_killed(lease: Lease, ca: Stranger, victim: str) -> None:
    with nft(lease.machine):
        lease.start()
        assert ca.get(PATH) == ANSWER
        lease.kill(lease.unit if victim == "the lease" else victim)
        wait_closed(lease.machine)
        assert ca.is_shut_out()


def test_responder_killed_starts_again_and_closes(lease: Lease, ca: Stranger) -> None:
    with nft(lease.machine):
        lease.start()
        assert ca.get(PATH) == ANSWER
        lease.kill(RESPONDER)
        assert ca.get(PATH) == ANSWER
        lease.kill(RESPONDER)
        lease.stop()
        wait_closed(lease.machine)
        assert ca.is_shut_out()


@contextlib.contextmanager
def drop_in(machine: Machine, unit: str, text: str) -> Iterator[None]:
    path = f"/run/systemd/system/{unit}.d/90-test.conf"
    machine.write(path, text)
    machine.run(["systemctl", "daemon-reload"])
    try:
        yield
    finally:
        machine.run(["rm", path])
        machine.run(["systemctl", "daemon-reload"])


def test_killed_in_the_middle_of_opening(lease: Lease, ca: Stranger) -> None:
    """The rule is in and the start not done."""
    machine, firewall = lease.machine, FIREWALLS[0]
    hang = "[Service]\nExecStartPost=/usr/bin/python3 -c 'import time; time.sleep(600)'\n"
    with nft(machine), drop_in(machine, "acme-firewall@.service", hang):
        machine.run(["systemctl", "start", "--no-block", lease.unit])
        machine.wait_until("the rule to be there", lambda: "acmed:" in rules(machine))
        show = ["systemctl", "show", "--property=ControlPID", "--value", firewall]
        machine.wait_until(
            "the start to hang",
            lambda: "sleep(600)" in machine.run(["systemctl", "status", firewall], check=False).stdout,
        )
        machine.run(["kill", "-KILL", machine.run(show).stdout.strip()])
        machine.wait_until("the unit to fail", lambda: state(machine, firewall) == "failed")
        assert "acmed:" not in rules(machine)
        assert ca.is_shut_out()
        lease.stop()
        wait_closed(machine)


def test_killed_in_the_middle_of_closing(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    killed = (
        "[Service]\nExecStop=\nExecStop=/usr/bin/python3 -c 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)'\n"
    )
    with nft(machine), drop_in(machine, "acme-firewall@.service", killed):
        lease.start()
        assert ca.get(PATH) == ANSWER
        lease.stop()
        wait_closed(machine)
        assert ca.is_shut_out()


def test_deadline(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    short = "[Service]\nExecStart=\nExecStart=/usr/bin/sleep 2\n"
    with nft(machine), drop_in(machine, "acme-http01-lease@.service", short):
        lease.start()
        wait_closed(machine)
        assert ca.is_shut_out()


def test_first_of_two_leases_ends(lease: Lease, ca: Stranger) -> None:
    other = Lease(lease.machine, "8")
    with nft(lease.machine):
        lease.start()
        other.start()
        lease.stop()
        assert ca.get(PATH) == ANSWER
        other.stop()
        wait_closed(lease.machine)
        assert ca.is_shut_out()


def test_leases_back_to_back(lease: Lease, ca: Stranger) -> None:
    """Each begins while what the one before it wanted is still being stopped."""
    with nft(lease.machine):
        for number in range(8):
            following = Lease(lease.machine, str(number))
            following.start()
            assert ca.get(PATH) == ANSWER
            following.stop()
        wait_closed(lease.machine)
        assert ca.is_shut_out()


def test_rules_that_others_add_meanwhile_survive(lease: Lease) -> None:
    machine = lease.machine
    with nft(machine):
        lease.start()
        machine.run(["nft", "insert", "rule", "inet", "filter", "input", "ip", "saddr", "198.51.100.1", "drop"])
        machine.run(["nft", "add", "rule", "inet", "filter", "input", "tcp", "dport", "8080", "accept"])
        machine.run(["nft", "add", "table", "inet", "later"])
        lease.stop()
        wait_closed(machine)
        after = rules(machine)
        assert "ip saddr 198.51.100.1 drop" in after
        assert "tcp dport 8080 accept" in after
        assert "table inet later" in after


def test_ruleset_replaced_meanwhile(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    with nft(machine):
        lease.start()
        machine.run(["nft", "-f", "-"], input="flush ruleset\n" + NFT)
        assert ca.is_shut_out()
        lease.stop()
        wait_closed(machine)
        assert all(state(machine, unit) == "inactive" for unit in FIREWALLS)


def test_rule_that_was_saved_while_open_is_swept(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    with nft(machine):
        stale = ["nft", "insert", "rule", "inet", "filter", "input", "tcp", "dport", "80", "accept"]
        for _ in range(2):
            machine.run([*stale, "comment", '"acmed:http01:80"'])
        lease.start()
        assert rules(machine).count("acmed:http01:80") == 1
        lease.stop()
        wait_closed(machine)
        assert ca.is_shut_out()


def test_rule_of_the_administrator_stays(lease: Lease, ca: Stranger) -> None:
    """A port that is open anyway is not touched, and an accept without our comment is not ours."""
    machine = lease.machine
    with nft(machine):
        machine.run(["nft", "add", "rule", "inet", "filter", "input", "tcp", "dport", "{ 80, 443 }", "accept"])
        before = rules(machine)
        lease.start()
        assert ca.get(PATH) == ANSWER
        assert rules(machine) == before
        lease.stop()
        machine.wait_until("the socket to close", lambda: state(machine, SOCKET) == "inactive")
        assert rules(machine) == before


def test_nothing_is_touched_where_nothing_drops(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    with nft(
        machine, "table inet filter { chain input { type filter hook input priority 0; ct state invalid drop; }; }"
    ):
        before = rules(machine)
        lease.start()
        assert ca.get(PATH) == ANSWER
        assert rules(machine) == before


def test_firewall_off(lease: Lease, ca: Stranger) -> None:
    machine, path = lease.machine, "/etc/acmed/acmed.toml.d/00-off.toml"
    machine.write(path, 'firewall = "off"\n')
    try:
        with nft(machine):
            before = rules(machine)
            lease.start()
            assert state(machine, FIREWALLS[0]) == "active"
            assert rules(machine) == before
            assert ca.is_shut_out()
    finally:
        machine.run(["rm", path])


def test_administrators_port_in_firewalld_survives(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    with firewalld(machine):
        lease.start()
        machine.run(["firewall-cmd", "--zone=work", "--add-port=80/tcp"])
        lease.stop()
        wait_closed(machine)
        assert machine.run(["firewall-cmd", "--zone=work", "--list-ports"]).stdout.split() == ["80/tcp"]
        assert machine.run(["firewall-cmd", "--zone=work", "--list-rich-rules"]).stdout.split() == []


def test_firewalld_closes_by_itself(lease: Lease) -> None:
    """Should everything of ours be gone, its own timeout is left."""
    machine = lease.machine
    with firewalld(machine):
        lease.start()
        assert "acmed" not in machine.run(["nft", "list", "ruleset"]).stdout
        for zone in ("work", "public"):
            assert 'port="80"' in machine.run(["firewall-cmd", f"--zone={zone}", "--list-rich-rules"]).stdout
        machine.run(["firewall-cmd", "--reload"])
        assert machine.run(["firewall-cmd", "--zone=work", "--list-rich-rules"]).stdout.split() == []
        lease.stop()
        wait_closed(machine)


def test_port_taken(lease: Lease) -> None:
    """The lease lives, and acme-privd reads from the socket's state why there is nothing behind it."""
    machine = lease.machine
    machine.run(["systemd-run", "--quiet", "--unit=taker", "nc", "-l", "-k", "0.0.0.0", "80"])
    try:
        machine.wait_until("nc to listen", lambda: machine.run(["ss", "-Hltn", "sport = :80"]).stdout)
        with nft(machine):
            lease.start()
            assert state(machine, lease.unit) == "active"
            assert state(machine, SOCKET) == "failed"
            show = ["systemctl", "show", "--property=Result", "--value"]
            assert machine.run([*show, SOCKET]).stdout == "resources\n"
            lease.stop()
            machine.wait_until("the firewall to close", lambda: state(machine, FIREWALLS[0]) == "inactive")
            assert "acmed:" not in rules(machine)
            machine.wait_until("the responder to give up", lambda: state(machine, RESPONDER) == "inactive")
            assert machine.run(["systemctl", "show", "--property=NRestarts", "--value", RESPONDER]).stdout == "0\n"
    finally:
        machine.run(["systemctl", "stop", "taker.service"])


def test_failure_is_told_in_one_line(lease: Lease) -> None:
    """Without the right to change the ruleset: what nft says, and what to do."""
    with nft(lease.machine):
        result = lease.machine.run(
            ["python3", "-I", "-m", "acmed.firewall", "nft", "open", "80"], user="nobody", check=False
        )
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("acme-firewall: Cannot open TCP port 80: nft: ")
    assert 'firewall = "off"' in line
