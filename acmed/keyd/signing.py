# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Key, for acme-clientd: signatures for what policy.py allows."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from acmed import base64url
from acmed.config import Account
from acmed.keyd import audit, binding, jws
from acmed.keyd.keyring import Keyring, unavailable
from acmed.keyd.keys import Held, SigningKey
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
        configured = self._account(account)
        key = await self._keyring.find(configured)
        return {
            "jwk": key.jwk,
            "thumbprint": key.thumbprint,
            "algorithm": key.algorithm,
            "uri": configured.uri,
        }

    async def sign(self, peer: Call, account: str, url: str, nonce: str, payload: str) -> Answer:
        asked = _Asked(peer, self._account(account), url, nonce)
        try:
            body = base64url.decode(payload)
            request = understand(body)
        except (NotUnderstood, base64url.NotBase64Url) as error:
            raise _refusal(asked, None, str(error)) from error
        if isinstance(request, NewAccount):
            return await self._new_account(asked, request, body)
        rule = self._allow(asked, request, body)
        with _recorded(asked, request, rule):
            key = await self._keyring.find(asked.account)
            return await _signed(key, _by_kid(asked, key), payload)

    async def sign_lookup(self, peer: Call, account: str, url: str, nonce: str, next: bool) -> Answer:
        asked, request = _Asked(peer, self._account(account), url, nonce), Lookup(next)
        rule = self._allow(asked, request, b"")
        with _recorded(asked, request, rule):
            following = Held(self._keyring.following(asked.account)) if next else None
            key = following or await self._keyring.find(asked.account)
            return await _signed(key, _by_jwk(asked, key), base64url.encode(b'{"onlyReturnExisting":true}'))

    async def sign_key_change(self, peer: Call, account: str, url: str, nonce: str) -> Answer:
        configured = self._account(account)
        following = self._keyring.following(configured)  # of which a key in a store has none
        key = await self._keyring.find(configured)
        asked, request = _Asked(peer, configured, url, nonce), KeyChange(following.thumbprint)
        rule = self._allow(asked, request, f"{key.thumbprint} {following.thumbprint}".encode())
        with _recorded(asked, request, rule):
            header = jws.protected_header(following.algorithm, None, url, jwk=following.jwk)
            change = base64url.encode(jws.compact({"account": configured.uri, "oldKey": _shown(asked, key)}))
            inner = jws.flattened(header, change, following.sign(f"{header}.{change}".encode()))
            return await _signed(key, _by_kid(asked, key), base64url.encode(jws.compact(inner)))

    async def _new_account(self, asked: _Asked, request: NewAccount, body: bytes) -> Answer:
        secret = self._keyring.binding(asked.account)
        rule = self._allow(asked, request, body)
        with _recorded(asked, request, rule):
            key = await self._keyring.find(asked.account)
            if asked.account.external is not None and secret is not None:
                bound = binding.bind(secret, asked.account.external, asked.url, _shown(asked, key))
                members = {"termsOfServiceAgreed": True, "contact": request.contact, "externalAccountBinding": bound}
                body = jws.compact(members)
            return await _signed(key, _by_jwk(asked, key), base64url.encode(body))

    def _account(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            raise VarlinkError("org.acmed.Key.UnknownAccount", account=name)
        return account

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


async def _signed(key: SigningKey, protected: str, payload: str) -> Answer:
    return jws.flattened(protected, payload, await key.sign(f"{protected}.{payload}".encode()))


@contextmanager
def _recorded(asked: _Asked, request: Request, rule: str) -> Iterator[None]:
    """Puts on record what was signed inside, before anybody gets it, or why what was allowed was not."""
    try:
        yield
    except VarlinkError as error:
        reason = str(error.parameters.get("reason", error))
        audit.unavailable(asked.peer, asked.account.name, asked.url, request, rule, reason).record()
        raise
    audit.signed(asked.peer, asked.account.name, asked.url, request, rule).record()


def _refusal(asked: _Asked, request: Request | None, rule: str) -> VarlinkError:
    audit.refused(asked.peer, asked.account.name, asked.url, request, rule).record()
    return VarlinkError("org.acmed.Key.NotPermitted", account=asked.account.name, rule=rule)
