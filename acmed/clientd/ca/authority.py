# SPDX-License-Identifier: LGPL-2.1-or-later
"""One CA: its directory, its nonces, and the one origin where requests may go."""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any
from urllib.parse import urljoin

from acmed import journal
from acmed.clientd.ca import objects
from acmed.clientd.ca.nonces import Nonces
from acmed.clientd.ca.patience import Patience, persist
from acmed.clientd.ca.resources import Resources
from acmed.clientd.ca.retryafter import http_date
from acmed.clientd.ca.transport import Answer, Route, Transport
from acmed.clientd.errors import Unreachable
from acmed.clientd.limits import Limits
from acmed.clientd.notes import Notes
from acmed.config.model import Account, origin

_REDIRECTS = 3
_NONCES_AT_ONCE = 4  # Let's Encrypt allows 20 newNonce requests per second and address
_SHOWN = 4000  # characters of a body in the journal, at level debug
# RFC 3986, without a fragment: what the JWS names is exactly what is sent.
_URL = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]{1,2048}")


class Authority:
    """Everything that goes to one CA by one route passes through here. deadline: seconds for a request. notes: what is
    known of it from earlier runs. turns: of those who must not do the same at once.
    """

    def __init__(
        self, transport: Transport, directory_url: str, route: Route, limits: Limits, deadline: float, notes: Notes
    ) -> None:
        self.directory_url = directory_url
        self.limits = limits
        self._transport = transport
        self._route = route
        self._deadline = deadline
        self._nonces = Nonces()
        self.notes = notes
        self.resources = Resources(directory_url, self._fetch_directory, self.check, notes)
        self.turns: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._has_answered = False
        self._clock: tuple[float, float] | None = None  # monotonic time, and what the CA's clock said then
        self._asking = asyncio.Semaphore(_NONCES_AT_ONCE)

    def patience(self, repeatable: bool) -> Patience:
        """For one request."""
        return Patience(self.limits, self._deadline, repeatable)

    async def nonce(self, within: float) -> str:
        """One that came with an earlier answer, else a new one."""
        if (nonce := self._nonces.take()) is not None:
            return nonce
        async with self._asking:
            if (nonce := self._nonces.take()) is not None:
                return nonce
            return await self.resources.located("newNonce", lambda url: self._new_nonce(url, within))

    async def meet(self) -> None:
        """Has it answer something, where it has not yet: a nonce, which is kept for the next request. Then now() is by
        its clock. Raises Unreachable or AcmeError.
        """
        if not self._has_answered:
            self._nonces.put(await persist(self.nonce, self.patience(repeatable=True)))

    def now(self) -> float:
        """Seconds since the epoch by the CA's clock, as its last answer had it; by this host's before there was one."""
        if self._clock is None:
            return time.time()
        moment, date = self._clock
        return date + time.monotonic() - moment

    async def exchange(
        self,
        method: str,
        url: str,
        within: float,
        *,
        accept: str = "application/json",
        jws: Mapping[str, str] | None = None,
        payload: object = None,
    ) -> Answer:
        """One request at the CA's origin; keeps the nonce of its answer, also of an error's. Raises Unreachable.

        within: seconds for it. payload is what jws signs, for the journal.
        """
        self.check(url)
        headers = {"Accept": accept}
        body = None
        if jws is not None:
            headers["Content-Type"] = "application/jose+json"
            body = json.dumps(jws).encode()
        answer = await self._transport.exchange(self._route, method, url, headers, body, within)
        self._has_answered = True
        self._nonces.put(answer.headers.get("replay-nonce"))
        if (date := http_date(answer.headers.get("date", ""))) is not None:
            self._clock = (time.monotonic(), date + 0.5)  # the field has whole seconds, cut off
        _log(method, answer, payload)
        if 300 <= answer.status < 400:
            target = answer.headers.get("location", "nowhere")
            if method != "GET":
                raise Unreachable(url, f"redirects to {target}, and redirects are not followed")
        return answer

    def check(self, url: str) -> None:
        """Raises Unreachable for a URL that is not of the directory's origin; acme-keyd would not sign for it."""
        try:
            fits = bool(_URL.fullmatch(url)) and origin(url) == self._route.origin
        except ValueError:
            fits = False
        if not fits:
            raise Unreachable(
                url, f"is not a URL of the CA at {self.directory_url}: requests go to its own origin only"
            )

    async def _new_nonce(self, url: str, within: float) -> str:
        answer = await self.exchange("HEAD", url, within)
        if answer.status >= 400:
            error = objects.refusal(answer)
            error.unsent = True
            raise error
        if (nonce := self._nonces.take()) is None:
            raise Unreachable(url, "newNonce answered without a usable nonce")
        return nonce

    async def _fetch_directory(self) -> Answer:
        return await persist(self._get_directory, self.patience(repeatable=True))

    async def _get_directory(self, within: float) -> Answer:
        url = self.directory_url
        for _ in range(_REDIRECTS + 1):
            answer = await self.exchange("GET", url, within)
            if answer.status < 300:
                return answer
            if answer.status >= 400:
                raise objects.refusal(answer)
            target = urljoin(url, answer.headers.get("location", ""))
            try:
                self.check(target)
            except Unreachable:
                raise Unreachable(url, f"the directory redirects to {target}, which is not followed") from None
            url = target
        raise Unreachable(self.directory_url, f"the directory redirects more than {_REDIRECTS} times")


class Authorities:
    """The CAs that this process talks to."""

    def __init__(self, transport: Transport, limits: Limits, notes: Notes) -> None:
        self._transport = transport
        self._limits = limits
        self.notes = notes
        self._known: dict[tuple[str, Route, float], Authority] = {}

    def of(self, account: Account) -> Authority:
        """The CA of an account, by the way that its configuration gives. Raises Unreachable for a URL that is none."""
        try:
            route = Route(account.origin, account.ca_file, account.proxy)
        except ValueError as error:
            raise Unreachable(account.directory, str(error)) from None
        deadline = account.deadlines.request
        key = (account.directory, route, deadline)
        if key not in self._known:
            self._known[key] = Authority(self._transport, account.directory, route, self._limits, deadline, self.notes)
        return self._known[key]


def _log(method: str, answer: Answer, payload: Any) -> None:
    """What was asked and answered, without nonce and signature: neither is part of payload or body."""
    if journal.level() != "debug":
        return
    asked = "" if payload is None else f" {json.dumps(payload)[:_SHOWN]}"
    text = answer.body[:_SHOWN].decode(errors="backslashreplace")
    journal.debug(
        "%s %s%s -> %s %s, %d bytes: %s",
        method, answer.url, asked, answer.title, answer.content_type, len(answer.body), text,
    )  # fmt: skip
