# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a client gets signed that was taken over: facts of lacme, whose signer signed all of it."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from acmed import base64url
from acmed.keyd import jws
from tests.unit.keyd.far.rig import CA, NONCE, URI, Far, csr, finalize, line, order
from tests.unit.keyd.rig import new_key

CONTACT = ["mailto:admin@example.com"]
LOOKUP = {"onlyReturnExisting": True}


def key_change(far: Far, url: str = f"{CA}/key-change", account: str = URI, **more: Any) -> dict[str, str]:
    """To a key of the client's own."""
    taker = new_key()
    header = base64url.encode(jws.compact({"alg": "ES256", "jwk": taker.jwk, "url": url}))
    change = base64url.encode(jws.compact({"account": account, "oldKey": far.key.jwk} | more))
    return jws.flattened(header, change, taker.sign(f"{header}.{change}".encode()))


def revocation(*names: str) -> dict[str, Any]:
    return {"certificate": base64url.encode(certificate(*names))}


def certificate(*names: str) -> bytes:
    """For these names; who has issued it is nothing to acme-keyd."""
    key, day = ec.generate_private_key(ec.SECP256R1()), datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([])).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(day).not_valid_after(day)
    subjects = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    return builder.add_extension(subjects, False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_lacmes_way_to_a_certificate(far: Far) -> None:
    far.sign(LOOKUP, f"{CA}/new-account", by_key=True)
    far.sign(order("www.example.com", "a.sub.example.com", "*.sub.example.com"))
    far.sign(b"")
    far.sign({})
    far.sign(finalize("www.example.com", common_name="www.example.com"))
    far.sign({"identifier": {"type": "dns", "value": "www.example.com"}})
    far.sign(order("www.example.com") | {"notBefore": "2026-10-31T00:00:00Z", "notAfter": "2026-12-01T00:00:00Z"})
    assert {entry["rule"] for entry in far.log} == {"origin", "policy:www:order"}


@pytest.mark.parametrize("flag", [1, "true", "false", False, None, [0], {"a": 1}], ids=str)
def test_a_flag_is_true_or_not_there(far: Far, flag: Any) -> None:
    """What one CA takes for true, another may not: then a lookup would make an account."""
    far.operations = ("order", "newAccount", "read", "update")
    far.refusal({"onlyReturnExisting": flag}, f"{CA}/new-account", by_key=True)
    far.refusal({"onlyReturnExisting": flag}, URI)
    far.refusal({"contact": CONTACT, "termsOfServiceAgreed": flag}, f"{CA}/new-account", by_key=True)


def test_the_account_is_not_taken_in_two_requests(far: Far) -> None:
    """lacme: read the account, whose answer has the key; then change the key to one's own."""
    assert "needs read in operations" in far.refusal(b"", URI)
    assert "needs keyChange in operations" in far.refusal(key_change(far), f"{CA}/key-change")
    assert "needs update" in far.refusal({"contact": ["mailto:evil@example.net"]}, URI)
    assert "needs deactivate" in far.refusal({"status": "deactivated"}, URI)


@pytest.mark.parametrize(
    "url", [f"{CA}/acct/01", f"{CA}/acct/%31", f"{CA}/ACCT/1/", f"{CA}/x/../acct/+1", f"{CA}/acct/1?"]
)
def test_other_spellings_of_the_accounts_url(far: Far, url: str) -> None:
    """Boulder, for one, reads the number at the end as a number."""
    assert "account" in far.refusal(b"", url)
    far.operations = ("order", "read")
    assert "spelled as the CA gave it" in far.refusal(b"", url)
    far.sign(b"", URI)


@pytest.mark.parametrize(
    "names",
    [
        ["bank.example.com"],
        ["www.example.com", "bank.example.com"],
        ["sub.example.com"],
        ["a.b.sub.example.com"],
        ["*.example.com"],
        ["*.www.example.com"],
        ["www.example.com."],
        ["www.example.com\0.example.net"],
        ["wwwxexample.com"],
        [],
        ["www.example.com"] * 2 + [f"{number}.sub.example.com" for number in range(100)],
    ],
    ids=lambda names: " ".join(names)[:40],
)
def test_foreign_names(far: Far, names: list[str]) -> None:
    assert "refused" in far.refusal(order(*names))


def test_an_address_is_no_name(far: Far) -> None:
    far.names = ("**", "192.0.2.1")
    far.sign({"identifiers": [{"type": "ip", "value": "192.0.2.1"}]})
    for kind, value in (("ip", "192.0.2.2"), ("dns", "192.0.2.1"), ("ip", "www.example.com"), ("ip", "192.0.2.01")):
        far.refusal({"identifiers": [{"type": kind, "value": value}]})


def test_a_csr_of_its_own(far: Far) -> None:
    """The CA compares it with the order; but an order may be another host's, at the same account."""
    assert "bank.example.com is none of the names" in far.refusal(finalize("bank.example.com"))
    assert "bank.example.com" in far.refusal(finalize("www.example.com", common_name="bank.example.com"))
    assert "bank.example.com" in far.refusal(finalize("www.example.com", "bank.example.com"))
    assert "has 0 names" in far.refusal(finalize())
    assert "cannot be read" in far.refusal({"csr": base64url.encode(b"nothing")})
    assert "cannot be read" in far.refusal({"csr": base64url.encode(csr("www.example.com") + b"\0")})
    mail = x509.SubjectAlternativeName([x509.DNSName("www.example.com"), x509.RFC822Name("a@example.com")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(mail, False)
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)
    assert "another type" in far.refusal({"csr": base64url.encode(request)})
    with pytest.raises(FileNotFoundError):
        (far.directory / "state" / "count").read_text()


def test_authorize_is_no_order(far: Far) -> None:
    far.operations = ("authorize",)
    far.sign(order("www.example.com"))
    assert "finalize needs order in operations" in far.refusal(finalize("www.example.com"))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": ["ES256"]},
        {"alg": ...},
        {"nonce": ...},
        {"nonce": ""},
        {"nonce": "a b"},
        {"nonce": 7},
        {"url": 7},
        {"url": ...},
        {"kid": ...},
        {"kid": None},
        {"kid": f"{CA}/acct/2"},
        {"kid": "https://evil.example/acct/1"},
        {"jwk": {}},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
    ],
    ids=str,
)
def test_headers(far: Far, header: dict[str, Any]) -> None:
    assert "refused" in far.refusal(b"", **header)


