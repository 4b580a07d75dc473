# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `iptables -S` prints, asked about port 80."""

import pytest

from acmed.firewall.chains import Applies, Step, Verdict, may_drop
from acmed.firewall.iptables_rules import read

NEVER, SOMETIMES, ALWAYS = Applies


@pytest.mark.parametrize(
    ("conditions", "applies"),
    [
        ("", ALWAYS),
        ("-p tcp", ALWAYS),
        ("-p udp", NEVER),
        ("! -p udp", ALWAYS),
        ("! -p tcp", NEVER),
        ("-p tcp -m tcp --dport 80", ALWAYS),
        ("-p tcp -m tcp --dport 22", NEVER),
        ("-p tcp -m tcp ! --dport 22", ALWAYS),
        ("-p tcp -m tcp --dport 1:1023", ALWAYS),
        ("-p tcp -m tcp --dport 1024:65535", NEVER),
        ("-p tcp -m multiport --dports 22,80:90", ALWAYS),
        ("-p tcp -m multiport --dports 22,443", NEVER),
        ("-m conntrack --ctstate INVALID", NEVER),
        ("-m conntrack --ctstate RELATED,ESTABLISHED", NEVER),
        ("-m state --state NEW", ALWAYS),
        ("-s 192.0.2.0/24", SOMETIMES),
        ("! -s 192.0.2.0/24", SOMETIMES),
        ("-i lo", SOMETIMES),
        ("-m limit --limit 3/min", SOMETIMES),
        ('-m comment --comment "a -p udp comment"', ALWAYS),
    ],
)
def test_condition(conditions: str, applies: Applies) -> None:
    chains = read(f"-P INPUT ACCEPT\n-A INPUT {conditions} -j REJECT --reject-with icmp-port-unreachable\n", 80)
    assert chains["INPUT"].steps == ([] if applies is NEVER else [Step(applies, Verdict.DROP)])


def test_targets() -> None:
    chains = read(
        "-P INPUT DROP\n-P FORWARD ACCEPT\n-N own\n"
        '-A INPUT -j own\n-A INPUT -g own\n-A INPUT -j LOG --log-prefix "x -j DROP"\n-A INPUT -j ACCEPT\n'
        "-A own -j RETURN\n-A own -j DROP\n",
        80,
    )
    assert chains["INPUT"].policy_drops
    assert not chains["FORWARD"].policy_drops
    assert [(step.verdict, step.target) for step in chains["INPUT"].steps] == [
        (Verdict.JUMP, "own"),
        (Verdict.GOTO, "own"),
        (Verdict.ACCEPT, ""),
    ]
    assert [step.verdict for step in chains["own"].steps] == [Verdict.RETURN, Verdict.DROP]


def test_open_web_server_and_closed_host() -> None:
    rules = (
        "-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n%s\n"
    )
    assert not may_drop(read(rules % "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT", 80), "INPUT")
    assert may_drop(read(rules % "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", 80), "INPUT")
    assert not may_drop(read("-P INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 25 -j DROP\n", 80), "INPUT")
