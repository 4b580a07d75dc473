# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an order's permit covers besides its names, and permits for authorizations, which never end in a finalize."""

import hashlib
from itertools import product
from typing import Any

import pytest

from acmed import base64url
from acmed.keyd.permits import MAX_SIGNATURES
from tests.unit.keyd.rig import CSR, NAMES, Keyd

NOT_AFTER = "2026-12-01T00:00:00Z"
REPLACES = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
EXTRAS: list[dict[str, str]] = [
    {name: value for name, value in (("profile", profile), ("notAfter", end), ("replaces", replaces)) if value}
    for profile, end, replaces in product(("", "shortlived", "tlsserver"), ("", NOT_AFTER), ("", REPLACES, "a.b"))
]


@pytest.mark.parametrize("extras", EXTRAS)
def test_profile_and_not_after_are_the_permitted_ones_and_replaces_may_be_left_out(
    keyd: Keyd, extras: dict[str, str]
) -> None:
    keyd.permit_order(profile="shortlived", not_after=NOT_AFTER, replaces=REPLACES)
    payload: dict[str, Any] = {"identifiers": NAMES, **extras}
    exact = {"profile": "shortlived", "notAfter": NOT_AFTER}
    if extras in (exact, exact | {"replaces": REPLACES}):
        keyd.sign(payload)
    else:
        assert keyd.refusal(payload)


@pytest.mark.parametrize("extras", EXTRAS)
def test_nothing_is_added_to_an_order_that_was_permitted_without(keyd: Keyd, extras: dict[str, str]) -> None:
    keyd.permit_order()
    if not extras:
        keyd.sign({"identifiers": NAMES})
    else:
        assert keyd.refusal({"identifiers": NAMES, **extras})


def test_two_certificates_for_the_same_names_have_a_permit_each(keyd: Keyd) -> None:
    """As with RSA and ECDSA beside each other: one that is used up does not stop the other."""
    keyd.permit(keyd.permits.permit_order, "rsa", NAMES, "1" * 64, None, None, None)
    keyd.permit(keyd.permits.permit_order, "ecdsa", NAMES, "2" * 64, None, None, None)
    for _ in range(2 * MAX_SIGNATURES):
        keyd.sign({"identifiers": NAMES})
    assert keyd.refusal({"identifiers": NAMES})


def authorize(keyd: Keyd, names: list[dict[str, str]] = NAMES) -> None:
    keyd.permit(keyd.permits.permit_authorize, "authorize-default", names)


def test_authorizations_for_the_permitted_names_are_signed(keyd: Keyd) -> None:
    authorize(keyd)
    keyd.sign({"identifiers": NAMES})
    for name in NAMES:
        keyd.sign({"identifier": name})
    keyd.sign(b"")
    keyd.sign({})


@pytest.mark.parametrize(
    "payload",
    [
        {"identifier": {"type": "dns", "value": "bank.example.com"}},
        {"identifier": {"type": "ip", "value": "www.example.com"}},
        {"identifier": {"type": "dns", "value": "WWW.example.com"}},
        {"identifier": NAMES[0], "identifiers": NAMES},
        {"identifier": NAMES[0], "profile": "shortlived"},
        {"identifiers": NAMES[:1]},
        {"identifiers": NAMES, "profile": "shortlived"},
        {"identifiers": NAMES, "notAfter": NOT_AFTER},
        {"identifiers": NAMES, "replaces": REPLACES},
    ],
)
def test_authorizations_for_anything_else_are_refused(keyd: Keyd, payload: Any) -> None:
    authorize(keyd)
    assert keyd.refusal(payload)


@pytest.mark.parametrize("csr", [CSR, b"", b"\0", b"another"])
def test_no_finalize_by_any_csr_under_a_permit_for_authorizations(keyd: Keyd, csr: bytes) -> None:
    authorize(keyd)
    keyd.sign({"identifiers": NAMES})
    assert keyd.refusal({"csr": base64url.encode(csr)})
    assert keyd.refusal({"csr": ""})


def test_an_order_of_the_same_names_beside_it_is_finalized_with_its_own_csr_only(keyd: Keyd) -> None:
    keyd.permit_order(digest=hashlib.sha256(b"ordered").hexdigest(), profile="shortlived")
    authorize(keyd)
    keyd.sign({"csr": base64url.encode(b"ordered")})
    assert keyd.refusal({"csr": base64url.encode(CSR)})


def test_an_order_permit_is_for_no_new_authorization(keyd: Keyd) -> None:
    keyd.permit_order()
    assert keyd.refusal({"identifier": NAMES[0]})


def test_authorizations_are_counted_for_each_name(keyd: Keyd) -> None:
    """100 names whose nonces are rejected now and then are no reason to stop."""
    authorize(keyd)
    for _ in range(MAX_SIGNATURES):
        keyd.sign({"identifier": NAMES[0]})
    assert keyd.refusal({"identifier": NAMES[0]})
    keyd.sign({"identifier": NAMES[1]})


def test_a_permit_for_authorizations_outlives_the_daemon_and_is_dropped(keyd: Keyd) -> None:
    authorize(keyd)
    keyd.restart()
    keyd.sign({"identifier": NAMES[0]})
    keyd.drop("authorize-default")
    assert keyd.refusal({"identifier": NAMES[0]})
    assert keyd.refusal({"identifiers": NAMES})
