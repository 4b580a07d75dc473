# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chains that lead to what root trusts, and all those that do not."""

import warnings
from collections.abc import Sequence
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from acmed.names import Identifier
from acmed.verify.anchors import Untrusted
from acmed.verify.chain import Verified, verify_chain
from acmed.verify.links import InvalidChain
from tests.unit.rsakeys import rsa_key
from tests.unit.verify.issuing import NOW, Ca, alternative_names, chain, spki

WWW = Identifier("dns", "www.example.com")
KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = Ca.root()
INTERMEDIATE = ROOT.intermediate()
LEAF = INTERMEDIATE.leaf(KEY.public_key(), alternative_names(WWW))
SENT = (LEAF, INTERMEDIATE.certificate)
OTHER = Ca.root("Other Root")
NAMESAKE = Ca.root()


def crossed(intermediate: Ca, root: Ca) -> x509.Certificate:
    """The same intermediate, by another root."""
    builder = (
        x509.CertificateBuilder()
        .issuer_name(root.certificate.subject)
        .subject_name(intermediate.certificate.subject)
        .public_key(intermediate.certificate.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
    )
    assert isinstance(root.key, ec.EllipticCurvePrivateKey)
    return builder.sign(root.key, hashes.SHA256())


def der(*certificates: x509.Certificate) -> list[bytes]:
    return [certificate.public_bytes(Encoding.DER) for certificate in certificates]


def verify(sent: Sequence[x509.Certificate], trusted: Sequence[bytes]) -> Verified:
    return verify_chain(chain(*sent), spki(KEY.public_key()), frozenset([WWW]), False, NOW, trusted)


def refused(sent: Sequence[x509.Certificate], trusted: Sequence[bytes]) -> str:
    with pytest.raises(Untrusted) as caught:
        verify(sent, trusted)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("sent", "trusted"),
    [
        (SENT, [ROOT]),
        ((*SENT, ROOT.certificate), [ROOT]),
        (SENT, [OTHER, NAMESAKE, ROOT]),
        # Not only roots: what root puts there is trusted.
        (SENT, [INTERMEDIATE]),
        ((LEAF,), [INTERMEDIATE]),
        ((ROOT.leaf(KEY.public_key(), alternative_names(WWW)),), [ROOT]),
    ],
    ids=["above", "sent", "among others", "intermediate", "alone", "no intermediate"],
)
def test_chain_that_leads_there(sent: Sequence[x509.Certificate], trusted: Sequence[Ca]) -> None:
    assert verify(sent, der(*(one.certificate for one in trusted))).certificates == tuple(der(*sent))


def test_chain_with_a_cross_signature() -> None:
    """Its end does not matter, once one of it was issued by an anchor."""
    by_other = crossed(INTERMEDIATE, OTHER)
    sent = (*SENT, ROOT.certificate)
    verify(sent, der(by_other))
    verify((LEAF, by_other), der(OTHER.certificate))
    assert "none of these is there" in refused(sent, der(OTHER.certificate))


def test_rsa_anchor() -> None:
    root = Ca.root(key=rsa_key(2048))
    leaf = root.leaf(KEY.public_key(), alternative_names(WWW))
    verify((leaf,), der(root.certificate))


def test_nothing_is_asked_where_nothing_is_trusted_by_name() -> None:
    assert verify_chain(chain(*SENT), spki(KEY.public_key()), frozenset([WWW]), False, NOW).certificates


def test_issuers_are_told() -> None:
    message = refused(SENT, der(OTHER.certificate))
    assert message == "it was issued by 'CN=Test Intermediate', under 'CN=Test Root', and none of these is there"
    assert refused(SENT, []) == message


def test_namesake_is_not_taken_for_it() -> None:
    assert refused(SENT, der(NAMESAKE.certificate)) == "'CN=Test Root' did not sign the one before it"


def test_the_leaf_itself_is_no_anchor() -> None:
    assert "none of these is there" in refused(SENT, der(LEAF))


@pytest.mark.parametrize(
    ("anchor", "message"),
    [
        (ROOT.intermediate("A", ca=False), "'CN=A' is not a CA's, and may not have signed the one before it"),
        (ROOT.intermediate("A", sign_usage=False), "'CN=A' may not sign certificates (key usage)"),
        (
            ROOT.intermediate("A", end=NOW),
            f"'CN=A' expired at {NOW:%Y-%m-%d %H:%M:%S} UTC; is this host's clock right?",
        ),
        (
            ROOT.intermediate("A", begin=NOW + timedelta(days=1)),
            f"'CN=A' is not valid before {NOW + timedelta(days=1):%Y-%m-%d %H:%M:%S} UTC; is this host's clock right?",
        ),
        (ROOT.intermediate("A", path_length=0), "'CN=A' allows 0 CA certificates below it; here are 1"),
    ],
    ids=["no CA", "usage", "expired", "not yet", "path length"],
)
def test_anchor_that_may_not_issue(anchor: Ca, message: str) -> None:
    below = anchor.intermediate("B")
    leaf = below.leaf(KEY.public_key(), alternative_names(WWW))
    assert refused((leaf, below.certificate), der(anchor.certificate)) == message


def test_path_length_is_counted_from_the_leaf() -> None:
    anchor = ROOT.intermediate("A", path_length=0)
    leaf = anchor.leaf(KEY.public_key(), alternative_names(WWW))
    verify((leaf,), der(anchor.certificate))


@pytest.mark.parametrize("junk", [b"", b"\x30\x00", der(ROOT.certificate)[0][:-1], b"\xff" * 100])
def test_what_cannot_be_read_is_passed_over(junk: bytes) -> None:
    verify(SENT, [junk, *der(ROOT.certificate), junk])
    assert refused(SENT, [junk, *der(OTHER.certificate)]).endswith("(1 of the 2 there cannot be read)")


def test_nothing_is_said_of_odd_anchors() -> None:
    """cryptography would warn of their serial numbers on standard error, at each installation."""
    (plain,) = der(ROOT.leaf(KEY.public_key(), [], serial=1))
    negative = plain.replace(b"\xa0\x03\x02\x01\x02\x02\x01\x01", b"\xa0\x03\x02\x01\x02\x02\x01\xff", 1)
    assert negative != plain
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        verify(SENT, [negative, *der(ROOT.certificate)])
    assert not caught


def test_chain_that_is_wrong_in_itself_is_told_first() -> None:
    with pytest.raises(InvalidChain, match="did not sign the one before it"):
        verify((LEAF, Ca.root("Test Intermediate").certificate), der(ROOT.certificate))
