# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-privd in a directory of its own, with the real acme-verify and acme-keyd's permits behind their sockets."""

import asyncio
import base64
import json
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from acmed import varlink
from acmed.config import Account
from acmed.keyd.credentials import Credentials
from acmed.keyd.keyring import Keyring
from acmed.keyd.keys import Key
from acmed.keyd.permits import Permits
from acmed.keyd.permitting import PermitService
from acmed.privd.places import Places
from acmed.privd.service import Priv
from acmed.varlink import Call
from acmed.verify.service import Verify
from tests.unit.verify.issuing import Ca, chain

ROOT = Call(1, 0, 0)
NAME = "www.example.com"
DIRECTORY = "https://ca.example/dir"
CA = Ca.root("Test CA")
INTERMEDIATE = CA.intermediate(end=datetime.now(UTC) + timedelta(days=1000))

AUTHORITY = x509.AuthorityKeyIdentifier(bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4"), None, None)

Result = TypeVar("Result")


class Rig:
    """Use run() for what needs the sockets. copy() has all that one has on the disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.places = Places(
            etc=directory / "etc",
            usr=directory / "usr",
            certificates=directory / "acme",
            state=directory / "state",
            credentials=directory / "credentials",
            permit_socket=directory / "key-permit.sock",
            verify_socket=directory / "verify.sock",
        )
        if not self.places.etc.exists():
            for path in (self.places.etc, self.places.certificates, self.places.state, self.places.credentials):
                path.mkdir()
            self.configure("acmed.toml", f'[account.main]\ndirectory = "{DIRECTORY}"\n')
            self.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\n')
        self.priv = Priv(self.places)
        self.permits_file = directory / "permits.json"
        self.keys: dict[str, Key] = {}  # of the accounts, as acme-keyd has them

    def copy(self, directory: Path) -> "Rig":
        """Another one there, as after this one's processes ended."""
        shutil.copytree(self.directory, directory, symlinks=True, ignore=shutil.ignore_patterns("*.sock"))
        return Rig(directory)

    def configure(self, path: str, text: str) -> None:
        target = self.places.etc / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
        target.chmod(0o644)

    def run(self, act: Callable[[Priv], Awaitable[Result]]) -> Result:
        """Calls act with acme-privd's methods while the other daemons answer."""

        async def inner() -> Result:
            permits = PermitService(
                self.accounts(), Keyring(Credentials(self.keys), self.permits_file.parent), Permits(self.permits_file)
            )
            async with (
                _served("org.acmed.KeyPermit", permits, self.places.permit_socket),
                _served("org.acmed.Verify", Verify(), self.places.verify_socket),
            ):
                return await act(self.priv)

        return asyncio.run(inner())

    def accounts(self) -> Mapping[str, Account]:
        """What acme-keyd knows."""
        return self.places.configuration().accounts

    def permits(self) -> Any:
        return json.loads(self.permits_file.read_text())

    def request(
        self, job: int = 1, certificate: str = NAME, new_key: bool = False, account: str | None = None
    ) -> dict[str, Any]:
        return self.run(lambda priv: priv.new_request(ROOT, job, certificate, account, new_key))

    def install(self, request: str, text: str, job: int = 1, certificate: str = NAME) -> dict[str, Any]:
        return self.run(lambda priv: priv.install(ROOT, job, certificate, request, text))

    def order(self, job: int = 1, **how: Any) -> dict[str, Any]:
        """A whole order."""
        made = self.request(job)
        return self.install(made["request"], issue(made["csr"], **how), job)

    def published(self, certificate: str = NAME) -> dict[str, bytes]:
        directory = self.places.certificates / certificate
        return {path.name: path.read_bytes() for path in directory.iterdir()}


def issue(csr: str, **how: Any) -> str:
    """What a CA would issue for a CSR (base64 DER): a leaf and an intermediate."""
    parsed = x509.load_der_x509_csr(base64.b64decode(csr))
    names = list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    copied = [one.value for one in parsed.extensions if one.oid == x509.TLSFeature.oid]
    key = parsed.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    now = datetime.now(UTC)
    validity = {"begin": now - timedelta(hours=1), "end": now + timedelta(days=90)}
    return chain(
        INTERMEDIATE.leaf(key, names, **({"more": [AUTHORITY, *copied]} | validity | how)), INTERMEDIATE.certificate
    )


@asynccontextmanager
async def _served(name: str, handlers: object, path: Path) -> AsyncIterator[None]:
    service = varlink.Service(varlink.load(name), handlers)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        asyncio.get_running_loop().add_reader(listener, service.accept, listener)
        yield
        asyncio.get_running_loop().remove_reader(listener)
    await service.drain()
