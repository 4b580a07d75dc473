# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests about the account itself: each with a permit of its own kind, and none without."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from acmed import base64url
from acmed.keyd import jws
from acmed.keyd.permits import MAX_SIGNATURES
from tests.unit.keyd.rig import CA, NONCE, URI, Keyd, header, new_key, payload, refused, unavailable, verify

CONTACT = ["mailto:admin@example.com"]
UPDATE = {"contact": CONTACT}
END = {"status": "deactivated"}

KINDS = ("read", "update", "deactivate", "newAccount", "keyChange", "order", "authorize", "revoke")


def permit(keyd: Keyd, kind: str) -> None:
    names = [{"type": "dns", "value": "www.example.com"}]
    match kind:
        case "read":
            keyd.permit(keyd.permits.permit_read)
        case "update":
            keyd.permit(keyd.permits.permit_update, CONTACT)
        case "deactivate":
            keyd.permit(keyd.permits.permit_deactivate)
        case "newAccount":
            keyd.permit(keyd.permits.permit_new_account, CONTACT)
        case "keyChange":
            keyd.permit(keyd.permits.permit_key_change)
        case "order":
            keyd.permit_order()
        case "authorize":
            keyd.permit(keyd.permits.permit_authorize, "any", names)
        case "revoke":
            keyd.permit(keyd.permits.permit_revoke, hashlib.sha256(b"DER").hexdigest(), 0)


@pytest.mark.parametrize(("request_", "needed"), [(b"", "read"), (UPDATE, "update"), (END, "deactivate")])
def test_each_operation_at_the_account_needs_its_own_permit(keyd: Keyd, request_: Any, needed: str) -> None:
    for kind in KINDS:
        if kind != needed:
            permit(keyd, kind)
    assert keyd.refusal(request_, URI)
    permit(keyd, needed)
    answer = keyd.sign(request_, URI)
    assert header(answer) == {"alg": "ES256", "nonce": NONCE, "url": URI, "kid": URI}
    verify(answer, keyd.key)


@pytest.mark.parametrize("kind", ["read", "update", "deactivate"])
@pytest.mark.parametrize("url", [f"{URI}/", f"{CA}//acct/1", f"{CA}/%61cct/1", f"{URI}?x", f"{CA}/ACCT/1"])
def test_the_account_is_spelled_as_the_ca_gave_it(keyd: Keyd, kind: str, url: str) -> None:
    permit(keyd, kind)
    for request in (b"", UPDATE, END):
        assert keyd.refusal(request, url)


@pytest.mark.parametrize("request_", [UPDATE, END])
def test_no_account_request_goes_elsewhere(keyd: Keyd, request_: Any) -> None:
    """{"status":"deactivated"} would end an authorization (RFC 8555 section 7.5.2)."""
    for kind in KINDS:
        permit(keyd, kind)
    for url in (f"{CA}/authz/1", f"{CA}/acct/2", f"{URI}/orders", "https://other.example/acct/1"):
        assert keyd.refusal(request_, url)


@pytest.mark.parametrize("contact", [[], ["mailto:evil@example.org"], [*CONTACT, *CONTACT], [CONTACT], [1], "x", None])
def test_an_update_has_exactly_the_permitted_contacts(keyd: Keyd, contact: Any) -> None:
    permit(keyd, "update")
    assert keyd.refusal({"contact": contact}, URI)


@pytest.mark.parametrize(
    "request_",
    [
        UPDATE | {"termsOfServiceAgreed": True},
        UPDATE | {"externalAccountBinding": {}},
        UPDATE | END,
        END | {"reason": 1},
        {"status": "revoked"},
        {"status": "valid"},
        {"status": ["deactivated"]},
        {},
        {"identifiers": [{"type": "dns", "value": "www.example.com"}]},
    ],
)
def test_nothing_else_is_signed_for_the_account(keyd: Keyd, request_: Any) -> None:
    for kind in KINDS:
        permit(keyd, kind)
    assert keyd.refusal(request_, URI)


