# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures from acme-keyd (org.acmed.Key); no account key ever comes here."""

import asyncio
from dataclasses import dataclass
from typing import Any

from acmed import journal
from acmed.clientd.errors import ClientError, KeyUnavailable, NoSuchAccount, NotPermitted
from acmed.varlink import Client, ConnectionLost, VarlinkError

_TIMEOUT = 20.0  # seconds: a key in a smart card or behind a unit of its own is slow


@dataclass(frozen=True)
class PublicKey:
    """thumbprint: RFC 7638, SHA-256, base64url. uri: the account's URL, None before it was registered."""

    thumbprint: str
    uri: str | None


class Signer:
    """acme-keyd, for the accounts of all CAs. pauses (seconds) bridge its restart, as when an account is added."""

    def __init__(self, client: Client, pauses: tuple[float, ...] = (0.2, 0.8, 2.0)) -> None:
        self._client = client
        self._pauses = pauses

    async def public_key(self, account: str) -> PublicKey:
        """Raises NoSuchAccount or KeyUnavailable."""
        reply = await self._call("GetAccount", account)
        return PublicKey(str(reply["thumbprint"]), reply.get("uri"))

    async def sign(self, account: str, url: str, nonce: str, payload: str) -> dict[str, str]:
        """The flattened JWS to send; payload is base64url. Raises NoSuchAccount, KeyUnavailable or NotPermitted."""
        return _jws(await self._call("Sign", account, url=url, nonce=nonce, payload=payload))

    async def sign_lookup(self, account: str, url: str, nonce: str, by_next_key: bool) -> dict[str, str]:
        """newAccount with onlyReturnExisting. Raises as sign()."""
        return _jws(await self._call("SignLookup", account, url=url, nonce=nonce, next=by_next_key))

    async def sign_key_change(self, account: str, url: str, nonce: str) -> dict[str, str]:
        """The change to the account's next key. Raises as sign()."""
        return _jws(await self._call("SignKeyChange", account, url=url, nonce=nonce))

    async def _call(self, method: str, account: str, **parameters: str | bool) -> dict[str, Any]:
        for pause in (*self._pauses, None):
            try:
                return await self._client.call(method, timeout=_TIMEOUT, account=account, **parameters)
            except ConnectionLost as error:
                if pause is None:
                    raise KeyUnavailable(account, f"acme-keyd does not answer: {error}") from error
                journal.debug("acme-keyd went away, asking again in %s s: %s", pause, error)
                await asyncio.sleep(pause)
            except TimeoutError:
                raise KeyUnavailable(account, f"acme-keyd did not answer within {_TIMEOUT:g} s") from None
            except VarlinkError as error:
                raise _refusal(account, error) from error
        raise AssertionError("the last pause is None")


def _jws(reply: dict[str, Any]) -> dict[str, str]:
    return {name: str(reply[name]) for name in ("protected", "payload", "signature")}


def _refusal(account: str, error: VarlinkError) -> ClientError:
    match error.name:
        case "org.acmed.Key.UnknownAccount":
            return NoSuchAccount(account)
        case "org.acmed.Key.NotPermitted":
            return NotPermitted(account, str(error.parameters.get("rule", "")))
        case "org.acmed.Key.KeyUnavailable":
            return KeyUnavailable(account, str(error.parameters.get("reason", "")))
        case _:
            return KeyUnavailable(account, f"acme-keyd answered {error}")
