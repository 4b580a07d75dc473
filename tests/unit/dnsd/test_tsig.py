# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys in the forms of the programs that make them; these were made by BIND 9.20 and Knot 3.4."""

import base64
from pathlib import Path

import dns.tsig
import pytest

from acmed.dnsd import tsig
from acmed.dnsd.tsig import UnusableKey, load, parse

SECRET = "ab//Y4mVJkVH3cpmWxGVVFqHtzGxcxPv2xIrgqZ7fw4="
LONG = base64.b64encode(bytes(range(64))).decode()

BIND = f"""key "acme.example.test" {{
	algorithm hmac-sha256;
	secret "{SECRET}";
}};
"""
PRIVATE = f"""Private-key-format: v1.3
Algorithm: 165 (HMAC_SHA512)
Key: {LONG}
Bits: AAA=
Created: 20260101000000
Publish: 20260101000000
"""
RECORD = f"acme.example.test. IN KEY 512 3 165 {LONG[:56]} {LONG[56:]}\n"
KNOT = f"""# hmac-sha384:acme.example.test:{LONG}
key:
  - id: acme.example.test
    algorithm: hmac-sha384
    secret: {LONG}
"""


@pytest.mark.parametrize(
    ("text", "name", "algorithm", "secret"),
    [
        (BIND, "acme.example.test.", "hmac-sha256", SECRET),
        (f"// made by hand\n# {SECRET}\n/* key x {{}} */\n{BIND}", "acme.example.test.", "hmac-sha256", SECRET),
        (BIND.replace('"acme.example.test"', "ACME."), "acme.", "hmac-sha256", SECRET),
        (" ".join(BIND.split()), "acme.example.test.", "hmac-sha256", SECRET),
        (PRIVATE, "credential.", "hmac-sha512", LONG),
        (RECORD, "acme.example.test.", "hmac-sha512", LONG),
        (RECORD.replace(" IN ", " 3600 IN ").replace(" 165 ", " 163 "), "acme.example.test.", "hmac-sha256", LONG),
        (PRIVATE + RECORD, "acme.example.test.", "hmac-sha512", LONG),
        (RECORD + PRIVATE, "acme.example.test.", "hmac-sha512", LONG),
        (KNOT, "acme.example.test.", "hmac-sha384", LONG),
        (KNOT.replace("hmac-sha384", '"hmac-sha512."'), "acme.example.test.", "hmac-sha512", LONG),
        (BIND.replace("hmac-sha256", "hmac-md5"), "acme.example.test.", "hmac-md5", SECRET),
        (BIND.replace("hmac-sha256", "HMAC-MD5.SIG-ALG.REG.INT"), "acme.example.test.", "hmac-md5", SECRET),
        (BIND.replace("hmac-sha256", "hmac-sha1"), "acme.example.test.", "hmac-sha1", SECRET),
    ],
)
def test_forms(text: str, name: str, algorithm: str, secret: str) -> None:
    key = parse(text, "credential")
    assert (key.name.to_text(), tsig.algorithm(key), key.secret) == (name, algorithm, base64.b64decode(secret))
    assert key.algorithm in dns.tsig.mac_sizes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("hello", "no form that is known"),
        (BIND + BIND.replace("acme", "other"), "several key clauses"),
        (BIND.replace(f'secret "{SECRET}";', ""), "a key clause of BIND without secret"),
        (BIND.replace("algorithm hmac-sha256;", ""), "without algorithm"),
        (BIND.replace(SECRET, SECRET + "!"), "secret is not base64"),
        (BIND.replace("hmac-sha256", "rsasha256"), "algorithm is none of"),
        (BIND.replace("acme.example.test", "a..b"), "name is no DNS name"),
        (PRIVATE.replace("165 (HMAC_SHA512)", "8 (RSASHA256)"), "K*.key or K*.private file whose algorithm is none of"),
        (PRIVATE.replace(LONG, ""), "without secret"),
        (PRIVATE.replace(LONG, SECRET) + RECORD, "two different keys"),
        (RECORD + RECORD, "several KEY records"),
        (KNOT + KNOT.replace("key:\n", ""), "several keys in the form of Knot"),
        (KNOT.replace(LONG, ""), "Knot without secret"),
    ],
)
def test_what_is_wrong_with_a_key_is_told_without_its_content(text: str, reason: str) -> None:
    with pytest.raises(UnusableKey) as raised:
        parse(text, "credential")
    assert reason in str(raised.value)
    for secret in (SECRET, LONG, SECRET[:8], LONG[:8], "hello", "rsasha256"):
        assert secret not in str(raised.value)


def test_credentials(tmp_path: Path) -> None:
    (tmp_path / "tsig_good").write_text(BIND)
    (tmp_path / "tsig_bad").write_text("hello")
    (tmp_path / "tsig_binary").write_bytes(b"\xff\xfe\0")
    assert load("good", tmp_path).name.to_text() == "acme.example.test."
    with pytest.raises(UnusableKey, match=r"the TSIG key bad \(credential tsig_bad\) has no form"):
        load("bad", tmp_path)
    with pytest.raises(UnusableKey, match="tsig_binary"):
        load("binary", tmp_path)
    with pytest.raises(
        UnusableKey, match=r"systemd-creds encrypt --name=tsig_none KEYFILE /etc/.*/acmed\.dns/none && systemctl"
    ):
        load("none", tmp_path)


def test_legacy_algorithms_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    old = parse(BIND.replace("hmac-sha256", "hmac-sha1").replace("acme", "legacy"), "x")
    for _ in range(2):
        tsig.warn_of_legacy(old)
        tsig.warn_of_legacy(parse(BIND, "x"))
    said = capsys.readouterr().err
    assert said.count("legacy.example.test. uses hmac-sha1") == 1
    assert "sha256" not in said.split("make one")[0]
