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
from acmed.clientd.accounts.outstanding import Outstanding
from acmed.clientd.ca.authority import Authorities
from acmed.clientd.ca.transport import Transport
from acmed.clientd.limits import Limits
from acmed.clientd.notes import Notes
from acmed.clientd.orders.store import Store
from acmed.clientd.service import Handlers
from acmed.clientd.signer import Signer
from acmed.clientd.standing import Inquiry
from acmed.config.model import Account, Configuration, Deadlines
from tests.unit.clientd import jws
from tests.unit.clientd.ca import FaultyCa

# Short, so that what is to time out does; nothing below is asserted against a clock that way.
QUICK = Limits(
    backoff=(0.002, 0.002, 0.002),
    first_poll=0.002,
    first_issuance_poll=0.002,
    slowest_poll=0.02,
    short_wait=3,
)
PATIENT = Deadlines(authorization=30, finalize=30, request=20)
CSR = b"to this CA any bytes are a request"


@dataclass
class Keys:
    """org.acmed.Key with one account's key and the one that follows, and no policy. binding: what newAccount gets."""

    accounts: dict[str, Account]
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    next_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    refuse: varlink.VarlinkError | None = None
    signed: list[str] = field(default_factory=list)
    binding: dict[str, str] | None = None

    async def get_account(self, _: varlink.Call, account: str) -> dict[str, Any]:
        public = jws.jwk(self.key)
        uri = self.accounts[account].uri
        return {"jwk": public, "thumbprint": jws.thumbprint(public), "algorithm": "ES256", "uri": uri}

    async def sign(self, _: varlink.Call, account: str, url: str, nonce: str, payload: str) -> dict[str, str]:
        if self.refuse:
            raise self.refuse
        self.signed.append(url)
        new = b"termsOfServiceAgreed" in jws.decode(payload)
        if new and self.binding:
            bound = json.loads(jws.decode(payload)) | {"externalAccountBinding": self.binding}
            payload = jws.encode(json.dumps(bound).encode())
        who: dict[str, Any] = {"jwk": jws.jwk(self.key)} if new else {"kid": self.accounts[account].uri}
        return jws.sign(self.key, {"alg": "ES256", "nonce": nonce, "url": url} | who, payload)

    async def sign_lookup(self, _: varlink.Call, account: str, url: str, nonce: str, next: bool) -> dict[str, str]:
        key = self.next_key if next else self.key
        header = {"alg": "ES256", "nonce": nonce, "url": url, "jwk": jws.jwk(key)}
        return jws.sign(key, header, jws.encode(b'{"onlyReturnExisting": true}'))

    async def sign_key_change(self, _: varlink.Call, account: str, url: str, nonce: str) -> dict[str, str]:
        uri = self.accounts[account].uri
        payload = json.dumps({"account": uri, "oldKey": jws.jwk(self.key)}).encode()
        inner = jws.sign(
            self.next_key, {"alg": "ES256", "url": url, "jwk": jws.jwk(self.next_key)}, jws.encode(payload)
        )
        header = {"alg": "ES256", "nonce": nonce, "url": url, "kid": uri}
        return jws.sign(self.key, header, jws.encode(json.dumps(inner).encode()))


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


class Daemon:
    """acme-clientd, with what it keeps on the disk in `state`."""

    def __init__(self, state: Path, limits: Limits, accounts: dict[str, Account]) -> None:
        self._state = state
        self._limits = limits
        self._accounts = accounts
        self.start()

    def start(self) -> None:
        self._transport, self._inquiry = Transport(self._limits), Inquiry(self._limits)
        handlers = Handlers(
            lambda: Configuration(accounts=dict(self._accounts)),
            Authorities(self._transport, self._limits, Notes(self._state / "notes")),
            Signer(varlink.Client(varlink.load("org.acmed.Key"), self._state / "key.sock"), pauses=(0.1, 0.2, 0.3)),
            Store(self._state / "orders"),
            self._inquiry,
            Outstanding(self._state / "key-changes"),
        )
        self._listener = Listener("org.acmed.Client", self._state / "client.sock", handlers)

    def stop(self) -> None:
        self._listener.stop()
        self._transport.close()
        self._inquiry.close()

    def restart(self) -> None:
        """Nothing stays but what is on the disk."""
        self.stop()
        self.start()


