# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Verify over its socket."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from acmed import varlink
from acmed.names import Identifier
from acmed.varlink import VarlinkError
from acmed.verify.service import Verify
from tests.unit.verify.issuing import Ca, alternative_names, chain, request, spki

WWW = Identifier("dns", "www.example.com")
INTERFACE = varlink.load("org.acmed.Verify")


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[varlink.Client]:
    service = varlink.Service(INTERFACE, Verify())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        asyncio.get_running_loop().add_reader(listener, service.accept, listener)
        yield varlink.Client(INTERFACE, path)
        asyncio.get_running_loop().remove_reader(listener)
    await service.drain()


def call(path: Path, method: str, **parameters: Any) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with served(path) as client:
            return await client.call(method, timeout=10, **parameters)

    return asyncio.run(run())


def verify_chain(path: Path, text: str, public_key: str) -> dict[str, Any]:
    identifiers = [{"type": WWW.type, "value": WWW.value}]
    return call(path, "VerifyChain", chain=text, publicKey=public_key, identifiers=identifiers, mustStaple=False)


def test_a_chain_that_is_good_and_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    public_key = base64.b64encode(spki(key.public_key())).decode()
    leaf = Ca.root().leaf(key.public_key(), alternative_names(WWW), begin=now, end=now + timedelta(days=1))
    answer = verify_chain(tmp_path / "1", chain(leaf), public_key)
    assert answer["certificates"] == [base64.b64encode(leaf.public_bytes(Encoding.DER)).decode()]
    assert answer["certId"] is None

    with pytest.raises(VarlinkError) as refused:
        verify_chain(tmp_path / "2", chain(leaf) + "\x1b[2J\nMar 1 sshd: accepted", public_key)
    assert refused.value.name == "org.acmed.Verify.InvalidChain"
    assert str(refused.value.parameters["message"]).isprintable()

    hostile = [*alternative_names(WWW), x509.DNSName("\x1b[2J.example.com")]
    leaf = Ca.root().leaf(key.public_key(), hostile, begin=now, end=now + timedelta(days=1))
    with pytest.raises(VarlinkError) as refused:
        verify_chain(tmp_path / "4", chain(leaf), public_key)
    message = str(refused.value.parameters["message"])
    assert message.isprintable() and "[2j.example.com" in message
    said = capfd.readouterr().err
    assert "[2j.example.com" in said and "\x1b" not in said

    with pytest.raises(VarlinkError) as invalid:
        verify_chain(tmp_path / "3", chain(leaf), "not base64!")
    assert invalid.value.name == "org.varlink.service.InvalidParameter"


def test_a_request_that_is_good_and_others(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = request(key, WWW)
    answer = call(tmp_path / "1", "ReadRequest", csr=base64.b64encode(der).decode())
    assert answer == {
        "identifiers": [{"type": "dns", "value": "www.example.com"}],
        "publicKey": base64.b64encode(spki(key.public_key())).decode(),
        "keyType": "ecdsa-p256",
        "mustStaple": False,
    }
    with pytest.raises(VarlinkError) as refused:
        call(tmp_path / "2", "ReadRequest", csr=base64.b64encode(der[:-1]).decode())
    assert refused.value.name == "org.acmed.Verify.InvalidRequest"
    with pytest.raises(VarlinkError) as invalid:
        call(tmp_path / "3", "ReadRequest", csr="not base64!")
    assert invalid.value.parameters == {"parameter": "csr"}
