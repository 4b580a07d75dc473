# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tells people what went wrong: by a hook, and by mail (sendmail(8), of whatever mail server there is)."""

import re
import stat
import textwrap
from dataclasses import dataclass
from pathlib import Path

from acmed import journal
from acmed.bus import Variant
from acmed.config.model import Notify
from acmed.privd import transient
from acmed.privd.delivery import hooks
from acmed.privd.pid1 import Pid1
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.privd.transient import Program, Properties

# By what they are about.
EVENTS = {
    "certificate": {
        "failed": "cannot be renewed",
        "expiring": "is about to expire",
        "revoked": "was revoked",
    },
    "account": {
        "authorize-failed": "has names that cannot be validated",
        "authorized": "has names that were validated at last",
    },
}

_TIMEOUT = 30  # seconds: nobody waits long for this
_SENDMAIL = Path("/usr/sbin/sendmail")
_MAX_MESSAGE = 8000  # characters
_WIDTH = 240  # characters of up to 4 bytes; a line of a mail has at most 998 bytes (RFC 5322 section 2.1.1)
_ADDRESS = re.compile(r"[!#-'*+./0-9=?A-Z^_`a-z{|}~-]+(@[A-Za-z0-9.-]+)?")

# A mail server's own program may be set-user-id, and deliver at once; what it starts for that goes on.
_MAIL: Properties = {
    "UMask": Variant("u", 0o022),
    "ProtectSystem": Variant("s", "full"),
    "KillMode": Variant("s", "process"),
    "InaccessiblePaths": Variant("as", ["-/etc/credstore", "-/etc/credstore.encrypted", "-/var/lib/acme-privd"]),
}


@dataclass(frozen=True)
class Notice:
    """What is told. kind, event: of EVENTS. name: of the certificate or account, without spaces. message may have words
    of others in it.
    """

    kind: str
    name: str
    event: str
    message: str

    @property
    def subject(self) -> str:
        """In one line."""
        about = self.name if self.kind == "certificate" else f"{self.kind} {self.name}"
        return f"{about} {EVENTS[self.kind][self.event]}"


async def by_hook(places: Places, manager: Pid1, name: str, notice: Notice) -> None:
    """Runs `HOOK notify`. Raises HookFailed, DBusError, BusLost or TimeoutError."""
    environment = {
        "ACMED_EVENT": notice.event,
        "ACMED_CERTIFICATE": notice.name if notice.kind == "certificate" else "",
        "ACMED_ACCOUNT": notice.name if notice.kind == "account" else "",
        "ACMED_MESSAGE": _clean(notice.message),
    }
    await hooks.hook(places, manager, name, "notify", environment, _TIMEOUT)


async def by_mail(manager: Pid1, address: str, notice: Notice) -> None:
    """Hands a mail over. Raises HookFailed, DBusError, BusLost or TimeoutError."""
    if not _ADDRESS.fullmatch(address):
        raise refusal("HookFailed", message=f"[notify] mail: {address!r} is not a mail address")
    if not _is_program(_SENDMAIL):
        message = f"mail to {address} cannot be sent: there is no {_SENDMAIL}; install a mail server, or unset mail"
        raise refusal("HookFailed", message=message)
    order = {
        "argv": [str(_SENDMAIL), "-i", "-t"],
        "environment": {},
        "input": mail(address, notice),
    }
    program = Program("mail", f"Mail about {notice.name} to {address}", "acmed.runner", order, _TIMEOUT, _MAIL)
    hooks.failed(f"{_SENDMAIL}, for a mail to {address}", await transient.run(manager, program))


def mail(address: str, notice: Notice) -> str:
    """RFC 5322, as sendmail -t takes it. The name has no spaces; nothing else that others choose is in the header, and
    each line is one line.
    """
    lines = [line for long in _clean(notice.message).splitlines() for line in textwrap.wrap(long, _WIDTH) or [""]]
    header = [
        f"To: {address}",
        f"Subject: acmed: {notice.subject}",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    sentence = f"{notice.kind.capitalize()} {notice.name} {EVENTS[notice.kind][notice.event]}."
    return "\n".join([*header, "", sentence, "", *lines, ""])


def channels(configured: Notify) -> list[str]:
    """What is configured, for people."""
    return [name for name, value in (("hook", configured.hook), ("mail", configured.mail)) if value]


def _clean(message: str) -> str:
    """Each line without what a terminal or a mail reader would take for a command."""
    return "\n".join(journal.printable(line) for line in message[:_MAX_MESSAGE].splitlines())


def _is_program(path: Path) -> bool:
    """Whether others may execute it; access(2) would answer for us, who may not."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & stat.S_IXUSR)