@dataclass
class Rig:
    """Everything. accounts may be changed at any time, as configuration may."""

    ca: FaultyCa
    accounts: dict[str, Account]
    keys: Keys
    keys_listener: Listener
    daemon: Daemon
    client: varlink.Client
    orders: Path
    steps: list[dict[str, Any]] = field(default_factory=list)

    async def register(self, account: str = "main") -> dict[str, Any]:
        """Registers, and configures the URL as acmed does."""
        reply = await self.client.call("Register", timeout=60, job=1, account=account)
        self.accounts[account] = replace(self.accounts[account], uri=reply["uri"])
        return reply

    async def order(
        self, *names: str, certificate: str = "www", csr: bytes | None = CSR, **more: Any
    ) -> dict[str, Any]:
        identifiers = [
            {"type": "ip" if name[0].isdigit() else "dns", "value": name} for name in names or ("a.example",)
        ]
        parameters = {"job": 2, "account": "main", "certificate": certificate, "identifiers": identifiers} | more
        return await self.client.call("Order", timeout=60, csr=encoded(csr), **parameters)

    async def resume(self, certificate: str = "www", csr: bytes | None = CSR, **more: Any) -> dict[str, Any]:
        identifiers = [{"type": "dns", "value": "a.example"}]
        parameters = {"job": 2, "account": "main", "certificate": certificate, "identifiers": identifiers} | more
        return await self.client.call("Resume", timeout=60, csr=encoded(csr), **parameters)

    async def finalize(
        self, challenges: list[str], certificate: str = "www", csr: bytes | None = CSR, preferred: str | None = None
    ) -> str:
        """The chain; each reply is in steps."""
        parameters = {"job": 2, "account": "main", "certificate": certificate, "challenges": challenges}
        parameters |= {"csr": encoded(csr), "preferredChain": preferred}
        done: list[bool] = []
        async for reply in self.client.call_more("Finalize", timeout=60, **parameters):
            self.steps.append(reply)
            done.append(reply["done"])
        assert done == [False] * (len(done) - 1) + [True]
        return str(reply["chain"])

    async def authorize(self, *names: str) -> dict[str, Any]:
        """Has names validated without a certificate, by http-01; the last reply."""
        begun = await self.order(*names, csr=None)
        await self.finalize(http01(begun), csr=None)
        return self.steps[-1]

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A method that is about an account."""
        return await self.client.call(method, timeout=60, **{"job": 3, "account": "main"} | parameters)

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


def encoded(csr: bytes | None) -> str | None:
    return None if csr is None else base64.b64encode(csr).decode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@asynccontextmanager
async def running(
    tmp_path: Path,
    certificate: Path,
    limits: Limits = QUICK,
    deadlines: Deadlines = PATIENT,
    registered: bool = True,
    directory_is_known: bool = True,
) -> AsyncIterator[Rig]:
    """A CA and a client with the account "main". Where the directory is not known, nothing was asked for yet."""
    ca = FaultyCa(certificate)
    async with ca.server:
        main = Account("main", ca.directory, ("mailto:a@a.example",), None, certificate, deadlines=deadlines)
        accounts = {"main": main}
        keys = Keys(accounts)
        listener = Listener("org.acmed.Key", tmp_path / "key.sock", keys)
        daemon = Daemon(tmp_path, limits, accounts)
        client = varlink.Client(varlink.load("org.acmed.Client"), tmp_path / "client.sock")
        rig = Rig(ca, accounts, keys, listener, daemon, client, tmp_path / "orders")
        if registered and directory_is_known:
            await rig.register()
            ca.requests.clear()
        elif registered:
            accounts["main"] = replace(main, uri=ca.open_account(jws.jwk(keys.key)))
        try:
            yield rig
        finally:
            daemon.stop()
            listener.stop()