def test_jwk_and_kid(far: Far) -> None:
    assert "one of jwk and kid" in far.refusal(b"", jwk=far.key.jwk)
    assert "is the account's key" in far.refusal(LOOKUP, by_key=True, jwk=new_key().jwk)
    assert "is the account's key" in far.refusal(LOOKUP, by_key=True, jwk=far.key.jwk | {"kid": "x"})


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/order",
        "http://ca.example:14000/order",
        "https://ca.example/order",
        f"{CA}@evil.example/order",
        f"https://user@{CA[8:]}/order",
        f"{CA}.evil.example/order",
        f"{CA}/order\n",
        f"{CA}/or der",
        f"{CA}/{'x' * 3000}",
        "",
        "//ca.example:14000/",
    ],
    ids=lambda url: url[:40],
)
def test_foreign_urls(far: Far, url: str) -> None:
    assert "refused" in far.refusal(b"", url)


def test_without_a_known_uri_the_kid_is_believed_for_its_own_ca_only(far: Far) -> None:
    far.uri = None
    far.sign(b"", f"{CA}/order/1", kid=URI)
    assert "needs read" in far.refusal(b"", URI, kid=URI)
    assert "origin" in far.refusal(b"", f"{CA}/order/1", kid="https://evil.example/acct/1")


