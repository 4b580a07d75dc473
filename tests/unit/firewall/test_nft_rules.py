# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules as nft 1.0.6 and 1.1.3 print them, asked about port 80."""

import json
from typing import Any

import pytest

from acmed.firewall.chains import Applies, Step, Verdict, may_drop
from acmed.firewall.nft_rules import read

NEVER, SOMETIMES, ALWAYS = Applies
DROP, ACCEPT = Verdict.DROP, Verdict.ACCEPT
COMMENT = "acmed:http01:80"


def ruleset(*rules: str, policy: str = "accept", table: str = "{}", chain: str = "{}") -> list[dict[str, Any]]:
    where = {"family": "inet", "table": "filter"}
    base = {"type": "filter", "hook": "input", "prio": 0, "policy": policy, **json.loads(chain)}
    objects: list[dict[str, Any]] = [
        {"metainfo": {"version": "1.1.3", "release_name": "Commodore Bullmoose #4", "json_schema_version": 1}},
        {"table": {"family": "inet", "name": "filter", "handle": 1, **json.loads(table)}},
        {"chain": {**where, "name": "input", "handle": 1, **base}},
        {"chain": {**where, "name": "other", "handle": 2}},
        {"set": {**where, "name": "banned", "type": "ipv4_addr", "handle": 3, "flags": ["interval"]}},
    ]
    for handle, rule in enumerate(rules, 4):
        objects.append({"rule": {**where, "chain": "input", "handle": handle, **json.loads(rule)}})
    return objects


def steps(rule: str) -> list[Step]:
    (table,) = read(ruleset(f'{{"expr": {rule}}}'), 80, COMMENT)
    return table.chains["input"].steps


STATE = '{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": %s}}'
DPORT = '{"match": {"op": "%s", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": %s}}'
L4PROTO = '{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": %s}}'
TH_DPORT = '{"match": {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": %s}}'
UDP = '{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 80}}'
SADDR = '{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@banned"}}'
SYN = """{"match": {"op": "==", "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["syn", "ack"]]},
    "right": "syn"}}"""
ICMP = '{"match": {"op": "==", "left": {"payload": {"protocol": "icmp", "field": "type"}}, "right": "echo-request"}}'
LIMIT = '{"limit": {"rate": 10, "burst": 5, "per": "second"}}'


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        (STATE % '"invalid"', NEVER),
        (STATE % '["established", "related"]', NEVER),
        (STATE % '["established", "new"]', ALWAYS),
        (STATE.replace("in", "!=", 1) % '"new"', NEVER),
        (DPORT % ("==", "80"), ALWAYS),
        (DPORT % ("==", "22"), NEVER),
        (DPORT % ("!=", "80"), NEVER),
        (DPORT % ("!=", "22"), ALWAYS),
        (DPORT % ("==", '{"set": [22, {"range": [80, 90]}, 443]}'), ALWAYS),
        (DPORT % ("==", '{"set": [22, {"range": [81, 90]}, 443]}'), NEVER),
        (DPORT % ("!=", '{"set": [22, 80]}'), NEVER),
        (DPORT % ("==", '{"range": [1, 1023]}'), ALWAYS),
        (DPORT % ("==", '{"range": [1024, 65535]}'), NEVER),
        (DPORT % ("==", '"@services"'), SOMETIMES),
        (DPORT % ("!=", '"@services"'), SOMETIMES),
        (DPORT % ("==", '{"prefix": {"addr": 64, "len": 10}}'), SOMETIMES),
        (DPORT % (">", "1023"), NEVER),
        (DPORT % ("<=", "1023"), ALWAYS),
        (L4PROTO % '"tcp"', ALWAYS),
        (L4PROTO % '{"set": ["tcp", "udp"]}', ALWAYS),
        (L4PROTO % '{"set": ["icmp", "ipv6-icmp"]}', NEVER),
        (TH_DPORT % "53", NEVER),
        (UDP, NEVER),
        (ICMP, NEVER),
        (SADDR, SOMETIMES),
        (SYN, SOMETIMES),
        (LIMIT, SOMETIMES),
        ('{"ct count": {"val": 5, "inv": true}}', SOMETIMES),
        ('{"xt": {"type": "match", "name": "conntrack"}}', SOMETIMES),
        ('{"counter": {"packets": 0, "bytes": 0}}', ALWAYS),
        ('{"log": {"prefix": "x"}}', ALWAYS),
        ('{"something": {"new": 1}}', SOMETIMES),
    ],
)
def test_condition(condition: str, applies: Applies) -> None:
    expected = [] if applies is NEVER else [Step(applies, DROP)]
    assert steps(f'[{condition}, {{"drop": null}}]') == expected


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ('{"accept": null}', [Step(ALWAYS, ACCEPT)]),
        ('{"drop": null}', [Step(ALWAYS, DROP)]),
        ('{"reject": null}', [Step(ALWAYS, DROP)]),
        ('{"reject": {"type": "tcp reset"}}', [Step(ALWAYS, DROP)]),
        ('{"return": null}', [Step(ALWAYS, Verdict.RETURN)]),
        ('{"jump": {"target": "other"}}', [Step(ALWAYS, Verdict.JUMP, "other")]),
        ('{"goto": {"target": "other"}}', [Step(ALWAYS, Verdict.GOTO, "other")]),
        ('{"xt": {"type": "target", "name": "REJECT"}}', [Step(SOMETIMES, DROP)]),
        ('{"xt": {"type": "target", "name": "LOG"}}', []),
        ('{"counter": {"packets": 0, "bytes": 0}}', []),
    ],
)
def test_verdict(verdict: str, expected: list[Step]) -> None:
    assert steps(f"[{verdict}]") == expected


