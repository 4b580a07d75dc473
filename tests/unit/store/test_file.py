# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys in files: what is read, what is refused and how it is to be mended, and passphrases that somebody gives."""

import asyncio
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import PrivateFormat

from acmed.keyd.keys import parse
from acmed.store.service import StoreService
from tests.unit.keyd.rig import pem
from tests.unit.rsakeys import rsa_key
from tests.unit.store.storerig import SECRET, Somebody, Store, encrypted

WAITS = "waits for its passphrase: answer with systemd-tty-ask-password-agent"
NOT_THIS = "the passphrase that was given does not open it"


def test_a_plain_key(store: Store) -> None:
    store.write(pem(store.key.private))
    store.once()
    store.seal(b"not needed")
    store.once()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key(store: Store, form: PrivateFormat) -> None:
    store.write(encrypted(store.key, form=form))
    for end in (b"", b"\n", b"\r\n"):
        store.seal(SECRET + end)
        store.once()
    store.seal(b"open says me")
    said = store.error()
    assert "/etc/credstore.encrypted/acmed.passphrases/main does not open it: seal the right one" in said
    assert "systemctl try-restart acme-store-file.service" in said
    assert "open says me" not in said


@pytest.mark.parametrize(
    "private",
    [ec.generate_private_key(ec.SECP384R1()), rsa_key(2048), Ed25519PrivateKey.generate()],
)
def test_kinds_of_keys(store: Store, private: object) -> None:
    key = parse(pem(private))
    store.write(encrypted(key))
    store.seal(SECRET)

    async def act() -> None:
        answer = await store.service().get_key(None, "main")  # type: ignore[arg-type]
        assert answer["jwk"] == key.jwk

    store.run(act())


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"", 0o600, "it is empty"),
        (b"-----BEGIN", 0o600, "it is not an unencrypted private key in PEM"),
        (pem(rsa_key(1024)), 0o600, "an RSA key has 2048 to 4096 bits, not 1024"),
        (b"x" * 70000, 0o600, "it is larger than 64 KiB"),
        (b"x", 0o640, "others may read or write it: chmod 600 "),
        (b"x", 0o604, "others may read or write it: chmod 600 "),
        (b"x", 0o602, "others may read or write it: chmod 600 "),
    ],
)
def test_what_is_refused(store: Store, content: bytes, mode: int, said: str) -> None:
    store.write(content, mode)
    assert said in store.error()


def test_no_file(store: Store) -> None:
    assert "cannot be used: No such file or directory" in store.error()
    store.path.mkdir()
    assert "it is not a plain file" in store.error()
    store.path.rmdir()
    os.mkfifo(store.path)
    assert "it is not a plain file" in store.error()


@pytest.mark.parametrize("path", ["/root/none.key", "/home/jane/none.key", "/run/none.key", "/tmp/none.key"])
def test_what_the_unit_does_not_see(store: Store, path: str) -> None:
    store.configure(Path(path))
    assert f"acme-store-file.service does not see /{path.split('/')[1]}: move it" in store.error()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user(store: Store) -> None:
    store.write(pem(store.key.private))
    os.chown(store.path, 1, 1)
    assert f"it belongs to another user: chown root {store.path}" in store.error()


def test_somebody_gives_the_passphrase(store: Store, somebody: Somebody) -> None:
    store.write(encrypted(store.key))

    async def act() -> None:
        service = store.service()
        assert WAITS in await store.refusal(service)
        assert WAITS in await store.refusal(service)
        assert service.needed, "the question ends with the daemon"
        await answered(service, store, somebody, SECRET)
        await store.works(service)
        assert service.needed, "the daemon keeps what somebody has unlocked"
        await service.close()
        assert not service.needed

    store.run(act())
    assert somebody.asked.count("--id=acmed:main") == 1
    assert f"Passphrase of file:{store.path}, the key of ACME account main:" in somebody.asked
    assert not any(SECRET.decode() in word for word in somebody.asked)


def test_the_wrong_passphrase(store: Store, somebody: Somebody, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said, also to who calls again before there is another one."""
    store.write(encrypted(store.key))

    async def act() -> None:
        service = store.service()
        assert NOT_THIS not in await store.refusal(service)
        for wrong in (b"xyzzy", b""):
            await answered(service, store, somebody, wrong)
            for _ in range(2):
                said = await store.refusal(service)
                assert f"{NOT_THIS}; now {WAITS}" in said
        await answered(service, store, somebody, SECRET)
        await store.works(service)
        await service.close()

    store.run(act())
    assert somebody.asked.count("--id=acmed:main") == 3
    said = "".join(capsys.readouterr())
    assert "The key of account main is not unlocked: the passphrase that was given does not open it" in said
    assert "The key of account main is unlocked" in said
    assert "xyzzy" not in said
    assert SECRET.decode() not in said


def test_nobody_gives_it(store: Store, somebody: Somebody) -> None:
    somebody.program.write_text("#!/bin/sh\necho 'Failed to query password: Timer expired' >&2\nexit 1\n")
    store.write(encrypted(store.key))

    async def act() -> None:
        service = store.service()
        await store.refusal(service)
        await ended(service)
        said = await store.refusal(service)
        assert f"nobody has given its passphrase (Failed to query password: Timer expired); now {WAITS}" in said
        await service.close()

    store.run(act())


def test_the_question_ends_with_the_daemon(store: Store, somebody: Somebody) -> None:
    somebody.program.write_text(f"#!/bin/sh\necho $$ >{store.path.parent}/pid\nexec sleep 1000\n")
    store.write(encrypted(store.key))

    async def act() -> None:
        service = store.service()
        await store.refusal(service)
        pid = store.path.parent / "pid"
        while not (pid.exists() and pid.read_text().strip()):
            await asyncio.sleep(0.01)
        await service.close()
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)

    store.run(act())


def test_another_place_is_another_key(store: Store, somebody: Somebody) -> None:
    """Nobody is asked any more for what the configuration does not have any more."""
    store.write(encrypted(store.key))

    async def act() -> None:
        service = store.service()
        assert WAITS in await store.refusal(service)
        other = store.path.with_name("other.pem")
        other.write_bytes(pem(store.key.private))
        other.chmod(0o600)
        store.configure(other)
        await store.works(service)
        assert not service.needed
        store.configure(store.path)
        assert WAITS in await store.refusal(service)
        await service.close()

    store.run(act())


async def answered(service: StoreService, store: Store, somebody: Somebody, secret: bytes) -> None:
    somebody.answer(secret)
    await ended(service)


async def ended(service: StoreService) -> None:
    """The question is."""
    async with asyncio.timeout(30):
        await asyncio.wait([locked.opening for locked in service._locked.values()])
