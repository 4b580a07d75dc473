# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all handlers have: accounts by their names, and errors that are the interface's own."""

import asyncio
import base64
import binascii
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from acmed import journal, varlink
from acmed.clientd.accounts.outstanding import Outstanding
from acmed.clientd.ca.authority import Authorities, Authority
from acmed.clientd.ca.session import Session
from acmed.clientd.errors import AcmeError, NoSuchAccount, Unreachable
from acmed.clientd.orders.store import Store
from acmed.clientd.signer import Signer
from acmed.clientd.standing import Inquiry
from acmed.config.model import Account, Configuration
from acmed.varlink import VarlinkError, invalid_parameter

Reply = dict[str, Any]


class Answering:
    """configuration is asked at each call, so that an account is known as soon as it is configured."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        authorities: Authorities,
        signer: Signer,
        store: Store,
        inquiry: Inquiry,
        outstanding: Outstanding,
    ) -> None:
        self._configuration = configuration
        self._authorities = authorities
        self._signer = signer
        self._store = store
        self._inquiry = inquiry
        self._outstanding = outstanding
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # a call for each certificate at once

    def _session(self, name: str) -> Session:
        account = self._account(name)
        return Session(account, self._authorities.of(account), self._signer)

    def _authority(self, name: str) -> Authority:
        return self._authorities.of(self._account(name))

    def _account(self, name: str) -> Account:
        account = self._configuration().accounts.get(name)
        if account is None:
            raise NoSuchAccount(name)
        return account


@contextmanager
def answering(**fields: Any) -> Iterator[None]:
    """Adds journal fields, and turns the errors of this daemon into those of the interface."""
    with varlink.answering(**fields):
        try:
            yield
        except OSError as error:
            journal.error("The kept orders cannot be used: %s", error)
            raise VarlinkError("org.acmed.InternalError") from error


@contextmanager
def telling_unsent(session: Session) -> Iterator[None]:
    """Adds to an error that the CA was not asked for what this is about, where that is so."""
    try:
        yield
    except (Unreachable, AcmeError) as error:
        if not session.has_asked:
            error.parameters["unsent"] = True
        raise


def decoded(text: str, parameter: str) -> bytes:
    """What is in base64. Raises VarlinkError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_parameter(parameter) from None
