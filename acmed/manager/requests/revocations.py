# SPDX-License-Identifier: LGPL-2.1-or-later
"""Revoke and RevokeOther"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

from acmed.bus import Variant
from acmed.bus.server import Call
from acmed.manager import authority, errors, jobs, options
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job, Kind
from acmed.manager.known import installed
from acmed.manager.requests import foreign
from acmed.manager.requests.desk import Desk, listed
from acmed.reasons import KEY_COMPROMISE, REASONS

# In place of the one in polkit/org.acmed1.policy, which is about a certificate with a name.
_MESSAGE = "Authentication is required to revoke a certificate for $(identifiers), which is not managed here"
_MESSAGE_SHARING = "Authentication is required to end the key of $(certificate), by revoking a certificate that has it"


class Revocations:
    """The requests to end what cannot be taken back."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def revoke(self, call: Call, name: str, reason: int, given: Mapping[str, Variant]) -> Job:
        """Revokes what is installed, and has it replaced."""
        desk, values = self._desk, options.read(given, {"replace": "b", "certificate-key": "b"})
        word = _reason(reason)
        desk.check_issued(name)
        uid = await desk.authority.check(call, authority.REVOKE, reason=word, **desk.details(name))
        desk.check_issued(name)
        with desk.queue.hold(name) as number:
            return desk.begin(
                number,
                jobs.REVOKE,
                name,
                uid,
                reason=reason,
                replace=values.get("replace", True),
                certificate_key=values.get("certificate-key", False),
            )

    async def revoke_other(self, call: Call, der: bytes, reason: int, given: Mapping[str, Variant]) -> Job:
        """Revokes a certificate that may not be ours, as an account that has authorizations for its names. One that is
        installed here is treated, and asked for, as by its name.
        """
        desk, values = self._desk, options.read(given, {"account": "s", "replace": "b"})
        word, identifiers, name = _reason(reason), foreign.certificate(der), foreign.digest(der)
        if managed := self._managed(name):
            return await self._revoke_given(call, managed, der, reason, values)
        account = desk.account(values.get("account")).name
        desk.queue.check_free(name, Kind.FOREIGN)
        sharing = await self._sharing(der, reason)
        details = self._details(sharing, name, identifiers, account)
        message = _MESSAGE_SHARING if sharing else _MESSAGE
        uid = await desk.authority.check(call, authority.REVOKE, message=message, reason=word, **details)
        is_other = await self._sharing(der, reason) != sharing
        desk.account(account)
        if is_other or self._managed(name):
            raise Failure(errors.BUSY, "That certificate, or one that has its key, was installed meanwhile; try again")
        with desk.queue.hold(name, Kind.FOREIGN) as number:
            encoded = base64.b64encode(der).decode()
            return desk.start(
                number,
                jobs.REVOKE,
                name,
                uid,
                reason=reason,
                replace=values.get("replace", True),
                der=encoded,
                account_name=account,
            )

    async def _revoke_given(self, call: Call, name: str, der: bytes, reason: int, values: Mapping[str, Any]) -> Job:
        """For what is installed as that. The account is by default the one that got it."""
        desk, status, word = self._desk, self._desk.catalogue.status(name), _reason(reason)
        known = status.account in desk.catalogue.configuration.accounts
        account = desk.account(values.get("account") or (status.account if known else None)).name
        desk.check_issued(name)
        details = desk.details(name)
        accounts = dict.fromkeys([*filter(None, details["account"].split(",")), account])
        details["account"] = listed(accounts)
        uid = await desk.authority.check(call, authority.REVOKE, reason=word, **details)
        desk.account(account)
        if self._managed(foreign.digest(der)) != name:
            raise Failure(errors.BUSY, f"'{name}' changed meanwhile; look, and try again")
        with desk.queue.hold(name) as number:
            return desk.begin(
                number,
                jobs.REVOKE,
                name,
                uid,
                reason=reason,
                replace=values.get("replace", True),
                der=base64.b64encode(der).decode(),
                account_name=account,
            )

    def _details(self, sharing: list[str], name: str, identifiers: tuple[str, ...], account: str) -> dict[str, str]:
        """What polkit is told of one that is not managed: where a key ends by it, as for those that have it."""
        others = [self._desk.details(one) for one in sharing]
        return {
            "certificate": listed(sharing or [name]),
            "identifiers": _joined(listed(identifiers), *(one["identifiers"] for one in others)),
            "account": _joined(account, *(one["account"] for one in others)),
        }

    async def _sharing(self, der: bytes, reason: int) -> list[str]:
        """As what its key is installed here, where that is said to be compromised. As acme-privd finds it: anybody can
        make a certificate that has a key of ours, which is public.
        """
        if reason != KEY_COMPROMISE:
            return []
        catalogue = self._desk.catalogue
        paths = {name: catalogue.directory(name) / "cert.pem" for name in sorted(catalogue.names)}

        def found() -> list[str]:
            keys = {name: installed.public_key(path) for name, path in paths.items()}
            return [name for name, key in keys.items() if key and key in der]

        return await asyncio.to_thread(found)  # 0.2 s for 500 of them

    def _managed(self, fingerprint: str) -> str | None:
        """As what a certificate is installed here."""
        catalogue = self._desk.catalogue
        names = sorted(catalogue.names)
        return next((name for name in names if catalogue.status(name).fingerprint == fingerprint), None)


def _joined(*lists: str) -> str:
    """Each word once."""
    return listed(dict.fromkeys(word for words in lists for word in words.split(",") if word))


def _reason(number: int) -> str:
    if number not in REASONS:
        known = ", ".join(f"{number} ({text})" for number, text in REASONS.items())
        raise options.invalid(f"There is no reason {number} that a CA accepts; those that it does are {known}")
    return REASONS[number]