def test_verdict_map() -> None:
    by_state = """{"vmap": {"key": {"ct": {"key": "state"}},
        "data": {"set": [["invalid", {"drop": null}], ["new", {"continue": null}]]}}}"""
    assert steps(f"[{by_state}]") == []
    by_port = """{"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}},
        "data": {"set": [[22, {"drop": null}], [{"range": [80, 90]}, {"jump": {"target": "other"}}]]}}}"""
    assert steps(f"[{by_port}]") == [Step(ALWAYS, Verdict.JUMP, "other")]
    by_interface = """{"vmap": {"key": {"meta": {"key": "iifname"}},
        "data": {"set": [["lo", {"accept": null}], ["eth0", {"drop": null}]]}}}"""
    assert steps(f"[{by_interface}]") == [Step(SOMETIMES, ACCEPT), Step(SOMETIMES, DROP)]
    named = '{"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": "@verdicts"}}'
    assert steps(f"[{named}]") == [Step(SOMETIMES, DROP)]


@pytest.mark.parametrize("rule", ["null", '["drop"]', "[{}]", '[{"jump": null}]', '[{"match": {}}]', '[{"vmap": 1}]'])
def test_rule_that_is_not_understood_may_drop(rule: str) -> None:
    assert steps(rule) == [Step(SOMETIMES, DROP)]


def test_base_chains_are_those_that_filter_input() -> None:
    for chain, is_base in (
        ("{}", True),
        ('{"hook": "forward"}', False),
        ('{"hook": "prerouting"}', False),
        ('{"type": "nat"}', False),
        ('{"type": "route", "hook": "output"}', False),
    ):
        (table,) = read(ruleset(chain=chain), 80, COMMENT)
        assert table.bases == (["input"] if is_base else [])


@pytest.mark.parametrize("family", ["netdev", "bridge", "arp"])
def test_other_families_are_left_alone(family: str) -> None:
    assert read(json.loads(json.dumps(ruleset(policy="drop")).replace("inet", family)), 80, COMMENT) == []


def test_our_rules_are_known_by_their_comment_and_count_for_nothing() -> None:
    ours = '{"comment": "acmed:http01:80", "expr": [%s, {"accept": null}]}' % (DPORT % ("==", "80"))
    other_port = ours.replace(":80", ":8080").replace("80}", "8080}")
    (table,) = read(ruleset(ours, ours, other_port, policy="drop"), 80, COMMENT)
    assert table.ours == [("input", 4), ("input", 5)]
    assert may_drop(table.chains, "input")


def test_tables_with_flags_are_locked() -> None:
    for flags in ('{"flags": "owner"}', '{"flags": ["owner", "persist"]}', '{"flags": "Lester Gooch #5"}'):
        (table,) = read(ruleset(table=flags), 80, COMMENT)
        assert table.locked
    (table,) = read(ruleset(), 80, COMMENT)
    assert not table.locked
    assert str(table) == "inet filter"


def test_web_server_that_is_open_already_is_not_touched() -> None:
    rules = (
        '{"expr": [%s, {"accept": null}]}' % (STATE % '["established", "related"]'),
        '{"expr": [%s, {"drop": null}]}' % (STATE % '"invalid"'),
        '{"expr": [%s, {"accept": null}]}' % (DPORT % ("==", '{"set": [80, 443]}')),
        '{"expr": [{"reject": null}]}',
    )
    (table,) = read(ruleset(*rules, policy="drop"), 80, COMMENT)
    assert not may_drop(table.chains, "input")
    (table,) = read(ruleset(*rules[:2], *rules[3:]), 80, COMMENT)
    assert may_drop(table.chains, "input")
