# SPDX-License-Identifier: LGPL-2.1-or-later
"""Varlink servers in the places of acme-privd, acme-clientd and acme-dnsd. A test says what fails, and what waits."""

import asyncio
import base64
import json
import re
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
from acmed.names import Identifier
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


class Privd(Peer):
    """acme-privd. undeliverable: the error for each service that cannot be served. records: the TXT records that it has
    set (name and value). port_problem: what ProbeChallenge answers. replaces: what NewRequest does. restored: what
    Restore puts back.
    """

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.undeliverable: dict[str, str] = {}
        self.challenge_method = "directory"
        self.port_problem = ""
        self.records: set[tuple[str, str]] = set()
        self.replaces: str | None = None
        self.restored: list[str] = []

    def configure(self, name: str, names: Sequence[str], **keys: Any) -> None:
        """Writes certificates.d/NAME.toml."""
        lines = [f"names = {json.dumps(list(names))}"]
        lines += [f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
        directory = self.places.etc / "certificates.d"
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.toml").write_text("\n".join(lines) + "\n")

    def install(self, name: str, pem: str) -> None:
        """Puts a certificate where it belongs, all files with one switch."""
        base = self.places.certificates
        fresh, link = base / f".{name}.{len(list(base.iterdir()))}", base / f".{name}.new"
        fresh.mkdir(parents=True)
        for kind in installed.KINDS:
            (fresh / f"{kind}.pem").write_text(pem)
        (fresh / "privkey.pem").chmod(0o600)
        link.symlink_to(fresh.name)
        link.rename(base / name)

    def names(self, certificate: str) -> list[dict[str, str]]:
        data = tomllib.loads((self.places.etc / "certificates.d" / f"{certificate}.toml").read_text())
        identifiers = map(Identifier.parse, data["names"])
        return [{"type": identifier.type, "value": identifier.value} for identifier in identifiers]

    def account(self, certificate: str) -> str:
        data = tomllib.loads((self.places.etc / "certificates.d" / f"{certificate}.toml").read_text())
        return str(data.get("account", "default"))

    async def configure_method(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Configure", **given)
        settings = {_snake(key): value for key, value in given["settings"].items()}
        path = self.places.etc / "certificates.d" / f"{given['certificate']}.toml"
        there = tomllib.loads(path.read_text()) if path.exists() else {}
        settings["csr"] = True if settings["csr"] or there.get("csr") else None
        self.configure(given["certificate"], given["names"], **settings)
        return {}

    async def forget(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Forget", **given)
        (self.places.etc / "certificates.d" / f"{given['certificate']}.toml").unlink()
        return {}

    async def new_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("NewAccount", **given)
        if not self.account_file(given["account"]).exists():
            self.configure_account(given["account"], given["directory"])
        return {}

    async def seal_binding(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SealBinding", **given)
        return {}

    async def permit_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PermitAccount", **given)
        return {}

    async def set_contact(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SetContact", **given)
        path = self.account_file(given["account"])
        path.write_text(f"{path.read_text()}contact = {json.dumps(given['contact'])}\n")
        return {}

    async def new_account_key(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("NewAccountKey", **given)
        return {}

    async def adopt_account_key(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("AdoptAccountKey", **given)
        return {}

    async def retire_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("RetireAccount", **given)
        self.account_file(given["account"]).unlink(missing_ok=True)
        return {}

    async def set_account_uri(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SetAccountUri", **given)
        self.configure_account(given["account"], "https://ca.example/directory", given["uri"])
        return {}

    def account_file(self, name: str) -> Path:
        return self.places.etc / "acmed.toml.d" / f"account-{name}.toml"

    def configure_account(self, name: str, directory: str, uri: str = "", more: str = "") -> None:
        path = self.account_file(name)
        path.parent.mkdir(exist_ok=True)
        lines = f'[account.{name}]\ndirectory = "{directory}"\n' + (f'uri = "{uri}"\n' if uri else "")
        path.write_text(lines + more)

    async def new_request(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("NewRequest", **given)
        name = given["certificate"]
        return {
            "request": "r1",
            "account": given["account"] or self.account(name),
            "identifiers": self.names(name),
            "csr": "Y3Ny",
            "profile": None,
            "notAfter": None,
            "replaces": self.replaces,
            "preferredChain": None,
            "thumbprint": THUMBPRINT,
        }

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
        (self.places.certificates / given["certificate"] / "privkey.pem").chmod(0o640)
        return {
            "deliveries": [
                {"service": service, "error": self.undeliverable.get(service, "")} for service in given["services"]
            ]
        }

    async def restore(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Restore", **given)
        return {"restored": self.restored}

    async def open_challenge(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("OpenChallenge", **given)
        return {"method": self.challenge_method}

    async def probe_challenge(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("ProbeChallenge", **given)
        return {"problem": self.port_problem}

    async def publish_record(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PublishRecord", **given)
        self.records.add((given["name"], given["value"]))
        return {}

    async def withdraw_record(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("WithdrawRecord", **given)
        self.records.discard((given["name"], given["value"]))
        return {}

    async def permit_authorize(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PermitAuthorize", **given)
        return {"thumbprint": THUMBPRINT}

    async def drop_permit(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("DropPermit", **given)
        return {}

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
        found = der((self.places.certificates / given["certificate"] / "cert.pem").read_bytes())
        return {"account": "default", "der": base64.b64encode(found).decode()}

    async def permit_revoke_other(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("PermitRevokeOther", **given)
        return {}

    async def sign_revocation(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SignRevocation", **given)
        return {"protected": given["nonce"], "payload": "p", "signature": "s"}

    async def archive(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Archive", **given)
        return {}

    async def notify(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Notify", **given)
        return {}


class Clientd(Peer):
    """acme-clientd. challenge_type: what Order answers for each identifier, unless offered has others for it;
    at_finalize is called when Finalize begins. unreachable: accounts whose CA is. terms: the URL of its terms of
    service. window: when the CA wants certificates to be renewed.
    """

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.lifetime = timedelta(days=90)
        self.challenge_type = "http-01"
        self.offered: dict[str, tuple[str, ...]] = {}
        self.clock_offset = 0
        self.unreachable: set[str] = set()
        self.terms: str | None = None
        self.window: dict[str, Any] = {"start": None, "end": None, "explanationUrl": None, "retryAfter": 21600}
        self.expires: int | None = None
        self.token = TOKEN
        self.thumbprint = THUMBPRINT
        self.already_valid = False
        self.at_finalize: Callable[[], None] = lambda: None

    async def register(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Register", **given)
        return {"uri": "https://ca.example/account/1", "status": "valid", "termsOfService": self.terms}

    async def directory(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Directory", **given)
        self._reach(given["account"])
        return {
            "termsOfService": self.terms,
            "website": None,
            "caaIdentities": ["ca.example"],
            "externalAccountRequired": False,
            "profiles": {},
            "renewalInfo": True,
            "newAuthz": False,
            "clockOffset": self.clock_offset,
        }

    async def read_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("ReadAccount", **given)
        return {"status": "valid", "contact": []}

    async def update_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("UpdateAccount", **given)
        return {}

    async def deactivate_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("DeactivateAccount", **given)
        return {}

    async def change_key(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("ChangeKey", **given)
        return {}

    async def renewal_info(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("RenewalInfo", **given)
        return self.window

    async def revocation_nonce(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("RevocationNonce", **given)
        return {"url": "https://ca.example/revoke", "nonce": f"nonce{self.called.count('RevocationNonce')}"}

    async def send_revocation(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SendRevocation", **given)
        return {}

    async def order(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Order", **given)
        self._reach(given["account"])
        offers = [
            challenge
            for number, identifier in enumerate(given["identifiers"])
            for challenge in self._offered(identifier, number)
        ]
        return {
            "order": "https://ca.example/order/1",
            "created": True,
            "challenges": [] if self.already_valid else offers,
        }

    def _offered(self, identifier: dict[str, str], number: int) -> list[dict[str, Any]]:
        name = identifier["value"]
        token = f"{self.token}{number}"
        return [
            {
                "identifier": identifier | {"value": name.removeprefix("*.")},
                "wildcard": name.startswith("*."),
                "type": kind,
                "url": f"https://ca.example/challenge/{number}" + ("" if kind == self.challenge_type else f"/{kind}"),
                "token": None if kind == "dns-persist-01" else token,
                "keyAuthorization": None if kind == "dns-persist-01" else f"{token}.{self.thumbprint}",
                "issuers": ["ca.example"] if kind == "dns-persist-01" else [],
            }
            for kind in self.offered.get(name, (self.challenge_type,))
        ]

    def _reach(self, account: str) -> None:
        if account in self.unreachable:
            url = f"https://{account}.example/directory"
            raise VarlinkError("org.acmed.Client.Unreachable", url=url, message="refused")

    @more
    async def finalize(self, _: varlink.Call, progress: Any, **given: Any) -> dict[str, Any]:
        def reply(step: str, percent: int, **last: Any) -> dict[str, Any]:
            return {
                "step": step, "progress": percent, "detail": "", "done": False, "chain": None, "expires": None,
            } | last  # fmt: skip

        self.at_finalize()
        await progress(reply("challenge", 40))
        await self.note("Finalize", **given)
        if given["csr"] is None:
            return reply("challenge", 100, done=True, expires=self.expires)
        await progress(reply("finalize", 60))
        await self.note("Download", **given)
        orders = [parameters for method, parameters in self.calls if method == "Order"]
        mine = next(order for order in reversed(orders) if order["certificate"] == given["certificate"])
        names = [identifier["value"] for identifier in mine["identifiers"]]
        return reply("download", 100, done=True, chain=certificate(names, lifetime=self.lifetime))

    async def drop(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Drop", **given)
        return {}

    async def revoke(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Revoke", **given)
        return {}


def _snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


class _Methods:
    """A peer by the method names of its interface. Those that it does not have are answered as such."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        if isinstance(peer, Privd):  # which has these names for the tests' own use
            self.configure = peer.configure_method
            self.install = peer.install_method

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peer, name, _not_implemented)


async def _not_implemented(_: varlink.Call, **given: Any) -> dict[str, Any]:
    raise VarlinkError("org.varlink.service.MethodNotImplemented", method="")


class Listening:
    """Serves a peer on a socket."""

    def __init__(self, interface: str, handlers: Peer, path: Path) -> None:
        self._service = Service(varlink.load(interface), _Methods(handlers))
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
