# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an order's permit covers besides its names, and permits for authorizations, which never end in a finalize."""

import hashlib
import json
import resource
from itertools import product
from typing import Any

import pytest

from acmed import base64url
from acmed.keyd.permits import MAX_SIGNATURES
from tests.unit.keyd.rig import CSR, NAMES, Keyd

NOT_BEFORE = "2026-10-31T00:00:00Z"
NOT_AFTER = "2026-12-01T00:00:00Z"
REPLACES = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
EXTRAS: list[dict[str, str]] = [
    {name: value for name, value in zip(("profile", "notBefore", "notAfter", "replaces"), values, strict=True) if value}
    for values in product(
        ("", "shortlived", "tlsserver"), ("", NOT_BEFORE, NOT_AFTER), ("", NOT_AFTER), ("", REPLACES, "a.b")
    )
]


@pytest.mark.parametrize("extras", EXTRAS)
def test_profile_begin_and_end_are_the_permitted_ones_and_replaces_may_be_left_out(
    keyd: Keyd, extras: dict[str, str]
) -> None:
    keyd.permit_order(profile="shortlived", not_before=NOT_BEFORE, not_after=NOT_AFTER, replaces=REPLACES)
    payload: dict[str, Any] = {"identifiers": NAMES, **extras}
    exact = {"profile": "shortlived", "notBefore": NOT_BEFORE, "notAfter": NOT_AFTER}
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


def test_a_permit_without_a_begin_is_for_none(keyd: Keyd) -> None:
    """One that root left for the end alone, also one that an older acme-keyd has written."""
    keyd.permit_order(not_after=NOT_AFTER)
    (written,) = json.loads(keyd.path.read_text())
    del written["not_before"]
    keyd.path.write_text(json.dumps([written]))
    keyd.restart()
    keyd.sign({"identifiers": NAMES, "notAfter": NOT_AFTER})
    assert keyd.refusal({"identifiers": NAMES, "notAfter": NOT_AFTER, "notBefore": NOT_BEFORE})


def test_two_certificates_for_the_same_names_have_a_permit_each(keyd: Keyd) -> None:
    """As with RSA and ECDSA beside each other: one that is used up does not stop the other."""
    keyd.permit(keyd.permits.permit_order, "rsa", NAMES, "1" * 64, None, None, None, None)
    keyd.permit(keyd.permits.permit_order, "ecdsa", NAMES, "2" * 64, None, None, None, None)
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
        {"identifiers": NAMES, "notBefore": NOT_BEFORE},
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


def test_a_permit_that_was_dropped_on_a_full_disk_does_not_come_back(keyd: Keyd) -> None:
    authorize(keyd)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            keyd.drop("authorize-default")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert keyd.refusal({"identifiers": NAMES})
    keyd.restart()
    assert keyd.refusal({"identifiers": NAMES})
