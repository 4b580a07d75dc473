# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the Varlink servers in the places of daemons have in common. A test says what fails, and what waits."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from acmed.manager.places import Places
from acmed.varlink import VarlinkError

THUMBPRINT = "t" * 43
TOKEN = "a-token_of-the-CA"


def certificate(
    names: Sequence[str],
    begun: timedelta = timedelta(0),
    lifetime: timedelta = timedelta(days=90),
    public: ec.EllipticCurvePublicKey | None = None,
) -> str:
    """A certificate in PEM that became valid begun ago. public: whose key it has, None for its signer's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
    start = datetime.now(UTC) - begun
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public or key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + lifetime)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )


def request(names: Sequence[str], common_name: str = "") -> bytes:
    """A CSR in DER."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(subject))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def der(pem: str | bytes) -> bytes:
    """A certificate in DER."""
    data = pem.encode() if isinstance(pem, str) else pem
    return x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER)


class Peer:
    """Notes each call. errors: what a method answers with; failures: the same, each once. gates: what it waits for
    first; reached: that it does.
    """

    def __init__(self, places: Places) -> None:
        self.places = places
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: dict[str, VarlinkError] = {}
        self.failures: dict[str, list[VarlinkError]] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.reached: dict[str, asyncio.Event] = {}

    @property
    def called(self) -> list[str]:
        return [method for method, _ in self.calls]

    def given(self, method: str) -> list[dict[str, Any]]:
        """The parameters of each call of a method."""
        return [parameters for called, parameters in self.calls if called == method]

    def gate(self, method: str) -> asyncio.Event:
        """Has a method wait until the answer is set."""
        self.reached[method] = asyncio.Event()
        self.gates[method] = asyncio.Event()
        return self.gates[method]

    async def note(self, method: str, **parameters: Any) -> None:
        self.calls.append((method, parameters))
        if method in self.reached:
            self.reached[method].set()
        if method in self.gates:
            await self.gates[method].wait()
        if self.failures.get(method):
            raise self.failures[method].pop(0)
        if method in self.errors:
            raise self.errors[method]
