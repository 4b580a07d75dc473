# SPDX-License-Identifier: LGPL-2.1-or-later
"""Account keys on tokens, by their URIs (RFC 7512). They never leave the token, and nothing is written to it."""

import asyncio
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmed import base64url, paths
from acmed.config import Account
from acmed.keyd.keys import Held
from acmed.store import passphrase, publickey
from acmed.store.opened import Unavailable
from acmed.store.publickey import BadJwk, PublicKey
from acmed.store.tokenpin import PinMissing, PinRefused
from acmed.store.tokenprocess import TokenProcess

# Seconds; together less than acme-keyd waits for us, as the first signature may need both.
_OPEN_TIMEOUT = 6.0
_SIGN_TIMEOUT = 4.0


class TokenKey:
    """A key on a token, as acmed.keyd.keys.Key; but each call may take seconds, and fail.

    A token that was pulled and is there again is opened anew.
    """

    def __init__(self, uri: str, pin: bytes | None, runtime: Path | None = None) -> None:
        """The key that the URI means, after a login where there is a PIN. It must be closed.

        runtime: a directory where a PIN that the token refused is kept, hashed, so that nobody tries it again. Raises
        Unavailable: PinMissing, PinRefused, or anything else.
        """
        self._uri, self._pin, self._runtime = uri, pin, runtime
        self._refused: PinRefused | None = None
        self._process: TokenProcess | None = None
        self._lock = threading.Lock()  # of a caller who went away, the thread is still there
        self._public = self._open()

    @property
    def jwk(self) -> dict[str, str]:
        return self._public.jwk

    @property
    def algorithm(self) -> str:
        return self._public.algorithm

    @property
    def thumbprint(self) -> str:
        return self._public.thumbprint

    def sign(self, data: bytes) -> bytes:
        """The JWS signature, in the forms of acmed.keyd.keys.Key. Raises Unavailable."""
        with self._lock:
            if self._process is None and self._open() != self._public:
                self._give_up()
                raise Unavailable("it is another key than before")
            signature = self._ask(data)
            if not self._public.verifies(signature, data):
                self._give_up()
                raise Unavailable("the token's signature is not by the public key or certificate that has the key's id")
            return signature

    def close(self) -> None:
        """Logs out."""
        with self._lock:
            self._give_up()

    def _ask(self, data: bytes) -> bytes:
        assert self._process
        process, self._process = self._process, None
        try:
            signature = process.ask(_SIGN_TIMEOUT, _signature, data=base64url.encode(data))
        except PinRefused as error:
            self._refused = error
            raise
        self._process = process
        return signature

    def _give_up(self) -> None:
        process, self._process = self._process, None
        if process:
            process.close()

    def _open(self) -> PublicKey:
        if self._refused:
            raise self._refused
        process = TokenProcess()
        pin = base64url.encode(self._pin) if self._pin is not None else None
        runtime = str(self._runtime) if self._runtime else None
        try:
            public = process.ask(_OPEN_TIMEOUT, _public_key, uri=self._uri, pin=pin, runtime=runtime)
        except PinRefused as error:
            self._refused = error
            raise
        self._process = process
        return public


def _signature(answer: dict[str, Any]) -> bytes:
    return base64url.decode(answer["signature"])


def _public_key(answer: dict[str, Any]) -> PublicKey:
    try:
        return publickey.parse(answer["jwk"])
    except BadJwk as error:
        raise Unavailable(f"the key on the token cannot be an account's: {error}") from error


@dataclass(frozen=True)
class OnToken(Held):
    """The key of an account, whose signatures are not waited for in the event loop."""

    key: TokenKey
    uri: None = None

    async def sign(self, data: bytes) -> bytes:
        return await asyncio.to_thread(self.key.sign, data)

    async def close(self) -> None:
        await asyncio.to_thread(self.key.close)


async def open_key(account: Account, credentials: Path) -> OnToken:
    """With the PIN of the account's credential. Raises Unavailable."""
    pin, runtime = _pin(account, credentials), os.environ.get("RUNTIME_DIRECTORY")
    sealed = paths.PIN_CREDENTIALS / account.name
    try:
        return OnToken(await _opened(str(account.key), pin, Path(runtime) if runtime else None))
    except PinMissing as error:
        raise Unavailable(f"{error}: seal it as {sealed}, see acme-keyd(8)") from error
    except PinRefused as error:
        raise Unavailable(f"{error}; the PIN is that of {sealed}, see acme-keyd(8)") from error


async def _opened(uri: str, pin: bytes | None, runtime: Path | None) -> TokenKey:
    """When this is cancelled, the thread goes on, and closes the key that nobody has then."""
    opening = asyncio.create_task(asyncio.to_thread(TokenKey, uri, pin, runtime))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opening: "asyncio.Task[TokenKey]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.get_loop().run_in_executor(None, opening.result().close)


def _pin(account: Account, credentials: Path) -> bytes | None:
    pin = passphrase.sealed(credentials, f"pin_{account.name}")
    if pin == b"":
        raise Unavailable(f"its PIN, {paths.PIN_CREDENTIALS / account.name}, is empty")
    return pin
