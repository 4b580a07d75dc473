# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Key, for acme-clientd: signatures for what policy.py allows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acmed import base64url
from acmed.config import Account
from acmed.keyd import audit, binding, jws
from acmed.keyd.keyring import Held, Keyring, SigningKey, unavailable
from acmed.keyd.permits import Permits
from acmed.keyd.policy import Refused, allow
from acmed.keyd.request import KeyChange, Lookup, NewAccount, NotUnderstood, Request, understand
from acmed.varlink import Call, VarlinkError

_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")

Answer = dict[str, Any]


@dataclass(frozen=True)
class _Asked:
    """Who asks for a signature, for which account, and what the header is to say."""

    peer: Call
    account: Account
    url: str
    nonce: str


class KeyService:
    """Answers org.acmed.Key."""

    def __init__(self, accounts: Mapping[str, Account], keyring: Keyring, permits: Permits) -> None:
        self._accounts = accounts
        self._keyring = keyring
        self._permits = permits

    async def get_account(self, _: Call, account: str) -> Answer:
        configured, key = await self._find(account)
        return {
            "jwk": key.jwk,
            "thumbprint": key.thumbprint,
            "algorithm": key.algorithm,
            "uri": configured.uri,
        }

    async def sign(self, peer: Call, account: str, url: str, nonce: str, payload: str) -> Answer:
        configured, key = await self._find(account)
        asked = _Asked(peer, configured, url, nonce)
        try:
            body = base64url.decode(payload)
            request = understand(body)
        except (NotUnderstood, base64url.NotBase64Url) as error:
            raise _refusal(asked, None, str(error)) from error
        if isinstance(request, NewAccount):
            return await self._new_account(asked, request, body, key)
        rule = self._allow(asked, request, body)
        return await _answer(asked, request, rule, key, _by_kid(asked, key), payload)

    async def sign_lookup(self, peer: Call, account: str, url: str, nonce: str, next: bool) -> Answer:
        configured, key = await self._find(account)
        if next:
            key = Held(self._keyring.following(configured))
        asked, request = _Asked(peer, configured, url, nonce), Lookup(next)
        rule = self._allow(asked, request, b"")
        return await _answer(
            asked, request, rule, key, _by_jwk(asked, key), base64url.encode(b'{"onlyReturnExisting":true}')
        )

    async def sign_key_change(self, peer: Call, account: str, url: str, nonce: str) -> Answer:
        configured, key = await self._find(account)
        following = self._keyring.following(configured)
        asked, request = _Asked(peer, configured, url, nonce), KeyChange(following.thumbprint)
        rule = self._allow(asked, request, f"{key.thumbprint} {following.thumbprint}".encode())
        header = jws.protected_header(following.algorithm, None, url, jwk=following.jwk)
        change = base64url.encode(jws.compact({"account": configured.uri, "oldKey": _shown(asked, key)}))
        inner = base64url.encode(
            jws.compact(jws.flattened(header, change, following.sign(f"{header}.{change}".encode())))
        )
        return await _answer(asked, request, rule, key, _by_kid(asked, key), inner)

    async def _new_account(self, asked: _Asked, request: NewAccount, body: bytes, key: SigningKey) -> Answer:
        secret = self._keyring.binding(asked.account)
        rule = self._allow(asked, request, body)
        if asked.account.external is not None and secret is not None:
            bound = binding.bind(secret, asked.account.external, asked.url, _shown(asked, key))
            members = {"termsOfServiceAgreed": True, "contact": request.contact, "externalAccountBinding": bound}
            body = jws.compact(members)
        return await _answer(asked, request, rule, key, _by_jwk(asked, key), base64url.encode(body))

    async def _find(self, name: str) -> tuple[Account, SigningKey]:
        account = self._accounts.get(name)
        if account is None:
            raise VarlinkError("org.acmed.Key.UnknownAccount", account=name)
        return account, await self._keyring.find(account)

    def _allow(self, asked: _Asked, request: Request, body: bytes) -> str:
        """The rule by which it is signed. Raises NotPermitted."""
        try:
            if not _NONCE.fullmatch(asked.nonce):
                raise NotUnderstood("a nonce is base64url (RFC 8555 section 6.5.1)")
            return allow(request, asked.url, body, asked.account, self._permits)
        except (NotUnderstood, Refused) as error:
            raise _refusal(asked, request, str(error)) from error


def _by_kid(asked: _Asked, key: SigningKey) -> str:
    return jws.protected_header(key.algorithm, asked.nonce, asked.url, kid=asked.account.uri)


def _by_jwk(asked: _Asked, key: SigningKey) -> str:
    return jws.protected_header(key.algorithm, asked.nonce, asked.url, jwk=_shown(asked, key))


def _shown(asked: _Asked, key: SigningKey) -> dict[str, str]:
    """The public key. Raises KeyUnavailable."""
    if key.jwk is None:
        what = "a key for it that another host keeps to itself: the account cannot be looked up, so give its 'uri'"
        raise unavailable(asked.account.name, what)
    return key.jwk


async def _answer(asked: _Asked, request: Request, rule: str, key: SigningKey, protected: str, payload: str) -> Answer:
    try:
        signature = await key.sign(f"{protected}.{payload}".encode())
    except VarlinkError as error:  # another host's policy may be why
        audit.refused(asked.peer, asked.account.name, asked.url, request, str(error.parameters.get("reason", error)))
        raise
    audit.signed(asked.peer, asked.account.name, asked.url, request, rule)
    return jws.flattened(protected, payload, signature)


def _refusal(asked: _Asked, request: Request | None, rule: str) -> VarlinkError:
    audit.refused(asked.peer, asked.account.name, asked.url, request, rule)
    return VarlinkError("org.acmed.Key.NotPermitted", account=asked.account.name, rule=rule)
