# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-clientd as acmed sees it: its Varlink socket, with a CA and a key service on its other sides."""

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from acmed import varlink
from acmed.clientd.authority import Authorities
from acmed.clientd.limits import Limits
from acmed.clientd.service import Handlers
from acmed.clientd.signer import Signer
from acmed.clientd.store import Store
from acmed.clientd.transport import Transport
from acmed.config.model import Account, Configuration
from tests.unit.clientd import jws
from tests.unit.clientd.ca import FaultyCa

# Short, so that what is to time out does; nothing below is asserted against a clock that way.
QUICK = Limits(
    backoff=(0.002, 0.002, 0.002),
    first_poll=0.002,
    first_issuance_poll=0.002,
    slowest_poll=0.02,
    authorize=30,
    finalize=30,
    short_wait=3,
    read=5,
)
CSR = b"to this CA any bytes are a request"


@dataclass
class Keys:
    """org.acmed.Key with one account's key, and no policy."""

    accounts: dict[str, Account]
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    refuse: varlink.VarlinkError | None = None
    signed: list[str] = field(default_factory=list)

    async def get_account(self, _: varlink.Call, account: str) -> dict[str, Any]:
        public = jws.jwk(self.key)
        uri = self.accounts[account].uri
        return {"jwk": public, "thumbprint": jws.thumbprint(public), "algorithm": "ES256", "uri": uri}

    async def sign(self, _: varlink.Call, account: str, url: str, nonce: str, payload: str) -> dict[str, str]:
        if self.refuse:
            raise self.refuse
        self.signed.append(url)
        new = b"termsOfServiceAgreed" in jws.decode(payload)
        who: dict[str, Any] = {"jwk": jws.jwk(self.key)} if new else {"kid": self.accounts[account].uri}
        return jws.sign(self.key, {"alg": "ES256", "nonce": nonce, "url": url} | who, payload)


class Listener:
    """A Varlink service on a socket of its own."""

    def __init__(self, interface: str, path: Path, handlers: object) -> None:
        self._path = path
        self._service = varlink.Service(varlink.load(interface), handlers)
        self._socket: socket.socket | None = None
        self.start()

    def start(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self._path))
        self._socket.listen(64)
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._service.accept, self._socket)

    def stop(self) -> None:
        assert self._socket
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink()


@dataclass
class Rig:
    """Everything. accounts may be changed at any time, as configuration may."""

    ca: FaultyCa
    accounts: dict[str, Account]
    keys: Keys
    keys_listener: Listener
    client: varlink.Client
    orders: Path
    steps: list[dict[str, Any]] = field(default_factory=list)

    async def register(self, account: str = "main") -> dict[str, Any]:
        """Registers, and configures the URL as acmed does."""
        reply = await self.client.call("Register", timeout=60, job=1, account=account)
        self.accounts[account] = replace(self.accounts[account], uri=reply["uri"])
        return reply

    async def order(self, *names: str, certificate: str = "www", csr: bytes = CSR, **more: Any) -> dict[str, Any]:
        identifiers = [
            {"type": "ip" if name[0].isdigit() else "dns", "value": name} for name in names or ("a.example",)
        ]
        parameters = {"job": 2, "account": "main", "certificate": certificate, "identifiers": identifiers} | more
        return await self.client.call("Order", timeout=60, csr=base64.b64encode(csr).decode(), **parameters)

    async def finalize(
        self, challenges: list[str], certificate: str = "www", csr: bytes = CSR, timeout: float = 60
    ) -> str:
        """The chain; each reply is in steps."""
        encoded = base64.b64encode(csr).decode()
        parameters = {"job": 2, "account": "main", "certificate": certificate, "challenges": challenges}
        async for reply in self.client.call_more("Finalize", timeout=timeout, csr=encoded, **parameters):
            self.steps.append(reply)
        return str(self.steps[-1]["chain"])

    async def issue(self, *names: str, certificate: str = "www") -> str:
        """All of it: order, answer each http-01 challenge, finalize."""
        begun = await self.order(*names, certificate=certificate)
        return await self.finalize(http01(begun), certificate)

    def kept(self, certificate: str = "www") -> Any:
        """What is kept of the order, or None."""
        path = self.orders / f"{certificate}.json"
        return json.loads(path.read_bytes()) if path.exists() else None


def http01(begun: dict[str, Any]) -> list[str]:
    """The URLs of the http-01 challenges in an answer of Order."""
    return [item["url"] for item in begun["challenges"] if item["type"] == "http-01"]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@asynccontextmanager
async def running(
    tmp_path: Path, certificate: Path, limits: Limits = QUICK, registered: bool = True
) -> AsyncIterator[Rig]:
    """A CA and a client with the account "main"."""
    ca = FaultyCa(certificate)
    async with ca.server:
        accounts = {"main": Account("main", ca.directory, ("mailto:a@a.example",), None, certificate)}
        keys = Keys(accounts)
        listener = Listener("org.acmed.Key", tmp_path / "key.sock", keys)
        transport = Transport(limits)
        handlers = Handlers(
            lambda: Configuration(accounts=dict(accounts)),
            Authorities(transport, limits),
            Signer(varlink.Client(varlink.load("org.acmed.Key"), tmp_path / "key.sock"), pauses=(0.1, 0.2, 0.3)),
            Store(tmp_path / "orders"),
        )
        client_listener = Listener("org.acmed.Client", tmp_path / "client.sock", handlers)
        client = varlink.Client(varlink.load("org.acmed.Client"), tmp_path / "client.sock")
        rig = Rig(ca, accounts, keys, listener, client, tmp_path / "orders")
        if registered:
            await rig.register()
            ca.requests.clear()
        try:
            yield rig
        finally:
            client_listener.stop()
            listener.stop()
            transport.close()
