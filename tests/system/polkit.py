# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real polkitd of a machine: its rules, what it was asked, and how to be without it."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.machine import Machine

RULES = "/etc/polkit-1/rules.d"
ACTIVATION = "/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service"
DROP_IN = "/run/systemd/system/polkit.service.d/test.conf"

# What polkit.log() writes goes to standard error, which --no-debug closes.
UNIT = """
[Service]
ExecStart=
ExecStart=/usr/lib/polkit-1/polkitd --log-level=err
"""
LISTEN = """
polkit.addRule(function(action, subject) {
    if (action.id.indexOf("org.acmed1.") == 0)
        polkit.log("asked for " + subject.user + ": " + action);
    return polkit.Result.NOT_HANDLED;
});
"""


@dataclass(frozen=True)
class Question:
    """What polkit was asked."""

    user: str
    action: str
    details: dict[str, str]


@dataclass
class Polkit:
    """polkitd, with a rule that tells what it is asked."""

    machine: Machine

    @contextlib.contextmanager
    def rule(self, text: str) -> Iterator[None]:
        """A rule of the administrator's, in force inside."""
        path = f"{RULES}/50-test.rules"
        self.machine.write(path, text)
        self._restart()
        try:
            yield
        finally:
            self.machine.run(["rm", path])
            self._restart()

    @contextlib.contextmanager
    def questions(self) -> Iterator[list[Question]]:
        """What it is asked inside; the list is filled at the end."""
        questions: list[Question] = []
        cursor = self.machine.journal_cursor()
        yield questions
        for user, action, details in re.findall(
            r"^asked for (\S+): \[Action id='([^']*)'(.*)\]$",
            self.machine.journal_after(cursor, "--output=cat", "--unit=polkit.service"),
            re.MULTILINE,
        ):
            questions.append(Question(user, action, dict(re.findall(r" ([\w-]+)='([^']*)'", details))))

    @contextlib.contextmanager
    def listening(self) -> Iterator["Polkit"]:
        """The rule that tells what polkit is asked is there inside."""
        self.machine.write(DROP_IN, UNIT)
        self.machine.write(f"{RULES}/10-listen.rules", LISTEN)
        self._restart()
        try:
            yield self
        finally:
            self.machine.run(["rm", "-r", DROP_IN.rpartition("/")[0], f"{RULES}/10-listen.rules"])
            self._restart()

    @contextlib.contextmanager
    def masked(self) -> Iterator[None]:
        """It cannot be started inside."""
        self.machine.run(["systemctl", "mask", "--runtime", "--now", "polkit.service"])
        try:
            yield
        finally:
            self.machine.run(["systemctl", "unmask", "--runtime", "polkit.service"])

    @contextlib.contextmanager
    def missing(self) -> Iterator[None]:
        """The bus does not know it inside, as if it were not installed."""
        self.machine.run(["mv", ACTIVATION, f"{ACTIVATION}.away"])
        self.machine.run(["systemctl", "stop", "polkit.service"])
        self._reload_bus()
        try:
            yield
        finally:
            self.machine.run(["mv", f"{ACTIVATION}.away", ACTIVATION])
            self._reload_bus()

    def _restart(self) -> None:
        """It reads its rules anew; it would see by itself that they changed, but some time later."""
        self.machine.run(["systemctl", "daemon-reload"])
        # So often is not what its start limit is made for; where it is not loaded, there is nothing to reset.
        self.machine.run(["systemctl", "reset-failed", "polkit.service"], check=False)
        self.machine.run(["systemctl", "restart", "polkit.service"])

    def _reload_bus(self) -> None:
        bus = "org.freedesktop.DBus"
        self.machine.run(["busctl", "call", bus, "/org/freedesktop/DBus", bus, "ReloadConfig"])
