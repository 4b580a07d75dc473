# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signed requests of one account at its CA (RFC 8555 sections 6.2 and 6.3)."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from acmed.clientd import objects
from acmed.clientd.authority import Authority
from acmed.clientd.errors import AcmeError, Unreachable
from acmed.clientd.patience import Patience, persist
from acmed.clientd.signer import Signer
from acmed.clientd.transport import Answer
from acmed.config.model import Account


class Session:
    """One account. Requests that were lost, or refused for a passing reason, are signed and sent again."""

    def __init__(self, account: Account, authority: Authority, signer: Signer) -> None:
        self.account = account
        self.authority = authority
        self.signer = signer

    async def post(self, url: str, payload: Mapping[str, Any], *, repeatable: bool = False) -> Answer:
        """POST. A lost answer is asked for again in any case: each request of RFC 8555 may arrive twice.

        repeatable: so is one that was answered with a 5xx. Raises AcmeError for a refusal, and any ClientError.
        """
        return await self._request(url, payload, "application/json", repeatable)

    async def get(self, url: str, *, accept: str = "application/json") -> Answer:
        """POST-as-GET. Raises as post()."""
        return await self._request(url, None, accept, repeatable=True)

    def location(self, answer: Answer) -> str:
        """The URL of what was created, of the CA's origin. Raises Unreachable."""
        url = answer.headers.get("location")
        if url is None:
            raise Unreachable(answer.url, f"answered {answer.title} without a Location")
        self.authority.check(url)
        return url

    async def _request(self, url: str, payload: Mapping[str, Any] | None, accept: str, repeatable: bool) -> Answer:
        self.authority.check(url)
        encoded = "" if payload is None else b64url(json.dumps(payload).encode())

        async def attempt() -> Answer:
            nonce = await self.authority.nonce()
            jws = await self.signer.sign(self.account.name, url, nonce, encoded)
            answer = await self.authority.exchange("POST", url, accept=accept, jws=jws, payload=payload)
            if answer.status >= 400:
                raise self._refusal(answer)
            return answer

        return await persist(attempt, Patience(self.authority.limits, repeatable))

    def _refusal(self, answer: Answer) -> AcmeError:
        error = objects.refusal(answer)
        advice = {
            "accountDoesNotExist": f"run `acmectl account add {self.account.name}` again",
            "externalAccountRequired": "this CA opens accounts only with an external account binding, a key id and "
            "HMAC key from the CA itself, which this version of acmed cannot send",
            "userActionRequired": "open the address that the CA names, agree there, and try again",
        }.get(error.type)
        if advice:
            links = answer.headers.get("link", "")
            terms = f"; {links}" if error.type == "userActionRequired" and "terms-of-service" in links else ""
            error.problem = error.problem.update(detail=f"{error.problem.detail}: {advice}{terms}")
        return error


def b64url(data: bytes) -> str:
    """RFC 7515 section 2: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
