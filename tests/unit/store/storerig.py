# SPDX-License-Identifier: LGPL-2.1-or-later
"""A store of one kind with one account, main, and what somebody answers who is asked for its passphrase."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from acmed import base64url
from acmed.config import Account
from acmed.config.keysource import COMMANDS, KeySource, Kind
from acmed.keyd.keys import Key
from acmed.store import file, gpg, passphrase
from acmed.store.opened import OpenedKey
from acmed.store.service import StoreService
from acmed.varlink import Call, VarlinkError
from tests.unit.keyd.rig import new_key

PEER = Call(1, 2, 3)
INPUT = "eyJh.eyJi"
SECRET = b"open sesame"
_KINDS = {Kind.FILE: file.open_key, Kind.GPG: gpg.open_key}

Result = TypeVar("Result")


def encrypted(key: Key, secret: bytes = SECRET, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private.private_bytes(Encoding.PEM, form, BestAvailableEncryption(secret))


@dataclass
class Store:
    """A store whose account's key is at path. accounts may be changed."""

    path: Path
    kind: Kind = Kind.FILE
    key: Key = field(default_factory=new_key)
    command: tuple[str, ...] = COMMANDS[Kind.GPG]
    accounts: dict[str, Account] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.credentials = self.path.parent / "credentials"
        self.credentials.mkdir()
        self.configure(self.path)

    def configure(self, path: Path) -> None:
        source = KeySource(self.kind, str(path))
        self.accounts["main"] = Account("main", "https://ca.example/dir", key=source, key_command=self.command)

    def write(self, content: bytes, mode: int = 0o600) -> None:
        self.path.write_bytes(content)
        self.path.chmod(mode)

    def seal(self, secret: bytes) -> None:
        (self.credentials / "passphrase_main").write_bytes(secret)

    def service(self) -> StoreService:
        async def open_key(account: Account) -> OpenedKey:
            return await _KINDS[self.kind](account, self.credentials)

        return StoreService(self.kind, self.accounts, open_key)

    def run(self, act: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run(act)

    async def works(self, service: StoreService) -> None:
        """It gives the key's public half, and signatures of it."""
        answer = await service.get_key(PEER, "main")
        assert answer == {
            "jwk": self.key.jwk,
            "thumbprint": self.key.thumbprint,
            "algorithm": self.key.algorithm,
            "uri": None,
        }
        signature = base64url.decode((await service.sign(PEER, "main", INPUT))["signature"])
        assert len(signature) == 64

    async def refusal(self, service: StoreService) -> str:
        with pytest.raises(VarlinkError) as caught:
            await service.sign(PEER, "main", INPUT)
        assert caught.value.name == "org.acmed.Store.KeyUnavailable"
        assert caught.value.parameters["account"] == "main"
        reason = str(caught.value.parameters["reason"])
        assert reason.startswith(f"{self.accounts['main'].key} of account main cannot be used: ")
        return reason

    def once(self) -> None:
        async def act() -> None:
            service = self.service()
            await self.works(service)
            assert not service.needed
            await service.close()

        self.run(act())

    def error(self) -> str:
        async def act() -> str:
            service = self.service()
            reason = await self.refusal(service)
            await service.close()
            return reason

        return self.run(act())


@dataclass
class Somebody:
    """Stands in for systemd-ask-password(1), which needs systemd: answers when told."""

    directory: Path

    def __post_init__(self) -> None:
        self.program = self.directory / "ask"
        self.answers = self.directory / "answer"
        given = f"{self.answers}.$$"
        self.program.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" >>{self.directory}/asked\n'
            f"while ! mv {self.answers} {given} 2>&-; do sleep 0.02; done\ncat {given}\n"
        )
        self.program.chmod(0o755)

    def answer(self, secret: bytes) -> None:
        new = self.directory / "new"
        new.write_bytes(secret + b"\n")
        new.rename(self.answers)

    @property
    def asked(self) -> list[str]:
        """What the program was given."""
        path = self.directory / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(passphrase, "_PROGRAM", str(self.program))
