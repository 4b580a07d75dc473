# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all kinds of stores have in common: whose keys they are, when they are opened, and until when they are kept."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from acmed.config import Account
from acmed.config.keysource import KeySource, Kind
from acmed.keyd.keys import LocalKey
from acmed.store.main import _Socket
from acmed.store.opened import InProcess, OpenedKey, Unavailable, Waiting
from acmed.store.service import StoreService
from acmed.varlink import VarlinkError
from tests.unit.keyd.rig import new_key
from tests.unit.store.storerig import INPUT, PEER

TOKEN = Account("main", "https://ca.example/dir", key=KeySource(Kind.PKCS11, "pkcs11:token=x"))


@dataclass(frozen=True)
class Pulled(InProcess):
    """A key that cannot sign any more."""

    closed: list[LocalKey] = field(default_factory=list)

    async def sign(self, data: bytes) -> bytes:
        raise Unavailable("the token is not there")

    async def close(self) -> None:
        self.closed.append(self.key)


@dataclass
class Opener:
    """Opens what there is, one after the other; counts."""

    results: list[OpenedKey | Exception]
    count: int = 0

    async def __call__(self, _: Account) -> OpenedKey:
        result = self.results[self.count]
        self.count += 1
        await asyncio.sleep(0)
        if isinstance(result, Exception):
            raise result
        return result


def serve(opener: Callable[[Account], OpenedKey] | Opener, **accounts: Account) -> StoreService:
    return StoreService(Kind.PKCS11, accounts or {"main": TOKEN}, opener)  # type: ignore[arg-type]


async def refusal(service: StoreService, account: str = "main") -> VarlinkError:
    with pytest.raises(VarlinkError) as caught:
        await service.sign(PEER, account, INPUT)
    return caught.value


@pytest.mark.parametrize("name", ["unknown", "credential", "file"])
def test_accounts_of_others(name: str) -> None:
    accounts = {
        "credential": Account("credential", TOKEN.directory),
        "file": Account("file", TOKEN.directory, key=KeySource(Kind.FILE, "/etc/key.pem")),
    }
    error = asyncio.run(refusal(serve(Opener([]), **accounts), name))
    assert error.name == "org.acmed.Store.UnknownAccount"
    assert error.parameters == {"account": name}


def test_a_key_is_opened_once() -> None:
    """Also by those who want it at the same time."""
    opener = Opener([InProcess(new_key())])

    async def act() -> None:
        service = serve(opener)
        await asyncio.gather(*(service.sign(PEER, "main", INPUT) for _ in range(5)), service.get_key(PEER, "main"))
        assert not service.needed, "it can be opened again by itself"

    asyncio.run(act())
    assert opener.count == 1


def test_a_key_that_has_gone_is_opened_anew() -> None:
    pulled = Pulled(new_key())
    opener = Opener([pulled, Unavailable("there is no token"), InProcess(new_key())])

    async def act() -> None:
        service = serve(opener)
        said = await refusal(service)
        assert said.name == "org.acmed.Store.KeyUnavailable"
        assert said.parameters["reason"] == "pkcs11:token=x of account main cannot be used: the token is not there"
        assert pulled.closed == [pulled.key]
        assert "there is no token" in str(await refusal(service))
        assert await service.sign(PEER, "main", INPUT)

    asyncio.run(act())


def test_closing_gives_all_up() -> None:
    pulled = Pulled(new_key())

    async def act() -> None:
        service = serve(Opener([pulled]))
        await service.get_key(PEER, "main")
        await service.close()

    asyncio.run(act())
    assert pulled.closed == [pulled.key]


def test_the_daemon_stays_for_what_somebody_has_unlocked() -> None:
    """And for the question; but not for a key that can be opened again."""

    async def act() -> None:
        answer: asyncio.Event = asyncio.Event()

        async def unlocked() -> OpenedKey:
            await answer.wait()
            return Pulled(new_key())

        opening = asyncio.create_task(unlocked())
        service = serve(Opener([Waiting("somebody is asked", opening), InProcess(new_key())]))
        socket = _Socket(service)
        assert not socket.busy
        for _ in range(2):
            assert "somebody is asked" in str(await refusal(service))
            assert socket.busy
        answer.set()
        await asyncio.wait([opening])
        assert "the token is not there" in str(await refusal(service))
        assert not socket.busy, "it is gone"
        assert await service.sign(PEER, "main", INPUT)
        assert not socket.busy

    asyncio.run(act())


def test_a_defect_while_somebody_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """The next one is asked again."""

    async def defect() -> OpenedKey:
        raise RuntimeError("a secret")

    async def act() -> None:
        waiting = Waiting("somebody is asked", asyncio.create_task(defect()))
        service = serve(Opener([waiting, InProcess(new_key())]))
        await refusal(service)
        await asyncio.wait([waiting.opening])
        with pytest.raises(RuntimeError):
            await service.sign(PEER, "main", INPUT)
        assert await service.sign(PEER, "main", INPUT)

    asyncio.run(act())
    said = "".join(capsys.readouterr())
    assert "Unlocking a key failed: RuntimeError" in said
    assert "a secret" not in said
