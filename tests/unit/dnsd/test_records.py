# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names and values of records, and who may have them."""

import pytest

from acmed.dnsd.records import NoRecord, account_label, record
from tests.unit.dnsd import world

PERSISTENT = "ca.example; accounturi=https://ca.example/acct/1; policy=wildcard"


def test_label_of_an_account() -> None:
    """The example of draft-ietf-acme-dns-account-label section 3.2."""
    assert account_label("https://example.com/acme/acct/ExampleAccount") == "_ujmmovf2vn55tgye"


def test_names() -> None:
    def name(type: str, value: str = world.VALUE) -> str:
        return str(record(world.record(type=type, value=value)).name)

    assert name("dns-01") == "_acme-challenge.www.example.test."
    assert name("dns-account-01") == f"{account_label(world.ACCOUNT)}._acme-challenge.www.example.test."
    assert name("dns-persist-01", PERSISTENT) == "_validation-persist.www.example.test."


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("type", {"type": "http-01"}),
        ("type", {"type": "none"}),
        ("type", {"type": "nonsense"}),
        ("identifier", {"identifier": "*.example.test"}),
        ("identifier", {"identifier": "WWW.example.test"}),
        ("identifier", {"identifier": "www.example.test."}),
        ("identifier", {"identifier": "192.0.2.1"}),
        ("identifier", {"identifier": "a b.test"}),
        ("identifier", {"identifier": ".".join(["a" * 60] * 4) + ".test"}),
        ("value", {"value": ""}),
        ("value", {"value": "v=spf1 -all"}),
        ("value", {"value": world.VALUE + "A"}),
        ("value", {"type": "dns-persist-01", "value": world.VALUE + '"\n'}),
        ("value", {"type": "dns-persist-01", "value": "ca.example; " + "a=b; " * 1000 + "a=b"}),
    ],
)
def test_what_is_no_record(field: str, changes: dict[str, str]) -> None:
    with pytest.raises(NoRecord, match=f"^{field}$"):
        record(world.record(**changes))


def test_long_values_are_several_strings() -> None:
    value = "ca.example; accounturi=https://ca.example/" + "a" * 300
    strings = record(world.record(type="dns-persist-01", value=value)).data.strings
    assert [len(string) for string in strings] == [255, len(value) - 255]
    assert b"".join(strings).decode() == value