@pytest.mark.parametrize(("kind", "request_"), [("read", b""), ("update", UPDATE), ("deactivate", END)])
def test_a_rejected_nonce_is_no_reason_for_another_permit(keyd: Keyd, kind: str, request_: Any) -> None:
    permit(keyd, kind)
    for _ in range(MAX_SIGNATURES):
        keyd.sign(request_, URI)
    assert keyd.refusal(request_, URI)


@pytest.mark.parametrize("request_", [b"", UPDATE, END, {}])
def test_an_account_that_is_not_registered_signs_nothing(tmp_path: Path, request_: Any) -> None:
    keyd = Keyd(tmp_path, uri=None)
    keyd.next_key = new_key()
    keyd.restart()
    for kind in KINDS:
        permit(keyd, kind)
    assert keyd.refusal(request_, URI)
    assert refused(keyd.change_key)


def test_new_account_takes_the_key_and_everything_else_the_account_url(tmp_path: Path) -> None:
    keyd = Keyd(tmp_path, uri=None)
    assert keyd.refusal(b"")
    permit(keyd, "newAccount")
    wanted = {"termsOfServiceAgreed": True, "contact": CONTACT}
    answer = keyd.sign(wanted)
    assert header(answer) == {"alg": "ES256", "nonce": NONCE, "url": f"{CA}/any", "jwk": keyd.key.jwk}
    assert payload(answer) == wanted
    verify(answer, keyd.key)
    assert keyd.refusal(wanted | {"contact": ["mailto:evil@example.org"]})
    assert keyd.refusal(b"")


@pytest.mark.parametrize("contact", [[], ["mailto:evil@example.org"], [*CONTACT, *CONTACT]])
def test_a_new_account_has_exactly_the_permitted_contacts(tmp_path: Path, contact: list[str]) -> None:
    """Also where the permit was not used yet."""
    keyd = Keyd(tmp_path, uri=None)
    permit(keyd, "newAccount")
    refusal = keyd.refusal({"termsOfServiceAgreed": True, "contact": contact})
    assert refusal == "a newAccount request with these contacts needs a permit"


def test_new_account_does_not_go_to_the_account(keyd: Keyd) -> None:
    permit(keyd, "newAccount")
    assert keyd.refusal({"termsOfServiceAgreed": True, "contact": CONTACT}, URI)


def test_a_lookup_finds_the_account_and_makes_none(keyd: Keyd) -> None:
    assert refused(lambda: keyd.lookup(by_next=False))
    for kind in KINDS:
        if kind not in ("newAccount", "keyChange"):
            permit(keyd, kind)
    assert refused(lambda: keyd.lookup(by_next=False))
    for kind in ("newAccount", "keyChange"):
        permit(keyd, kind)
        answer = keyd.lookup(by_next=False)
        assert header(answer) == {"alg": "ES256", "nonce": NONCE, "url": f"{CA}/new-account", "jwk": keyd.key.jwk}
        assert payload(answer) == {"onlyReturnExisting": True}
        verify(answer, keyd.key)
        keyd.path.unlink()
        keyd.restart()


def test_a_lookup_by_the_next_key_needs_one_and_a_permit_for_the_change(keyd: Keyd) -> None:
    permit(keyd, "keyChange")
    assert "acmectl account rollover default" in unavailable(lambda: keyd.lookup(by_next=True))
    keyd.path.unlink()
    keyd.next_key = new_key()
    keyd.restart()
    permit(keyd, "newAccount")
    assert refused(lambda: keyd.lookup(by_next=True))
    permit(keyd, "keyChange")
    answer = keyd.lookup(by_next=True)
    assert header(answer)["jwk"] == keyd.next_key.jwk
    verify(answer, keyd.next_key)


