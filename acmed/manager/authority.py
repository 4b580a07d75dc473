# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may: polkit is asked about each change (polkit/org.acmed1.policy has the actions; polkit(8))."""

from contextlib import suppress

from acmed import journal
from acmed.bus import Bus, DBusError, Variant
from acmed.bus import errors as bus_errors
from acmed.bus.server import Call

_POLKIT = (
    "org.freedesktop.PolicyKit1",
    "/org/freedesktop/PolicyKit1/Authority",
    "org.freedesktop.PolicyKit1.Authority",
)
_ALLOW_USER_INTERACTION = 1
# Seconds: for the rules, and for a person who types a password.
_TIMEOUT = 25.0
_INTERACTIVE_TIMEOUT = 300.0

ORDER = "org.acmed1.order"
RENEW = "org.acmed1.renew"
REVOKE = "org.acmed1.revoke"
MANAGE_ACCOUNTS = "org.acmed1.manage-accounts"
CONFIGURE = "org.acmed1.configure"
RELOAD = "org.acmed1.reload"


class Authority:
    """polkit, over the bus. trusted: the users who pass without it, root and acmed's own (acme-renew.service), so that
    a host needs none.
    """

    def __init__(self, bus: Bus, trusted: frozenset[int]) -> None:
        self._bus = bus
        self._trusted = trusted
        self._checks = 0

    async def check(self, call: Call, action: str, message: str = "", **details: str) -> int:
        """The caller's uid, where polkit lets it do this. Raises DBusError AccessDenied where it does not, or where
        anything else happens; InteractiveAuthorizationRequired where a password would help and may not be asked for.

        details reach rules and the text that asks for a password: they are of names that were checked before. message:
        that text, in place of the action's. A person may take minutes, so what was true before this call is to be
        looked at again.
        """
        uid = await self._uid(call)
        if uid in self._trusted:
            return uid
        told = {key.replace("_", "-"): text for key, text in details.items()}
        if message:
            told["polkit.message"] = message  # polkit_authority_check_authorization()
        allowed, may_ask = await self._ask(call, action, told)
        if allowed:
            return uid
        journal.notice("%s was not allowed to uid %s", action, uid, uid=uid, action=action)
        if may_ask and not call.interactive:
            raise DBusError(
                bus_errors.INTERACTIVE_AUTHORIZATION_REQUIRED, f"{action} needs a password, and the call forbids to ask"
            )
        raise DBusError(bus_errors.ACCESS_DENIED, f"You are not authorised for {action}")

    async def _uid(self, call: Call) -> int:
        try:
            return await self._bus.uid(call.sender)
        except DBusError as error:
            raise DBusError(bus_errors.ACCESS_DENIED, "The caller has left the bus") from error

    async def _ask(self, call: Call, action: str, details: dict[str, str]) -> tuple[bool, bool]:
        """Whether it is allowed, and whether it would be after a password. Raises DBusError AccessDenied."""
        self._checks += 1
        cancellation = f"{self._bus.unique_name}-{self._checks}"
        # By its bus name, and never by its process: the bus knows who is behind the one, a pid is used again.
        subject = ["system-bus-name", {"name": Variant("s", call.sender)}]
        flags = _ALLOW_USER_INTERACTION if call.interactive else 0
        timeout = _INTERACTIVE_TIMEOUT if call.interactive else _TIMEOUT
        try:
            (reply,) = await self._bus.call(
                *_POLKIT,
                "CheckAuthorization",
                "(sa{sv})sa{ss}us",
                subject,
                action,
                details,
                flags,
                cancellation,
                timeout=timeout,
            )
            allowed, challenge, _ = reply
        except DBusError as error:
            await self._cancel(error, cancellation)
            raise _denied(action, error) from error
        except (TypeError, ValueError) as error:
            raise DBusError(bus_errors.ACCESS_DENIED, "polkit's answer cannot be understood") from error
        return allowed is True, challenge is True

    async def _cancel(self, error: DBusError, cancellation: str) -> None:
        """Takes the dialogue away that nobody waits for any more."""
        if error.name == bus_errors.NO_REPLY:
            with suppress(DBusError):
                await self._bus.call(*_POLKIT, "CancelCheckAuthorization", "s", cancellation, start=False)


def _denied(action: str, error: DBusError) -> DBusError:
    if error.name == bus_errors.SERVICE_UNKNOWN:
        return DBusError(
            bus_errors.ACCESS_DENIED, f"Without polkit, which is not installed, {action} is for root alone"
        )
    journal.warning("polkit did not decide on %s: %s", action, error)
    return DBusError(bus_errors.ACCESS_DENIED, f"polkit did not decide on {action}: {error.message}")
