# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signed requests of one account at its CA (RFC 8555 sections 6.2 and 6.3)."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from acmed import base64url
from acmed.clientd.ca import objects
from acmed.clientd.ca.authority import Authority
from acmed.clientd.ca.links import links
from acmed.clientd.ca.patience import persist
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, ClientError, Unreachable
from acmed.clientd.signer import Signer
from acmed.config.model import Account

_JSON = "application/json"

Sign = Callable[[str, str], Awaitable[dict[str, str]]]  # by URL and nonce
Failed = Callable[[ClientError], None]
Instead = Callable[[], Awaitable[Answer | None]]


async def nothing() -> None:
    """What is done before a request is sent again that nothing can be done instead of."""


class Session:
    """One account. Requests that were lost, or refused for a passing reason, are signed and sent again."""

    def __init__(self, account: Account, authority: Authority, signer: Signer) -> None:
        self.account = account
        self.authority = authority
        self.signer = signer
        # For something to be made, or for the account: such a request was sent, whatever came of it.
        self.has_asked = False

    @property
    def uri(self) -> str:
        """The account's URL. Raises AcmeError where it is not registered."""
        if self.account.uri is None:
            name, where = self.account.name, self.account.directory
            detail = f"the account is not registered at {where}: run `acmectl account add {name}`"
            raise AcmeError.told(where, detail, "accountDoesNotExist")
        return self.account.uri

    async def post(self, url: str, payload: Mapping[str, Any], *, repeatable: bool = False) -> Answer:
        """POST. A lost answer is asked for again in any case: each request of RFC 8555 may arrive twice.

        repeatable: so is one that was answered with a 5xx. Raises AcmeError for a refusal, and any ClientError.
        """
        return await self._send(url, self._signing(json.dumps(payload).encode()), repeatable, payload=payload)

    async def post_to(self, resource: str, payload: Mapping[str, Any]) -> Answer:
        """POST to a resource of the directory (newOrder), wherever that is now. Raises as post()."""
        return await self.authority.resources.located(resource, lambda url: self.post(url, payload))

    async def create(self, resource: str, payload: Mapping[str, Any], instead: Instead) -> Answer:
        """POST to a resource that makes something, whose URL the answer has in its header. instead: what is done before
        it is sent again as its answer was lost; it may give the answer. Raises as post_to().
        """
        signing = self._signing(json.dumps(payload).encode())

        async def sign(url: str, nonce: str) -> dict[str, str]:
            jws = await signing(url, nonce)
            self.has_asked = True  # it is sent next
            return jws

        async def ask(url: str) -> Answer:
            answer = await self._send(url, sign, repeatable=False, payload=payload, instead=instead)
            self.location(answer)
            return answer

        return await self.authority.resources.located(resource, ask)

    async def get(self, url: str, *, accept: str = _JSON) -> Answer:
        """POST-as-GET. Raises as post()."""
        return await self._send(url, self._signing(b""), repeatable=True, accept=accept)

    async def lookup(self, by_next_key: bool) -> Answer:
        """newAccount that makes no account (RFC 8555 section 7.3.1). Raises as post()."""

        async def sign(url: str, nonce: str) -> dict[str, str]:
            jws = await self.signer.sign_lookup(self.account.name, url, nonce, by_next_key)
            self.has_asked = True  # it is sent next
            return jws

        return await self.authority.resources.located("newAccount", lambda url: self._send(url, sign, repeatable=True))

    async def change_key(self, failed: Failed) -> Answer:
        """keyChange (RFC 8555 section 7.3.5). failed is told of each request that was sent and did not succeed. Raises
        as post().
        """

        async def sign(url: str, nonce: str) -> dict[str, str]:
            return await self.signer.sign_key_change(self.account.name, url, nonce)

        return await self.authority.resources.located(
            "keyChange", lambda url: self._send(url, sign, repeatable=False, failed=failed)
        )

    def location(self, answer: Answer) -> str:
        """The URL of what was created, of the CA's origin. Raises Unreachable."""
        url = answer.headers.get("location")
        if url is None:
            raise Unreachable(answer.url, f"answered {answer.title} without a Location")
        self.authority.check(url)
        return url

    def _signing(self, payload: bytes) -> Sign:
        async def sign(url: str, nonce: str) -> dict[str, str]:
            return await self.signer.sign(self.account.name, url, nonce, base64url.encode(payload))

        return sign

    async def _send(
        self,
        url: str,
        sign: Sign,
        repeatable: bool,
        *,
        accept: str = _JSON,
        payload: object = None,
        failed: Failed = lambda _: None,
        instead: Instead = nothing,
    ) -> Answer:
        self.authority.check(url)

        lost = False

        async def attempt(within: float) -> Answer:
            nonlocal lost
            if lost and (found := await instead()) is not None:
                return found
            nonce = await self.authority.nonce(within)
            jws = await sign(url, nonce)
            try:
                answer = await self.authority.exchange("POST", url, within, accept=accept, jws=jws, payload=payload)
                if answer.status >= 400:
                    raise self._refusal(answer)
            except ClientError as error:
                failed(error)
                lost = lost or (isinstance(error, Unreachable) and error.lost)
                raise
            return answer

        return await persist(attempt, self.authority.patience(repeatable))

    def _refusal(self, answer: Answer) -> AcmeError:
        error = objects.refusal(answer)
        match error.type:
            case "accountDoesNotExist":
                error.advise(f"run `acmectl account add {self.account.name}` again")
            case "userActionRequired":
                terms = "; ".join(links(answer, "terms-of-service"))
                error.advise(
                    "open the address that the CA names, agree there, and try again"
                    + (f"; its terms of service are now {terms}" if terms else "")
                )
        return error