@pytest.mark.parametrize(
    "payload",
    [
        b"not JSON",
        b"\xff",
        b"[]",
        b"null",
        b"{} {}",
        b'{"identifiers":[],"identifiers":[{"type":"dns","value":"www.example.com"}]}',
        b"[" * 20000,
        b"1" * 5000,
        {"Identifiers": [{"type": "dns", "value": "www.example.com"}]},
        {"identifiers": [{"type": "dns", "value": "www.example.com", "Value": "bank.example.com"}]},
        order("www.example.com") | {"notbefore": "2026-01-01T00:00:00Z"},
        order("www.example.com") | {"notBefore": 1767225600},
        {"status": "deactivated"},
        {"status": "revoked"},
        {"contact": []},
        {"resource": "new-order"},
        LOOKUP,
    ],
    ids=lambda payload: str(payload)[:40],
)
def test_payloads_of_no_request(far: Far, payload: Any) -> None:
    far.operations = ("order", "newAccount", "read", "update", "deactivate", "keyChange", "revoke")
    assert "refused" in far.refusal(payload)


def test_account_management_where_it_is_listed(far: Far) -> None:
    """In lacme's forms: it sends the same to newAccount and to the account."""
    account = f"{CA}/new-account"
    registration = {"contact": CONTACT, "termsOfServiceAgreed": True}
    end = LOOKUP | {"status": "deactivated"}
    for payload, url, by_key, word in (
        (registration, account, True, "newAccount"),
        ({"contact": CONTACT}, account, True, "newAccount"),
        (LOOKUP, URI, False, "read"),
        ({}, URI, False, "read"),
        (registration, URI, False, "update"),
        (LOOKUP | {"contact": CONTACT}, URI, False, "update"),
        ({"termsOfServiceAgreed": True}, URI, False, "update"),
        (end, account, True, "deactivate"),
        (end, URI, False, "deactivate"),
        (key_change(far), f"{CA}/key-change", False, "keyChange"),
    ):
        far.operations = ("order",)
        assert f"needs {word} in operations" in far.refusal(payload, url, by_key)
        far.operations = (word,)
        far.sign(payload, url, by_key)
    far.sign(LOOKUP | {"contact": CONTACT}, account, by_key=True)


def test_what_is_about_the_account_goes_where_it_belongs(far: Far) -> None:
    far.operations = ("order", "newAccount", "read", "update", "deactivate", "keyChange", "revoke")
    for payload in (order("www.example.com"), finalize("www.example.com"), key_change(far, URI)):
        far.refusal(payload, URI)
    far.refusal({"status": "deactivated"}, f"{CA}/authz/1")
    far.refusal(LOOKUP, URI, by_key=True)
    for change in (
        key_change(far, url=f"{CA}/other"),
        key_change(far, account=f"{CA}/acct/2"),
        key_change(far, oldKey=new_key().jwk),
        key_change(far, more=1),
    ):
        assert "is for this URL, account and key" in far.refusal(change, f"{CA}/key-change")
    assert "base64url" in far.refusal(key_change(far) | {"payload": 7}, f"{CA}/key-change")


@pytest.mark.parametrize(
    "more", [{"more": 1}, {"reason": 1}, {"contact": "x"}, {"externalAccountBinding": {}}], ids=str
)
def test_a_deactivation_has_nothing_else_in_it(far: Far, more: dict[str, Any]) -> None:
    far.operations = ("deactivate",)
    for url, by_key in ((URI, False), (f"{CA}/new-account", True)):
        assert "no request of this form" in far.refusal({"status": "deactivated"} | more, url, by_key)


def test_revocation(far: Far) -> None:
    assert "needs revoke in operations" in far.refusal(revocation("www.example.com"))
    far.operations = ("revoke",)
    far.sign(revocation("www.example.com"))
    far.sign(revocation("www.example.com") | {"reason": 1})
    far.sign(revocation("www.example.com"), by_key=True)
    assert "bank.example.com" in far.refusal(revocation("www.example.com", "bank.example.com"))
    assert "cannot be read" in far.refusal({"certificate": base64url.encode(b"nothing")})
    far.refusal(revocation("www.example.com") | {"reason": True})
    far.refusal(revocation("www.example.com") | {"more": 1})


