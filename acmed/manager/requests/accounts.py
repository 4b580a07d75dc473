# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests about accounts, and about names that an account has validated without a certificate."""

from collections.abc import Callable, Mapping
from typing import Any

from acmed.bus import Variant
from acmed.bus.server import Call
from acmed.config import Account
from acmed.config.model import AccountKeyType
from acmed.manager import authority, errors, jobs, options
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job, Kind
from acmed.manager.known.state import AccountRequest
from acmed.manager.requests.desk import Desk, listed
from acmed.manager.ways.authorize import subject

_ADD = {
    "directory": "s",
    "contact": "as",
    "agree-tos": "b",
    "ca-pem": "s",
    "key-type": "s",
    "key": "s",
    "eab-key-id": "s",
    "eab-hmac": "s",
    "eab-algorithm": "s",
}
# In place of the one in polkit/org.acmed1.policy, which is about a certificate.
_MESSAGE = "Authentication is required to have $(identifiers) validated for the account $(account)"
# What rules are told of a key that the caller has, and others may have.
_IMPORTED = "imported"


class Accounts:
    """Each is done with one account at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def add(self, call: Call, name: str, given: Mapping[str, Variant]) -> Job:
        """Makes an account, or has the CA find it by its key where it is there already."""
        desk, values = self._desk, options.read(given, _ADD)
        binding, key, name = options.binding(values), options.private_key(values), options.name(name or "default")
        _, details = self._request(name, values)
        uid = await desk.authority.check(call, authority.MANAGE_ACCOUNTS, **details)
        wanted, now = self._request(name, values)
        if now != details:
            raise Failure(errors.BUSY, f"Account '{name}' changed meanwhile; look, and try again")
        directory = details["directory"]
        with desk.queue.hold(name, Kind.ACCOUNT) as number:
            # Secrets go where they are kept before anything of this is remembered here.
            if key:
                await desk.tools.daemons.priv(
                    "ImportAccountKey", job=number, account=name, directory=directory, key=key
                )
            if binding:
                await desk.tools.daemons.priv(
                    "SealBinding",
                    job=number,
                    account=name,
                    directory=directory,
                    keyId=binding.key_id,
                    hmacKey=values["eab-hmac"],
                    algorithm=binding.algorithm,
                )
            return desk.start(number, jobs.ACCOUNT, name, uid, account=wanted)

    async def update(self, call: Call, name: str, given: Mapping[str, Variant]) -> Job:
        """Gives the CA other contacts."""
        values = options.read(given, {"contact": "as"})
        if "contact" not in values:
            raise options.invalid("The option 'contact' is missing: mail addresses, or none")
        return await self._change(call, name, jobs.UPDATE_ACCOUNT, contact=options.contacts(values["contact"]))

    async def deactivate(self, call: Call, name: str, given: Mapping[str, Variant]) -> Job:
        """Ends an account at its CA, or here alone where it never had one there."""
        options.read(given, {})
        return await self._change(call, name, jobs.DEACTIVATE_ACCOUNT, self._removable)

    async def rollover(self, call: Call, name: str, given: Mapping[str, Variant]) -> Job:
        """Gives an account another key."""
        values = options.read(given, {"key-type": "s"})
        key_type = options.account_key_type(values.get("key-type", AccountKeyType.ECDSA_P256)).value
        account = self._registered(name)
        if account.key:
            raise options.keys_owner(account)
        return await self._change(call, name, jobs.ROLLOVER_KEY, key_type=key_type)

    async def authorize(self, call: Call, texts: list[str], given: Mapping[str, Variant]) -> Job:
        """Has names validated, and gets no certificate."""
        desk, values = self._desk, options.read(given, {"account": "s"})
        identifiers = options.identifiers(texts)
        if not identifiers:
            raise options.invalid("No identifiers: what is to be authorized?")
        account = desk.account(values.get("account")).name
        name = subject(account, identifiers)
        desk.queue.check_free(name, Kind.AUTHORIZATION)
        uid = await desk.authority.check(
            call, authority.ORDER, message=_MESSAGE, identifiers=listed(identifiers), account=account
        )
        desk.account(account)
        with desk.queue.hold(name, Kind.AUTHORIZATION) as number:
            wanted = tuple(map(str, identifiers))
            return desk.start(number, jobs.AUTHORIZE, name, uid, account_name=account, identifiers=wanted)

    def _request(self, name: str, values: Mapping[str, Any]) -> tuple[AccountRequest, dict[str, str]]:
        """What is to be added, and what polkit is told of it. Raises DBusError where it cannot be."""
        desk = self._desk
        if "directory" not in values:  # which may be what was wrong
            desk.catalogue.check_left_out(name)
        known = desk.catalogue.configuration.accounts.get(name)
        wanted = options.account_request(values, known)
        directory = wanted.directory or (known.directory if known else "")
        desk.queue.check_free(name, Kind.ACCOUNT)
        if known and directory != known.directory:
            self._check_never_asked(name)
        details = {"account": name, "directory": directory}
        if key_type := _IMPORTED if "key" in values else wanted.key_type:
            details["key_type"] = key_type
        return wanted, details

    async def _change(
        self, call: Call, name: str, kind: str, look: Callable[[str], Account] | None = None, **more: object
    ) -> Job:
        """look: raises Failure where it cannot be; without it, it is to be registered."""
        desk, look = self._desk, look or self._registered
        account = look(name)
        details = {"account": name, "directory": account.directory}
        if "key_type" in more:
            details["key_type"] = str(more["key_type"])
        uid = await desk.authority.check(call, authority.MANAGE_ACCOUNTS, **details)
        look(name)
        with desk.queue.hold(name, Kind.ACCOUNT) as number:
            return desk.start(number, kind, name, uid, **more)

    def _removable(self, name: str) -> Account:
        """Of one that is registered, acme-privd says whether it is."""
        account = self._desk.account(name)
        if account.uri is not None:
            return self._registered(name)
        self._desk.queue.check_free(name, Kind.ACCOUNT)
        self._check_never_asked(name)
        certificates = self._desk.catalogue.configuration.certificates.values()
        if users := [one.name for one in certificates if name in one.accounts]:
            message = f"Account '{name}' is used by {', '.join(sorted(users))}: give them another one, or forget them"
            raise Failure(errors.INVALID_CONFIGURATION, message)
        return account

    def _check_never_asked(self, name: str) -> None:
        """That there is nothing at a CA which only the account's key can be used for. Raises Failure."""
        if directory := self._desk.catalogue.account(name).asked:
            raise options.perhaps_registered(name, directory)

    def _registered(self, name: str) -> Account:
        account = self._desk.account(name)
        self._desk.queue.check_free(name, Kind.ACCOUNT)
        if account.uri is None:
            raise options.unregistered(name)
        return account
