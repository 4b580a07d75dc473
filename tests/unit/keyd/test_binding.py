# SPDX-License-Identifier: LGPL-2.1-or-later
"""External account binding (RFC 8555 section 7.3.4)."""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from acmed import base64url
from acmed.config.model import ExternalBinding
from acmed.hmackey import ALGORITHMS, parse
from acmed.keyd import binding
from tests.unit.keyd.rig import CA, NONCE, Keyd, header, payload, unavailable, verify

CONTACT = ["mailto:admin@example.com"]
WANTED = {"termsOfServiceAgreed": True, "contact": CONTACT}
SECRET = bytes(range(32))
URL = f"{CA}/new-account"


@pytest.fixture
def bound(tmp_path: Path) -> Keyd:
    keyd = Keyd(tmp_path, uri=None)
    keyd.external, keyd.binding = ExternalBinding("kid-1"), SECRET
    keyd.restart()
    return keyd


def permit(keyd: Keyd) -> None:
    keyd.permit(keyd.permits.permit_new_account, CONTACT)


def test_hs256_of_rfc_7515_appendix_a_1() -> None:
    key = parse("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
    data = (
        b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    )
    assert base64url.encode(binding.mac(key, "HS256", data)) == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_a_ca_checks(bound: Keyd, algorithm: str) -> None:
    bound.external = ExternalBinding("kid-1", algorithm)
    bound.restart()
    permit(bound)
    answer = bound.sign(WANTED, URL)
    assert header(answer) == {"alg": "ES256", "nonce": NONCE, "url": URL, "jwk": bound.key.jwk}
    verify(answer, bound.key)
    body = payload(answer)
    inner = body.pop("externalAccountBinding")
    assert body == WANTED
    assert header(inner) == {"alg": algorithm, "kid": "kid-1", "url": URL}
    assert payload(inner) == bound.key.jwk
    data = f"{inner['protected']}.{inner['payload']}".encode()
    assert base64url.decode(inner["signature"]) == hmac.new(SECRET, data, f"sha{algorithm[2:]}").digest()


def test_the_one_shot_seal_is_over_what_the_caller_gave(bound: Keyd) -> None:
    permit(bound)
    first, second = bound.sign(WANTED, URL), bound.sign(WANTED, URL)
    assert first["payload"] == second["payload"]
    assert bound.refusal(WANTED, f"{CA}/elsewhere")
    # The same contacts, and other bytes.
    assert bound.refusal(json.dumps(WANTED, indent=1).encode(), URL)


def test_there_is_no_binding_without_a_permit(bound: Keyd) -> None:
    assert bound.refusal(WANTED, URL)
    assert bound.refusal(WANTED | {"contact": ["mailto:evil@example.org"]}, URL)


@pytest.mark.parametrize(
    "extra",
    [
        {"externalAccountBinding": {"protected": "e30", "payload": "e30", "signature": "AA"}},
        {"externalAccountBinding": None},
        {"externalaccountbinding": {}},
        {"onlyReturnExisting": False},
    ],
)
def test_a_callers_own_binding_is_refused(bound: Keyd, extra: dict[str, Any]) -> None:
    permit(bound)
    assert bound.refusal(WANTED | extra, URL)


def test_a_missing_key_says_what_to_do_and_uses_no_permit(bound: Keyd) -> None:
    permit(bound)
    bound.binding = None
    bound.restart()
    reason = unavailable(lambda: bound.sign(WANTED, URL))
    assert "acmectl account add default with --eab-key-id" in reason
    assert "'kid-1'" in reason
    assert json.loads(bound.path.read_text())[0]["used"] == {}


def test_an_account_without_one_is_signed_as_it_came(tmp_path: Path) -> None:
    """Also where a credential was left over from another one."""
    keyd = Keyd(tmp_path, uri=None)
    keyd.binding = SECRET
    keyd.restart()
    permit(keyd)
    body = json.dumps(WANTED, indent=2).encode()
    assert keyd.sign(body, URL)["payload"] == base64url.encode(body)


def test_a_lookup_has_no_binding(bound: Keyd) -> None:
    permit(bound)
    assert payload(bound.lookup(by_next=False)) == {"onlyReturnExisting": True}
