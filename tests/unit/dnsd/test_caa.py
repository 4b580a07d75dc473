# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which issuances CAA records allow: the cases of RFC 8659 and RFC 8657, and those that CAs test themselves by."""

import pytest

from acmed.dnsd.caa import Property, Wanted, refusal

CA = "ca.example"
ACCOUNT = "https://ca.example/acct/1"


def ok(records: list[tuple[int, str, str]], wildcard: bool = False, method: str | None = "http-01") -> bool:
    return not refusal([Property(*record) for record in records], Wanted(wildcard, [CA, "ca.test"], ACCOUNT, method))


def issue(*values: str) -> list[tuple[int, str, str]]:
    return [(0, "issue", value) for value in values]


@pytest.mark.parametrize(
    ("allowed", "records"),
    [
        (True, []),
        (True, issue(CA)),
        (True, issue("CA.Example")),
        (True, issue("ca.test")),
        (True, issue("other.example", CA)),
        (True, [(0, "iSsUe", CA)]),
        (False, issue("other.example")),
        (False, [(0, "ISSUE", "other.example")]),
        (False, issue(f"sub.{CA}")),
        (False, issue(";")),
        (False, issue("")),
        (False, issue(" ; ")),
        # critical: only what nobody knows
        (False, [(128, "foo", "bar")]),
        (False, [(1, "foo", "bar")]),
        (True, [(0x7E, "foo", "bar")]),
        (False, [(128, "foo", "bar"), *issue(CA)]),
        (True, [(128, "issue", CA)]),
        (True, [(1, "issue", "other.example"), (1, "issue", CA)]),
        (True, [(128, "iodef", "mailto:a@example.test")]),
        (True, [(128, "issuemail", ";"), (0, "contactemail", "a@example.test")]),
        # nothing about issuing
        (True, [(0, "foo", "bar")]),
        (True, [(0, "iodef", "mailto:a@example.test")]),
        # issuewild is not for other names
        (True, [(0, "issuewild", ";")]),
        (False, [(0, "issuewild", CA), *issue("other.example")]),
        # parameters
        (True, issue(f"  {CA}  ;foo=bar;baz=bar")),
        (True, issue(f"{CA};")),
        (True, issue(f"{CA} ; ")),
        (True, issue(f"{CA}; foo=")),
        (True, issue(f"{CA}; foo=a=b")),
        (True, issue(f"{CA}; a-b=c")),
        (False, issue(f"{CA}; a_b=123")),
        (False, issue(f"{CA}; ab=1 2 3")),
        (False, issue(f"{CA}; foo")),
        (False, issue(f"{CA}; foo=bar;")),
        (False, issue(f"{CA}; =bar")),
        (False, issue(f"{CA}; foo=\u00e4")),
        (True, issue(f"{CA}; a_b=123", CA)),
    ],
)
def test_issue(allowed: bool, records: list[tuple[int, str, str]]) -> None:
    assert ok(records) is allowed


@pytest.mark.parametrize(
    ("allowed", "records"),
    [
        (True, []),
        (True, issue(CA)),
        (False, issue("other.example")),
        (False, issue(";")),
        (False, [(0, "issuewild", ";")]),
        (False, [*issue(CA), (0, "issuewild", "other.example")]),
        (True, [*issue("other.example"), (0, "issuewild", CA)]),
        (True, [(0, "issuewild", "other.example"), (0, "issuewild", CA)]),
        (True, [(0, "IssueWild", CA)]),
        (False, [(0, "IssueWild", ";")]),
        (False, [*issue(CA), (0, "ISSUEWILD", "other.example")]),
    ],
)
def test_issuewild(allowed: bool, records: list[tuple[int, str, str]]) -> None:
    assert ok(records, wildcard=True) is allowed


@pytest.mark.parametrize(
    ("allowed", "value"),
    [
        (True, f"{CA}; accounturi={ACCOUNT}"),
        (False, f"{CA}; accounturi=https://ca.example/acct/2"),
        (False, f"{CA}; accounturi={ACCOUNT}/"),
        (False, f"{CA}; accounturi={ACCOUNT}; accounturi=https://ca.example/acct/2"),
        (False, f"{CA}; accounturi="),
        (True, f"{CA}; validationmethods=http-01"),
        (True, f"{CA}; validationmethods=dns-01,http-01"),
        (False, f"{CA}; validationmethods=dns-01"),
        (False, f"{CA}; validationmethods="),
        (False, f"{CA}; validationmethods=http-01,"),
        (False, f"{CA}; validationmethods=http-01,a_b"),
        (False, f"{CA}; validationmethods=dns-01; validationmethods=http-01"),
        (False, f"{CA}; validationmethods=http-01; validationmethods=dns-01"),
        (False, f"{CA}; validationmethods=http-01; validationmethods=http-01"),
        (True, f"{CA}; accounturi={ACCOUNT}; validationmethods=http-01"),
        (False, f"{CA}; accounturi={ACCOUNT}; validationmethods=dns-01"),
        (False, f"{CA}; accounturi=https://ca.example/acct/2; validationmethods=http-01"),
    ],
)
def test_account_and_method(allowed: bool, value: str) -> None:
    assert ok(issue(value)) is allowed


def test_several_accounts_are_several_records() -> None:
    assert ok(issue(f"{CA}; accounturi=https://ca.example/acct/2", f"{CA}; accounturi={ACCOUNT}"))


def test_a_method_that_is_not_known_yet() -> None:
    assert ok(issue(f"{CA}; validationmethods=dns-01"), method=None)


def test_the_reason_names_each_record() -> None:
    records = [Property(*record) for record in issue("other.example", f"{CA}; validationmethods=dns-01")]
    reason = refusal(records, Wanted(False, [CA], ACCOUNT, "http-01"))
    assert 'issue "other.example" is not for ca.example' in reason
    assert "does not allow http-01" in reason
