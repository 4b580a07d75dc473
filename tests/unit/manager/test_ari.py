# SPDX-License-Identifier: LGPL-2.1-or-later
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from acmed.config import Certificate
from acmed.manager.clock import DAY, MINUTE
from acmed.manager.known.installed import Installed
from acmed.manager.known.remembered import CertificateState, Issuance, Window
from acmed.manager.known.status import Status
from acmed.manager.upkeep import ari
from acmed.names import Identifier

_NOW = 1_700_000_000 * 1_000_000


def _certificate(path: Path, serial: int, issuer: bytes | None) -> Path:
    key, begin = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
    )
    if issuer is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(issuer, None, None), critical=False)
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("serial", "name"),
    [
        # RFC 9773, section 4.1: the zero in front is there, as the first bit is set.
        (0x87654321, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"),
        (0x07654321, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.B2VDIQ"),
        (1, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AQ"),
        (0x80, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIA"),
        (2**159 - 1, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.f_________________________8"),
    ],
)
def test_name_of_a_certificate_at_its_ca(tmp_path: Path, serial: int, name: str) -> None:
    issuer = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    assert ari.certificate_id(_certificate(tmp_path / "cert.pem", serial, issuer)) == name


def test_certificate_without_a_name(tmp_path: Path) -> None:
    assert ari.certificate_id(_certificate(tmp_path / "cert.pem", 1, None)) == ""
    assert ari.certificate_id(tmp_path / "none.pem") == ""
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert ari.certificate_id(tmp_path / "broken.pem") == ""


_INSTALLED = Installed("stamp", "f1", "01", "CN=CA", ("www.example.com",), _NOW - 10 * DAY, _NOW + 80 * DAY)
_STATUS = Status(
    "www",
    Certificate("www", Path("www.toml"), (Identifier("dns", "www.example.com"),), "default", failover=("second",)),
    "",
    CertificateState(),
    _INSTALLED,
)
_ISSUED = Issuance("f1", "default", "ecdsa-p256", "", False, "", "", "")
_KNOWN = Window("f1", "a.b", _NOW, _NOW + DAY, "", _NOW + MINUTE)
_ONE = "https://one.example/directory"
_AT_ONE = replace(_STATUS, state=CertificateState(issued=replace(_ISSUED, directory=_ONE)))


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (_STATUS, True),
        (replace(_STATUS, state=CertificateState(window=_KNOWN)), False),
        (replace(_STATUS, state=CertificateState(window=replace(_KNOWN, poll_at=_NOW))), True),
        # A clock that was set back; but a CA may say a day.
        (replace(_STATUS, state=CertificateState(window=replace(_KNOWN, poll_at=_NOW + DAY))), False),
        (replace(_STATUS, state=CertificateState(window=replace(_KNOWN, poll_at=_NOW + DAY + MINUTE))), True),
        (replace(_STATUS, state=CertificateState(window=replace(_KNOWN, cert_id="", poll_at=_NOW + 9 * DAY))), False),
        # Of another certificate, and one that has no name at its CA.
        (replace(_STATUS, state=CertificateState(window=replace(_KNOWN, fingerprint="f0"))), True),
        (replace(_STATUS, state=CertificateState(window=replace(_KNOWN, cert_id="", poll_at=0))), False),
        (replace(_STATUS, state=CertificateState(issued=replace(_ISSUED, account="second"))), True),
        (replace(_STATUS, state=CertificateState(issued=replace(_ISSUED, account="former"))), False),
        # The account is at another CA now, which does not know the certificate.
        (replace(_AT_ONE, directory=_ONE), True),
        (replace(_AT_ONE, directory="https://two.example/directory"), False),
        (replace(_STATUS, state=CertificateState(revoked="f1")), False),
        (replace(_STATUS, installed=None), False),
        (replace(_STATUS, installed=replace(_INSTALLED, not_after=_NOW)), False),
        (replace(_STATUS, configured=None), False),
    ],
)
def test_which_are_asked_about(status: Status, wanted: bool) -> None:
    assert ari.wants(status, _NOW) is wanted
