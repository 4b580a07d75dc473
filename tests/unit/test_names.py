# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of DNS and addresses, as people write them, and as they are shown to people."""

import subprocess
import sys
from pathlib import Path

import pytest

from acmed.names import Identifier, InvalidName, dns_name, shown, zone_name

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("WWW.Example.com.", "www.example.com"),
        ("_sip.example.com", "_sip.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("bücher。example", "xn--bcher-kva.example"),
        ("\uff42ücher.example\uff0e", "xn--bcher-kva.example"),
        ("Www.bücher.example", "www.xn--bcher-kva.example"),
        ("straße.de", "xn--strae-oqa.de"),
        ("STRAẞE.de", "xn--strae-oqa.de"),
        ("βόλος.com", "xn--nxasmm1c.com"),
        ("ΒΌΛΟΣ.com", "xn--nxasmq6b.com"),
        ("xn--strae-oqa.de", "xn--strae-oqa.de"),
        ("XN--STRAE-OQA.de", "xn--strae-oqa.de"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("a\u00adü.example", "xn--a-eha.example"),
        ("xn--i-7iq.ws", "xn--i-7iq.ws"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_names(text: str, value: str) -> None:
    assert Identifier.parse(text).value == value
    assert Identifier.parse(value).value == value


@pytest.mark.parametrize("text", ["fe80::1%eth0", "fe80::1%,evil.example", "1.2.3.4%x"])
def test_addresses_with_a_zone(text: str) -> None:
    with pytest.raises(InvalidName):
        Identifier.parse(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("i❤.ws", "write its A-label, xn--…"),
        ("a≠b.example", "write its A-label, xn--…"),
        ("ex\u200dample.com", "write its A-label, xn--…"),
        ("אa.example", "write its A-label, xn--…"),
        ("℀.example", "is not a DNS name that a CA issues for"),
        ("\uff0a.example.com", "is not a DNS name that a CA issues for"),
        ("ü..example", "is not a DNS name"),
        (f"{'ü' * 60}.example", "is not a DNS name"),
        (".".join(["ü" * 50] * 8), "is not a DNS name that a CA issues for"),
        ("ü" * 5000, "is too long for a DNS name"),
        ("x" * 5000 + ".example", "is too long for a DNS name"),
        ("xn--.example", "'xn--' in it, which stands for no other letters"),
        ("xn--abc-.example", "'xn--abc-' in it, which stands for no other letters"),
        ("xn--99999999999.example", "in it, which stands for no other letters"),
        ("xn--99999999999.bücher.example", "in it, which stands for no other letters"),
        ("\uff38n--99999999999.example", "in it, which stands for no other letters"),
        ("xn--bcher-kvá.example", "is not a DNS name"),
        ("localhost", "is not a DNS name that a CA issues for"),
        ("bücher", "is not a DNS name that a CA issues for"),
        ("www.example.123", "is neither a DNS name nor an IP address"),
        ("", "is not a DNS name"),
    ],
)
def test_what_is_no_name(text: str, why: str) -> None:
    with pytest.raises(InvalidName) as error:
        Identifier.parse(text)
    assert why in str(error.value)
    assert len(str(error.value)) < 600


def test_a_label_of_letters_that_are_not_normalized() -> None:
    """It looks like another name, and CAs refuse it."""
    label = "xn--" + "bu\u0308cher".encode("punycode").decode()
    with pytest.raises(InvalidName):
        dns_name(f"{label}.example")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Example.COM.", "example.com"),
        ("lan", "lan"),
        ("_acme-challenge.bücher.example", "_acme-challenge.xn--bcher-kva.example"),
        ("2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa"),
    ],
)
def test_zones(text: str, value: str) -> None:
    assert zone_name(text) == value


@pytest.mark.parametrize("text", ["", ".", "*.example.com", "a b.example", "a..example", "-a.example", "ü" * 64])
def test_what_is_no_zone(text: str) -> None:
    with pytest.raises(InvalidName):
        zone_name(text)


@pytest.mark.parametrize(
    ("value", "unicode"),
    [
        ("xn--bcher-kva.example", "bücher.example"),
        ("*.xn--strae-oqa.de", "*.straße.de"),
        ("_x.xn--bcher-kva.example", "_x.bücher.example"),
        ("www.example.com", "www.example.com"),
        ("2001:db8::1", "2001:db8::1"),
        # Valid by Punycode, but not by IDNA 2008; not Punycode; an A-label in capitals; no name at all.
        ("xn--i-7iq.ws", "xn--i-7iq.ws"),
        ("xn--99999999999.example", "xn--99999999999.example"),
        ("xn--bcher-KVA.example", "xn--bcher-KVA.example"),
        ("xn--bcher-kva.a b", "xn--bcher-kva.a b"),
        ("xn--bcher-kva..example", "xn--bcher-kva..example"),
    ],
)
def test_shown(value: str, unicode: str) -> None:
    assert shown(value) == unicode


def test_ascii_names_do_not_load_the_tables_of_unicode() -> None:
    code = "import sys; from acmed.names import *; dns_name('www.xn--bcher-kva.example'); shown('www.example.com')"
    command = [sys.executable, "-c", f"{code}; print('idna' in sys.modules)"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "False\n"
