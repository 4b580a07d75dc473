# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program in polkit's place on the private bus. What polkit itself does is tested on the booted machine."""

import asyncio
from dataclasses import dataclass, field

from acmed.bus import Bus, MethodCall

YES = (True, False)
NO = (False, False)
CHALLENGE = (False, True)

NAME = "org.freedesktop.PolicyKit1"


@dataclass(frozen=True)
class Asked:
    """A question that came."""

    sender: str
    action: str
    details: dict[str, str]
    flags: int


@dataclass
class Polkit:
    """Answers each CheckAuthorization with answer, after release is set; watches the subject as polkitd does. ids: by
    what each may be cancelled, cancelled: what was.
    """

    bus: Bus
    answer: tuple[bool, bool] = YES
    garbage: bool = False
    release: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Asked] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    answers: "list[asyncio.Future[None]]" = field(default_factory=list)

    @classmethod
    async def start(cls, address: str) -> "Polkit":
        polkit = cls(await Bus.connect(address))
        polkit.release.set()
        polkit.bus.serve(polkit)
        assert await polkit.bus.request_name(NAME)
        return polkit

    def incoming(self, call: MethodCall) -> None:
        if call.member == "CancelCheckAuthorization":
            self.cancelled += call.body
            self.bus.reply(call, "", [])
            return
        if call.member != "CheckAuthorization":
            self.bus.error(call, "org.freedesktop.DBus.Error.UnknownMethod", call.member)
            return
        (kind, subject), action, details, flags, cancellation = call.body
        assert kind == "system-bus-name"
        self.asked.append(Asked(subject["name"].value, action, details, flags))
        self.ids.append(cancellation)
        self.came.set()
        self.answers.append(asyncio.ensure_future(self._answer(call, subject["name"].value)))

    async def settled(self) -> None:
        """Until the bus has passed on what was answered."""
        await asyncio.gather(*self.answers)
        await self.bus.flush()

    async def _answer(self, call: MethodCall, subject: str) -> None:
        await self.release.wait()
        (there,) = await self.bus.call(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", subject
        )
        if not there:
            self.bus.error(call, "org.freedesktop.PolicyKit1.Error.Failed", "The subject has left the bus")
        elif self.garbage:
            self.bus.reply(call, "s", ["yes"])
        else:
            self.bus.reply(call, "(bba{ss})", [[*self.answer, {}]])
