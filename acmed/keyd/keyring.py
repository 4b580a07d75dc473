# SPDX-License-Identifier: LGPL-2.1-or-later
"""The accounts' keys, wherever they are: credentials of our own, or in a key store (org.acmed.Store).

A store signs what it is given, so nothing is handed to one that signing.py has not allowed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acmed import base64url
from acmed.config import Account
from acmed.keyd.credentials import Credentials
from acmed.keyd.keys import Held, Key, SigningKey
from acmed.varlink import Client, ConnectionLost, VarlinkError, load

# Less than acme-clientd and acme-privd wait for us, so that they are told whose fault it is (seconds).
_TIMEOUT = 12.0


@dataclass(frozen=True)
class Stored:
    """A key in a store."""

    account: Account
    store: Client
    jwk: dict[str, str] | None
    algorithm: str
    thumbprint: str

    async def sign(self, data: bytes) -> bytes:
        answer = await _ask(self.store, "Sign", self.account, input=data.decode())
        try:
            return base64url.decode(answer["signature"])
        except base64url.NotBase64Url as error:
            raise unavailable(self.account.name, "a key store whose signature is not base64url") from error


class Keyring:
    """Finds an account's key. stores: the directory with the stores' sockets."""

    def __init__(self, credentials: Credentials, stores: Path) -> None:
        self._credentials = credentials
        self._stores = stores

    async def find(self, account: Account) -> SigningKey:
        """Raises VarlinkError KeyUnavailable."""
        if account.key is not None:
            return await self._stored(
                account, Client(load("org.acmed.Store"), self._stores / f"{account.key.kind}.sock")
            )
        key = self._credentials.keys.get(account.name)
        if key is None:
            what = f"no usable key for it; run acmectl account add {account.name} or see its journal"
            raise unavailable(account.name, what)
        return Held(key)

    def following(self, account: Account) -> Key:
        """The key that is to follow, which only a credential can be. Raises as find()."""
        key = self._credentials.next_keys.get(account.name)
        if key is None:
            what = f"no key that is to follow; run acmectl account rollover {account.name} or see its journal"
            raise unavailable(account.name, what)
        return key

    def binding(self, account: Account) -> bytes | None:
        """The HMAC key of an account that is to be bound. Raises as find()."""
        if account.external is None:
            return None
        if account.name not in self._credentials.bindings:
            what = (
                f"no usable HMAC key for its external account binding {account.external.key_id!r}; run acmectl account "
                f"add {account.name} with --eab-key-id and --eab-hmac-file, or see its journal"
            )
            raise unavailable(account.name, what)
        return self._credentials.bindings[account.name]

    async def _stored(self, account: Account, store: Client) -> Stored:
        answer = await _ask(store, "GetKey", account)
        if account.uri is not None and answer["uri"] not in (None, account.uri):
            what = f"a key store in which the key is that of {answer['uri']}, not of the account's 'uri', {account.uri}"
            raise unavailable(account.name, what)
        return Stored(account, store, answer["jwk"], answer["algorithm"], answer["thumbprint"])


def unavailable(account: str, what: str) -> VarlinkError:
    return VarlinkError("org.acmed.Key.KeyUnavailable", account=account, reason=f"acme-keyd has {what}")


async def _ask(store: Client, method: str, account: Account, **parameters: Any) -> dict[str, Any]:
    unit = f"acme-store-{account.key.kind}.service" if account.key else ""
    try:
        return await store.call(method, timeout=_TIMEOUT, account=account.name, **parameters)
    except VarlinkError as error:
        reason = str(error.parameters.get("reason") or f"{unit} answered {error}")
        raise VarlinkError("org.acmed.Key.KeyUnavailable", account=account.name, reason=reason) from error
    except (ConnectionLost, TimeoutError) as error:
        reason = f"{unit} does not answer: {str(error) or f'nothing within {_TIMEOUT:g} s'}; see: journalctl -u {unit}"
        raise VarlinkError("org.acmed.Key.KeyUnavailable", account=account.name, reason=reason) from error
