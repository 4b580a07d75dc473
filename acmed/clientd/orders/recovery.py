# SPDX-License-Identifier: LGPL-2.1-or-later
"""An order that the CA made, while its answer to newOrder was lost: it is found in the account's list of orders
(RFC 8555 section 7.1.2.1), before newOrder is sent again.

Where the list is the account object says. acme-keyd signs no request for that without a permit, so it is noted when the
CA shows it, as at the registration. Without a list, newOrder is sent again: a CA that has none, as Let's Encrypt, gives
the same order again while that is pending.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from acmed import journal
from acmed.clientd.ca import objects, rfc3339
from acmed.clientd.ca.links import links
from acmed.clientd.ca.session import Session
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, ClientError, Unreachable
from acmed.clientd.notes import Notes
from acmed.clientd.orders.shown import UNFINISHED, checked, is_gone
from acmed.clientd.orders.store import Store
from acmed.names import Identifier

_PAGES = 1000  # some CAs have no more than three orders on each; the time for all of it is limited, too
_AT_EACH_END = 5  # orders that are looked at: CAs add new ones to the list's end, or to its beginning


class Recovery:
    """For one newOrder. payload: what it says."""

    def __init__(
        self,
        session: Session,
        store: Store,
        certificate: str,
        identifiers: Collection[Identifier],
        payload: Mapping[str, Any],
    ) -> None:
        self._session = session
        self._store = store
        self._certificate = certificate
        self._identifiers = identifiers
        self._payload = payload
        self._seen: set[str] = set()
        self._is_in_doubt = False  # the CA may have an order, or make one, whatever it says to the next newOrder
        self._list = session.authority.notes.read(_of_list(session.uri)).get("orders")

    async def begun(self) -> Answer | None:
        """What find() gives where the same newOrder was sent by a process that never came to keep the order. From here
        on this one is such a process, until settle() or refused().
        """
        if not isinstance(self._list, str):
            return None
        notes, subject = self._session.authority.notes, _of_request(self._certificate)
        sent = {"account": self._session.uri, "payload": dict(self._payload)}
        before = notes.read(subject)
        notes.write(subject, **sent)
        return await self._search() if sent.items() <= before.items() else None

    async def find(self) -> Answer | None:
        """The order whose answer was lost just now, as newOrder would have answered, or None: then newOrder has to be
        sent, to a CA that may still come to the one before.
        """
        self._is_in_doubt = True
        return await self._search()

    def refused(self, error: AcmeError) -> None:
        """That is the CA's own word that there is no order, unless another answer was lost before it."""
        if not self._is_in_doubt and error.is_refusal:
            settle(self._session.authority.notes, self._certificate)

    async def _search(self) -> Answer | None:
        """As find(). Whatever is wrong with the list or on the way to it, newOrder remains to be sent. All of it takes
        no longer than one request may.
        """
        if not isinstance(self._list, str):
            return None
        within = self._session.account.deadlines.request
        try:
            async with asyncio.timeout(within):
                return await self._find(self._list)
        except (ClientError, TimeoutError) as error:
            why = f"it takes more than {within} s" if isinstance(error, TimeoutError) else error
            journal.notice("The list of the account's orders cannot be used: %s", why)
            self._is_in_doubt = True
            return None

    async def _find(self, first: str) -> Answer | None:
        listed = await self._listed(first)
        kept_here = await self._store.urls()
        for url in dict.fromkeys([*reversed(listed[-_AT_EACH_END:]), *listed[:_AT_EACH_END]]):
            if url in self._seen or url in kept_here:
                continue
            self._seen.add(url)
            answer = await self._answer(url)
            if answer is not None and self._fits(answer):
                journal.notice("The CA had made the order, and only its answer was lost", order=url)
                return replace(answer, headers={**answer.headers, "location": url})
        return None

    async def _listed(self, first: str) -> list[str]:
        """The first URLs in the list and the last ones. Raises any ClientError."""
        pages = [first]
        urls: list[str] = []
        for number in range(_PAGES):
            answer = await self._session.get(pages[number])
            found = answer.object().get("orders")
            urls += [url for url in found if isinstance(url, str)] if isinstance(found, list) else []
            urls = [*urls[:_AT_EACH_END], *urls[_AT_EACH_END:][-_AT_EACH_END:]]
            if not (following := [url for url in links(answer, "next") if url not in pages]):
                break
            pages.append(following[0])
        else:
            journal.notice("The list of the account's orders has more than %d pages: the rest is not read", _PAGES)
        return urls

    async def _answer(self, url: str) -> Answer | None:
        """An order, or None for what is none. Raises ClientError where it is in vain to ask for others."""
        try:
            return await self._session.get(url)
        except AcmeError as error:
            if not is_gone(error):
                raise
        except Unreachable as error:
            if error.lost:
                raise
        return None

    def _fits(self, answer: Answer) -> bool:
        """Whether it is an open order for the same identifiers, that shows what was asked for: without the profile, the
        begin or the end it is another one, such as for authorizations. What it replaces it may leave out. What was not
        asked for may be the CA's own choice.
        """
        try:
            order = checked(self._session, answer, self._identifiers)
        except Unreachable:
            return False
        until = objects.expires(answer)
        asked, shown = self._payload, answer.object()
        return (
            order.status.name in UNFINISHED
            and (until is None or until > self._session.authority.now() * 1_000_000)
            and ("profile" not in asked or shown.get("profile") == asked["profile"])
            and all(_is_same_time(shown.get(end), asked[end]) for end in ("notBefore", "notAfter") if end in asked)
            and ("replaces" not in asked or shown.get("replaces") in (None, asked["replaces"]))
        )


def _is_same_time(shown: Any, asked: str) -> bool:
    try:
        return rfc3339.microseconds(str(shown)) == rfc3339.microseconds(asked)
    except ValueError:
        return False


def settle(notes: Notes, certificate: str) -> None:
    """The order of the certificate's last newOrder is in the store, or there is none, or it is over."""
    notes.drop(_of_request(certificate))


def note_list(session: Session, uri: str, answer: Answer) -> None:
    """Keeps what an account object says of where the account's orders are listed. uri: the account's."""
    url = answer.object().get("orders")
    if isinstance(url, str):
        session.authority.notes.write(_of_list(uri), orders=url)


def _of_list(uri: str) -> str:
    return f"orders of {uri}"


def _of_request(certificate: str) -> str:
    return f"newOrder for {certificate}"
