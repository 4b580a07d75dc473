# SPDX-License-Identifier: LGPL-2.1-or-later
"""Notices to people of what went wrong."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from acmed import journal
from acmed.bus import BusLost, DBusError
from acmed.privd import lookup, pid1
from acmed.privd.delivery import notify
from acmed.privd.delivery.notify import Notice
from acmed.privd.handlers.turns import Answer, Turns
from acmed.privd.refusal import refusal
from acmed.varlink import Call, VarlinkError, invalid_parameter


class Notices(Turns):
    """The method that tells people."""

    async def notify(
        self, _: Call, job: int, event: str, message: str, certificate: str | None = None, account: str | None = None
    ) -> Answer:
        about = {"certificate": certificate, "account": account}
        given = [(kind, lookup.checked_name(name, kind)) for kind, name in about.items() if name is not None]
        if len(given) != 1:
            raise invalid_parameter("certificate" if certificate is None else "account")
        ((kind, name),) = given
        if event not in notify.EVENTS[kind]:
            raise invalid_parameter("event")
        configured = self._places.configuration().notify
        if configured.hook is None and configured.mail is None:
            return {}
        notice = Notice(kind, name, event, message)
        with journal.fields(job=job, **{kind: name}):
            problems = await self._tell(configured.hook, configured.mail, notice)
            for problem in problems:
                journal.error("Nobody was told that %s: %s", notice.subject, problem)
        if problems:
            raise refusal("HookFailed", message="; ".join(problems))
        return {}

    async def _tell(self, hook: str | None, address: str | None, notice: Notice) -> list[str]:
        """By both at once; the answer is what went wrong."""
        try:
            async with pid1.connected() as manager:
                notices: list[Coroutine[Any, Any, None]] = []
                if hook is not None:
                    notices.append(notify.by_hook(self._places, manager, hook, notice))
                if address is not None:
                    notices.append(notify.by_mail(manager, address, notice))
                outcomes = await asyncio.gather(*map(_outcome, notices))
        except (DBusError, BusLost) as error:
            return [f"PID 1 cannot be asked: {error}"]
        return [outcome for outcome in outcomes if outcome]


async def _outcome(notice: Coroutine[Any, Any, None]) -> str:
    try:
        await notice
    except VarlinkError as error:
        return str(error.parameters.get("message", error))
    except (DBusError, BusLost) as error:
        return f"PID 1 cannot do it: {error}"
    except TimeoutError:
        return "PID 1 was not done in time"
    return ""
