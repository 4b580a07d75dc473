# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-privd's account side with the real systemd-creds, and acme-keyd as PID 1 would start it from what was sealed."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acmed.config import Account
from acmed.keyd import credentials
from acmed.keyd.credentials import Credentials
from acmed.keyd.keyring import Keyring
from acmed.keyd.permits import Permits
from acmed.keyd.signing import KeyService
from acmed.privd.handlers.accounts import Accounts
from acmed.privd.places import Places
from acmed.privd.service import Priv
from acmed.varlink import VarlinkError
from tests.unit.privd import starter
from tests.unit.privd.rig import DIRECTORY, ROOT, Rig

CONTACT = ["mailto:admin@example.com"]
URI = "https://ca.example/acct/1"


class AccountRig(Rig):
    """restarts counts those of acme-keyd. The host's key for credentials is conftest's."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(directory)
        self.places = replace(
            self.places,
            credentials=directory / "acmed.accounts",
            next_credentials=directory / "acmed.next-accounts",
            bindings=directory / "acmed.bindings",
        )
        for path in (self.places.credentials, self.places.next_credentials, self.places.bindings):
            path.mkdir()
        self.priv = Priv(self.places)
        self.restarts = 0
        starter.install(patch, directory)
        patch.setattr(Accounts, "_restart_keyd", self._restart)

    def accounts(self) -> Mapping[str, Account]:
        return _Live(self.places)

    def call(self, method: str, account: str = "main", **parameters: Any) -> Any:
        return self.run(lambda priv: getattr(priv, method)(ROOT, 1, account, **parameters))

    def refused(self, method: str, account: str = "main", **parameters: Any) -> VarlinkError:
        with pytest.raises(VarlinkError) as caught:
            self.call(method, account, **parameters)
        return caught.value

    def add(self, account: str = "main", **other: Any) -> None:
        """NewAccount."""
        wish: dict[str, Any] = {"directory": DIRECTORY, "contact": CONTACT, "key_type": "ecdsa-p256", "ca_pem": None}
        self.call("new_account", account, **(wish | other))

    def register(self, account: str = "main", uri: str = URI) -> None:
        """An account that the CA knows."""
        self.add(account)
        self.call("set_account_uri", account, uri=uri)

    def credentials(self) -> Credentials:
        """What LoadCredentialEncrypted= of acme-keyd.service makes of the three directories."""
        directory = self.directory / "credentials-directory"
        directory.mkdir(exist_ok=True)
        for kind, sealed in (
            ("account", self.places.credentials),
            ("next", self.places.next_credentials),
            ("binding", self.places.bindings),
        ):
            for path in sealed.iterdir():
                name = f"{kind}_{path.name}"
                command = ["systemd-creds", "decrypt", f"--name={name}", str(path), "-"]
                content = subprocess.run(command, capture_output=True, check=True).stdout
                (directory / name).write_bytes(content)
        found = credentials.read(directory)
        for path in directory.iterdir():
            path.unlink()
        return found

    def keyd(self) -> KeyService:
        return KeyService(
            self.accounts(), Keyring(self.credentials(), self.permits_file.parent), Permits(self.permits_file)
        )

    def account_file(self, account: str = "main") -> str:
        return self.places.account_file(account).read_text()

    def archived(self) -> list[Path]:
        return sorted(path for path in self.places.retired_accounts().rglob("*") if path.is_file())

    async def _restart(self, _account: str) -> None:
        self.restarts += 1


class _Live(Mapping[str, Account]):
    """acme-keyd reads the configuration when it starts: here, for each look."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Account:
        return self._places.configuration().accounts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places.configuration().accounts)

    def __len__(self) -> int:
        return len(self._places.configuration().accounts)