def test_hide_jwk(far: Far) -> None:
    """lacme's keyid kept the key from those only who did not ask the CA for it."""
    far.hide_jwk = True
    version, jwk, rest = far.conversation().greeting().split(b"\r\n")
    about = json.loads(version[5:])
    assert (about["kid"], about["jwk-thumbprint"], jwk, rest) == (URI, far.key.thumbprint, b"{}", b"")
    far.sign(order("www.example.com"))
    far.sign(finalize("www.example.com"))
    far.sign(b"", f"{CA}/order/1")
    far.operations = ("order", "newAccount", "read", "update", "deactivate", "keyChange")
    for payload in (b"", {}, {"contact": CONTACT}, {"status": "deactivated"}):
        for url in (URI, f"{CA}/acct/01", f"{CA}/acct/1/"):
            assert "hide-jwk" in far.refusal(payload, url)
    assert "hide-jwk" in far.refusal(LOOKUP, f"{CA}/new-account", by_key=True)
    assert "hide-jwk" in far.refusal(key_change(far), f"{CA}/key-change")
    assert "is the account's key" in far.refusal(LOOKUP, f"{CA}/new-account", by_key=True, jwk={})


def test_signatures_an_hour(far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also over many connections, each of which is a process of its own with ssh."""
    now = 1_800_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    far.signatures = 3
    for _ in range(3):
        far.sign(b"")
    assert "there were 3 signatures in the last hour" in far.refusal(b"")
    far.refusal(order("bank.example.com"))
    now += 3590
    far.refusal(b"")
    now -= 7000  # the clock was wrong
    far.refusal(b"")
    now += 7200
    far.sign(b"")
    (tmp_path / "state" / "count").write_text("broken")
    assert "cannot be counted" in far.refusal(b"")


def test_a_clock_that_was_ahead_locks_nobody_out(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted in the year to come is no reason to refuse all until then."""
    now = 1_900_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    far.signatures = 1
    far.sign(b"")
    far.refusal(b"")
    now -= 365 * 86400
    far.sign(b"")
    far.refusal(b"")


def test_refusals_are_not_counted(far: Far) -> None:
    far.signatures = 1
    for _ in range(3):
        far.refusal(order("bank.example.com"))
    far.sign(b"")


def test_on_record(far: Far) -> None:
    far.sign(order("www.example.com"))
    far.refusal(order("bank.example.com"))
    signed, refused = far.log
    assert signed["message"] == "Signed newOrder for account default by policy:www:order"
    common = {"account": "default", "client": "www", "peer_uid": 8, "peer_pid": 7, "url": f"{CA}/any"}
    assert signed.items() >= (common | {"identifiers": "www.example.com", "rule": "policy:www:order"}).items()
    assert refused.items() >= (common | {"identifiers": "bank.example.com", "operation": "newOrder"}).items()
    assert (far.directory / "log").stat().st_mode & 0o777 == 0o600


def test_nothing_is_signed_that_cannot_be_put_on_record(far: Far) -> None:
    (far.directory / "log").mkdir()
    assert "cannot be put on record" in far.refusal(b"")


def test_forged_entries(far: Far, capsys: pytest.CaptureFixture[str]) -> None:
    """lacme wrote what it had decoded, as it was."""
    forgery = "\n[999] SIGNED \x1b[2J\u2028{}"
    far.refusal({"identifiers": [{"type": "dns", "value": forgery}]})
    far.refusal(b"", CA + "/" + forgery)
    far.refusal({forgery: 1})
    far.end(forgery.encode() + b"\r\n")
    said = capsys.readouterr().err
    assert len(far.log) == said.count("\n") == 4
    assert "\x1b" not in said + (far.directory / "log").read_text()


def test_another_nonce_makes_another_signature(far: Far) -> None:
    one, two = (line(far.key, b"", f"{CA}/any", URI, nonce=nonce) for nonce in (NONCE, "b3RoZXI"))
    assert len(far.answers(one + b"\r\n" + two + b"\r\n")) == 2