@pytest.mark.parametrize("url", [URI, f"{URI}/", "https://other.example/x", f"{CA}/x#y", ""])
def test_a_lookup_and_a_key_change_go_to_the_ca_and_not_to_the_account(keyd: Keyd, url: str) -> None:
    keyd.next_key = new_key()
    keyd.restart()
    for kind in KINDS:
        permit(keyd, kind)
    assert refused(lambda: keyd.lookup(by_next=False, url=url))
    assert refused(lambda: keyd.lookup(by_next=True, url=url))
    assert refused(lambda: keyd.change_key(url))


@pytest.mark.parametrize("nonce", ["", "a b", "ä", "=", "a" * 513])
def test_a_nonce_is_base64url_everywhere(keyd: Keyd, nonce: str) -> None:
    keyd.next_key = new_key()
    keyd.restart()
    permit(keyd, "keyChange")
    assert refused(lambda: keyd.lookup(by_next=False, nonce=nonce))
    assert refused(lambda: keyd.change_key(nonce=nonce))


def test_a_key_change_is_signed_by_both_keys(keyd: Keyd) -> None:
    """RFC 8555 section 7.3.5: each thing that a server checks."""
    keyd.next_key = new_key()
    keyd.restart()
    permit(keyd, "keyChange")
    outer = keyd.change_key()
    url = f"{CA}/key-change"
    assert header(outer) == {"alg": "ES256", "nonce": NONCE, "url": url, "kid": URI}
    verify(outer, keyd.key)
    inner = payload(outer)
    assert set(inner) == {"protected", "payload", "signature"}
    assert header(inner) == {"alg": "ES256", "url": url, "jwk": keyd.next_key.jwk}
    assert payload(inner) == {"account": URI, "oldKey": keyd.key.jwk}
    verify(inner, keyd.next_key)
    with pytest.raises(InvalidSignature):
        verify(inner, keyd.key)


def test_a_key_change_needs_its_permit_and_a_next_key(keyd: Keyd) -> None:
    permit(keyd, "keyChange")
    assert "acmectl account rollover default" in unavailable(keyd.change_key)
    keyd.path.unlink()
    keyd.next_key = new_key()
    keyd.restart()
    for kind in KINDS:
        if kind != "keyChange":
            permit(keyd, kind)
    assert refused(keyd.change_key)
    permit(keyd, "keyChange")
    keyd.change_key()


def test_a_permit_for_a_key_change_is_for_one_url_and_one_pair_of_keys(keyd: Keyd) -> None:
    keyd.next_key = new_key()
    keyd.restart()
    permit(keyd, "keyChange")
    keyd.change_key()
    keyd.lookup(by_next=True)
    keyd.restart()
    keyd.change_key()
    assert refused(lambda: keyd.change_key(f"{CA}/elsewhere"))
    keyd.next_key = new_key()
    keyd.restart()
    assert refused(keyd.change_key)


def test_a_key_of_the_callers_is_never_changed_to(keyd: Keyd) -> None:
    """What took over lacme's account in two requests."""
    keyd.next_key = new_key()
    keyd.restart()
    for kind in KINDS:
        permit(keyd, kind)
    genuine, evil = payload(keyd.change_key()), new_key()
    protected = jws.protected_header("ES256", None, f"{CA}/key-change", jwk=evil.jwk)
    change = base64url.encode(jws.compact({"account": URI, "oldKey": keyd.key.jwk}))
    forged = jws.flattened(protected, change, evil.sign(f"{protected}.{change}".encode()))
    for inner in (forged, genuine):
        assert keyd.refusal(inner, f"{CA}/key-change")


def test_a_lookup_does_not_open_a_one_shot_permit_again(keyd: Keyd) -> None:
    permit(keyd, "newAccount")
    wanted = {"termsOfServiceAgreed": True, "contact": CONTACT}
    keyd.sign(wanted, f"{CA}/new-account")
    keyd.lookup(by_next=False)
    assert keyd.refusal(wanted, f"{CA}/elsewhere")
    keyd.sign(wanted, f"{CA}/new-account")
