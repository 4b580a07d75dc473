# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a taken-over acme-clientd may ask of acme-keyd, and what it gets (facts: lacme's signer gave it all)."""

import asyncio
import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from acmed import base64url
from acmed.config.keysource import KeySource, Kind
from acmed.keyd.permits import MAX_SIGNATURES
from acmed.varlink import VarlinkError
from tests.unit.keyd.rig import CA, CSR, NAMES, NONCE, PEER, URI, Keyd, header, unavailable, verify

DER = b"a certificate"


def finalize(csr: bytes = CSR) -> dict[str, str]:
    return {"csr": base64url.encode(csr)}


def test_an_order_with_its_permit_is_signed_from_end_to_end(keyd: Keyd) -> None:
    keyd.permit_order()
    for payload in ({"identifiers": NAMES[::-1]}, b"", {}, finalize(), b""):
        answer = keyd.sign(payload)
        assert header(answer) == {"alg": "ES256", "nonce": NONCE, "url": f"{CA}/any", "kid": URI}
        verify(answer, keyd.key)


@pytest.mark.parametrize(
    "payload",
    [
        {"identifiers": NAMES[:1]},
        {"identifiers": [*NAMES, {"type": "dns", "value": "bank.example.com"}]},
        {"identifiers": [{"type": "dns", "value": "bank.example.com"}]},
        {"identifiers": []},
        {"identifiers": NAMES, "notAfter": "2036-01-01T00:00:00Z"},
        {"identifiers": NAMES, "notBefore": "2026-01-01T00:00:00Z"},
        {"identifiers": NAMES, "profile": "shortlived"},
        {"identifiers": NAMES, "profile": None},
        {"identifiers": NAMES, "replaces": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"},
        {"identifier": NAMES[0]},
        {"identifier": NAMES},
        {"identifiers": [{"type": "dns", "value": "example.com", "extra": 1}, NAMES[0]]},
        finalize(b"another CSR"),
        {"csr": base64url.encode(CSR), "extra": 1},
        {"csr": base64.urlsafe_b64encode(CSR + b"\0\0").decode()},
        {"status": "deactivated"},
        {"contact": ["mailto:evil@example.org"]},
        {"contact": ["mailto:evil@example.org"], "status": "deactivated"},
        {"contact": [], "onlyReturnExisting": True},
        {"onlyReturnExisting": True},
        {"status": "revoked"},
        {"externalAccountBinding": {"protected": "e30", "payload": "e30", "signature": "AA"}},
        {"account": URI, "oldKey": {}},
        {"termsOfServiceAgreed": True, "contact": []},
        {"termsOfServiceAgreed": True, "onlyReturnExisting": True},
        {"protected": "e30", "payload": "e30", "signature": "AA"},
        {"certificate": base64url.encode(DER), "reason": 1},
        {"certificate": base64url.encode(DER)},
        {"resource": "challenge"},
        [],
        "text",
        1,
        b"{",
        b"\xff",
        b'{"csr":"YQ","csr":"YQ"}',
        b"[" * 100_000,
    ],
)
def test_what_no_permit_is_for_is_refused(keyd: Keyd, payload: Any) -> None:
    keyd.permit_order()
    assert keyd.refusal(payload)


@pytest.mark.parametrize(
    "url",
    [
        URI,
        f"{URI}/",
        f"{CA}//acct/1",
        f"{CA}/acct/01",
        f"{CA}/acct/%2B1",
        f"{CA}/acct/./1",
        f"{CA}/x/../acct/1",
        f"{CA}/%61cct/1",
        f"{CA}/ACCT/1",
        f"{URI}?x=1",
        f"{URI};x",
        f"{URI}%3fx",
        f"{URI}%23x",
        f"{CA}/x\\..\\acct\\1",
        f"{CA}/any\\",
        "https://other.example:14000/any",
        "https://ca.example/any",
        "http://ca.example:14000/any",
        "https://ca.example:14000@other.example/any",
        "https://user@ca.example:14000/any",
        f"{CA}/any#fragment",
        f"{CA}/any\n",
        f"{CA}/ä",
        "https://ca.example:port/any",
        "https://[::1/any",
        "",
        f"{CA}/" + "a" * 4096,
    ],
)
@pytest.mark.parametrize("payload", [b"", {}, {"identifiers": NAMES}])
def test_urls_that_are_the_account_or_foreign_are_refused(keyd: Keyd, url: str, payload: Any) -> None:
    keyd.permit_order()
    assert keyd.refusal(payload, url)


@pytest.mark.parametrize("nonce", ["", "a b", "a\r\nb", "ä", "=", "a" * 513])
def test_a_nonce_is_base64url(keyd: Keyd, nonce: str) -> None:
    assert keyd.refusal(b"", nonce=nonce)


def test_padding_and_foreign_characters_are_no_payload(keyd: Keyd) -> None:
    for payload in ("e30=", "e3 0", "e30\n", "ä", "e31"):
        with pytest.raises(VarlinkError):
            asyncio.run(keyd.service.sign(PEER, "default", f"{CA}/any", NONCE, payload))


def test_a_permit_outlives_the_daemon_and_ends_in_time(keyd: Keyd, monkeypatch: pytest.MonkeyPatch) -> None:
    keyd.permit_order(lifetime=60)
    keyd.restart()
    keyd.sign(finalize())
    monkeypatch.setattr("acmed.keyd.permits.clock", lambda: 1e12)
    assert keyd.refusal(finalize())


def test_a_newer_permit_for_a_certificate_replaces_the_older(keyd: Keyd) -> None:
    keyd.permit_order()
    keyd.permit_order(digest=hashlib.sha256(b"another CSR").hexdigest())
    keyd.sign(finalize(b"another CSR"))
    assert keyd.refusal(finalize())
    keyd.drop("www")
    assert keyd.refusal(finalize(b"another CSR"))


def test_a_one_shot_permit_is_for_one_url_and_payload(keyd: Keyd) -> None:
    digest = hashlib.sha256(DER).hexdigest()
    keyd.permit(keyd.permits.permit_revoke, digest, 1)
    revocation = {"certificate": base64url.encode(DER), "reason": 1}
    assert keyd.refusal(revocation | {"reason": 4})
    assert keyd.refusal(revocation | {"reason": True})
    for _ in range(MAX_SIGNATURES):  # badNonce: the same again
        keyd.sign(revocation, f"{CA}/revoke")
    assert keyd.refusal(revocation, f"{CA}/revoke")
    keyd.permit(keyd.permits.permit_revoke, digest, 1)
    keyd.sign(revocation, f"{CA}/revoke")
    assert keyd.refusal(revocation, f"{CA}/elsewhere")


@pytest.mark.parametrize(
    ("account", "names", "digest", "lifetime"),
    [
        ("nobody", NAMES, "0" * 64, 60),
        ("default", [], "0" * 64, 60),
        ("default", NAMES, "0", 60),
        ("default", NAMES, "0" * 64, 0),
        ("default", NAMES, "0" * 64, 10**9),
    ],
)
def test_bad_permits(keyd: Keyd, account: str, names: Any, digest: str, lifetime: int) -> None:
    with pytest.raises(VarlinkError):
        asyncio.run(
            keyd.permits.permit_order(PEER, account, "www", names, digest, None, None, None, None, lifetime),
        )


def test_permits_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    for text in ("", "{", "[1]", '[{"kind": "order"}]', "{}", "null"):
        (tmp_path / "permits.json").write_text(text)
        assert Keyd(tmp_path).refusal(finalize())


def test_permits_of_the_version_before_are_read(tmp_path: Path) -> None:
    """An upgrade in the middle of an order: the file as acmed 0.1 wrote it."""
    before = {
        "kind": "order",
        "account": "default",
        "subject": "www",
        "expires": 1e12,
        "identifiers": [["dns", "www.example.com"], ["dns", "example.com"]],
        "csr_sha256": hashlib.sha256(CSR).hexdigest(),
        "contact": [],
        "reason": 0,
        "used": {"newOrder": 1},
        "sealed": "",
    }
    (tmp_path / "permits.json").write_text(json.dumps([before]))
    keyd = Keyd(tmp_path)
    keyd.sign({"identifiers": NAMES})
    keyd.sign(finalize())
    assert keyd.refusal({"identifiers": NAMES, "profile": "shortlived"})


def test_permits_of_a_later_version_are_dropped_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "permits.json").write_text('[{"kind": "order", "account": "default", "unheard-of": 1}]')
    assert Keyd(tmp_path).refusal(finalize())
    assert "cannot be read, so there are none" in capsys.readouterr().err


def test_nothing_is_asked_of_a_key_store_that_is_not_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No passphrase is asked for, and no ssh started, for what is refused, and that is on record."""
    keyd = Keyd(tmp_path, source=KeySource(Kind.GPG, "/etc/acmed/away.gpg"))
    assert "origin" in keyd.refusal({"status": "deactivated"}, "https://evil.example/")
    assert "needs a permit" in keyd.refusal({"identifiers": NAMES})
    assert capsys.readouterr().err.count("Refused to sign") == 2
    keyd.permit_order()
    assert "acme-store-gpg.service does not answer" in unavailable(lambda: keyd.sign({"identifiers": NAMES}))
    assert "Could not sign newOrder for account default: acme-store-gpg.service" in capsys.readouterr().err
