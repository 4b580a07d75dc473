# SPDX-License-Identifier: LGPL-2.1-or-later
"""Varlink servers in the places of acme-privd and acme-clientd. A test says what fails, and what waits."""

import asyncio
import base64
import json
import socket
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from acmed import varlink
from acmed.manager import installed
from acmed.manager.places import Places
from acmed.varlink import Service, VarlinkError, more

THUMBPRINT = "t" * 43
TOKEN = "a-token_of-the-CA"


def certificate(names: Sequence[str], begun: timedelta = timedelta(0), lifetime: timedelta = timedelta(days=90)) -> str:
    """A certificate in PEM that became valid begun ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
    start = datetime.now(UTC) - begun
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + lifetime)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )


class Peer:
    """Notes each call. errors: what a method answers with. gates: what it waits for first; reached: that it does."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: dict[str, VarlinkError] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.reached: dict[str, asyncio.Event] = {}

    @property
    def called(self) -> list[str]:
        return [method for method, _ in self.calls]

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
        if method in self.errors:
            raise self.errors[method]


class Privd(Peer):
    """acme-privd. undeliverable: the error for each service that cannot be served."""

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.undeliverable: dict[str, str] = {}
        self.challenge_method = "directory"

    def configure(self, name: str, names: Sequence[str], **keys: Any) -> None:
        """Writes certificates.d/NAME.toml."""
        lines = [f"names = {json.dumps(list(names))}"]
        lines += [f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
        directory = self.places.etc / "certificates.d"
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.toml").write_text("\n".join(lines) + "\n")

    def install(self, name: str, pem: str) -> None:
        """Puts a certificate where it belongs."""
        directory = self.places.certificates / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "new").write_text(pem)
        (directory / "new").rename(directory / "cert.pem")

    def names(self, certificate: str) -> list[dict[str, str]]:
        data = tomllib.loads((self.places.etc / "certificates.d" / f"{certificate}.toml").read_text())
        return [{"type": "dns", "value": name} for name in data["names"]]

    def account(self, certificate: str) -> str:
        data = tomllib.loads((self.places.etc / "certificates.d" / f"{certificate}.toml").read_text())
        return str(data.get("account", "default"))

    async def configure_method(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Configure", **given)
        self.configure(
            given["certificate"],
            given["names"],
            account=given["account"],
            key_type=given["key_type"],
            services=given["services"],
        )
        return {}

    async def forget(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Forget", **given)
        (self.places.etc / "certificates.d" / f"{given['certificate']}.toml").unlink()
        return {}

    async def new_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("NewAccount", **given)
        self.configure_account(given["account"], given["directory"])
        return {}

    async def set_account_uri(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SetAccountUri", **given)
        self.configure_account(given["account"], "https://ca.example/directory", given["uri"])
        return {}

    def configure_account(self, name: str, directory: str, uri: str = "") -> None:
        path = self.places.etc / "acmed.toml.d" / f"account-{name}.toml"
        path.parent.mkdir(exist_ok=True)
        lines = f'[account.{name}]\ndirectory = "{directory}"\n' + (f'uri = "{uri}"\n' if uri else "")
        path.write_text(lines)

    async def new_request(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("NewRequest", **given)
        name = given["certificate"]
        return {"request": "r1", "account": self.account(name), "identifiers": self.names(name), "csr": "Y3Ny"}

    async def install_method(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Install", **given)
        self.install(given["certificate"], given["chain"])
        found = installed.read(self.places.certificates / given["certificate"] / "cert.pem")
        assert found
        return {
            "serialNumber": found.serial_number,
            "issuer": found.issuer,
            "fingerprint": found.fingerprint,
            "notBefore": found.not_before,
            "notAfter": found.not_after,
        }

    async def deliver(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Deliver", **given)
        return {
            "deliveries": [
                {"service": service, "error": self.undeliverable.get(service, "")} for service in given["services"]
            ]
        }

    async def open_challenge(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("OpenChallenge", **given)
        return {"method": self.challenge_method}

    async def close_challenge(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("CloseChallenge", **given)
        return {}

    async def publish_token(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PublishToken", **given)
        return {}

    async def withdraw_token(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("WithdrawToken", **given)
        return {}

    async def permit_revoke(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PermitRevoke", **given)
        pem = (self.places.certificates / given["certificate"] / "cert.pem").read_bytes()
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        return {"account": "default", "der": base64.b64encode(der).decode()}


class Clientd(Peer):
    """acme-clientd. challenge: what Order answers for each identifier; at_finalize is called when Finalize begins."""

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.lifetime = timedelta(days=90)
        self.challenge_type = "http-01"
        self.token = TOKEN
        self.already_valid = False
        self.at_finalize: Callable[[], None] = lambda: None

    async def register(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Register", **given)
        return {"uri": "https://ca.example/account/1", "status": "valid", "termsOfService": None}

    async def order(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Order", **given)
        challenges = [
            {
                "identifier": identifier,
                "wildcard": False,
                "type": self.challenge_type,
                "url": f"https://ca.example/challenge/{number}",
                "token": f"{self.token}{number}",
                "keyAuthorization": f"{self.token}{number}.{THUMBPRINT}",
            }
            for number, identifier in enumerate(given["identifiers"])
        ]
        return {
            "order": "https://ca.example/order/1",
            "created": True,
            "challenges": [] if self.already_valid else challenges,
        }

    @more
    async def finalize(self, _: varlink.Call, progress: Any, **given: Any) -> dict[str, Any]:
        self.at_finalize()
        await progress({"step": "challenge", "progress": 40, "detail": "", "chain": None})
        await self.note("Finalize", **given)
        await progress({"step": "finalize", "progress": 60, "detail": "", "chain": None})
        await self.note("Download", **given)
        orders = [parameters for method, parameters in self.calls if method == "Order"]
        mine = next(order for order in reversed(orders) if order["certificate"] == given["certificate"])
        names = [identifier["value"] for identifier in mine["identifiers"]]
        chain = certificate(names, lifetime=self.lifetime)
        return {"step": "download", "progress": 100, "detail": "", "chain": chain}

    async def drop(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Drop", **given)
        return {}

    async def revoke(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Revoke", **given)
        return {}


class _PrivMethods:
    """Privd by the method names of its interface, two of which it has for the tests' own use."""

    def __init__(self, privd: Privd) -> None:
        self._privd = privd
        self.configure = privd.configure_method
        self.install = privd.install_method

    def __getattr__(self, name: str) -> Any:
        return getattr(self._privd, name)


class Listening:
    """Serves a peer on a socket."""

    def __init__(self, interface: str, handlers: Peer, path: Path) -> None:
        methods = _PrivMethods(handlers) if isinstance(handlers, Privd) else handlers
        self._service = Service(varlink.load(interface), methods)
        self._path = path
        self._listener = self._open()

    def _open(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        listener.listen(64)
        listener.setblocking(False)
        asyncio.get_running_loop().add_reader(listener, self._service.accept, listener)
        return listener

    def close(self) -> None:
        """Nobody can connect any more; calls that have begun go on."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self._path.unlink()

    def reopen(self) -> None:
        self._listener = self._open()
