# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a certificate is: its configuration, what is installed and what acmed remembers, taken together."""

from dataclasses import dataclass
from enum import StrEnum

from acmed.config import Certificate
from acmed.manager import renewal
from acmed.manager.installed import Installed
from acmed.manager.state import CertificateState


class Work(StrEnum):
    """What the timer has to do, by the type of the job that does it."""

    RENEW = "renew"
    DELIVER = "deliver"


@dataclass(frozen=True)
class Status:
    """configured is None where the certificate's file is broken; problem says why. unreadable: cert.pem is there, and
    out of reach (why), so that nothing is known about it.
    """

    name: str
    configured: Certificate | None
    problem: str
    state: CertificateState
    installed: Installed | None
    unreadable: str = ""

    @property
    def identifiers(self) -> list[str]:
        """As configured; where that is broken, as installed."""
        if self.configured:
            return [str(identifier) for identifier in self.configured.identifiers]
        return list(self.installed.identifiers) if self.installed else []

    @property
    def renew_at(self) -> int:
        """0 where nothing is installed."""
        return renewal.renew_at(self.installed.not_before, self.installed.not_after) if self.installed else 0

    @property
    def revoked(self) -> bool:
        return bool(self.installed) and self.state.revoked == self.fingerprint

    @property
    def fingerprint(self) -> str:
        return self.installed.fingerprint if self.installed else ""

    @property
    def undelivered(self) -> dict[str, str]:
        """The services that have not got what is installed, and the error of the last attempt, which may be empty."""
        if not self.configured or not self.installed:
            return {}
        owed = [name for name in self.configured.services if self.state.delivered.get(name) != self.fingerprint]
        return {name: self.state.delivery_errors.get(name, "") for name in owed}

    @property
    def error(self) -> tuple[str, str]:
        """Name and message of what went wrong last and was not put right since; two empty strings for nothing."""
        if self.problem:
            return "org.acmed1.Error.InvalidConfiguration", self.problem
        if self.unreadable:
            return "org.acmed1.Error.InstallFailed", self.unreadable
        return self.state.error_name, self.state.error_message

    def word(self, now: int) -> str:
        """The property State: missing valid due expired revoked failing. What matters most comes first."""
        failing = bool(self.state.failures or self.problem or self.unreadable)
        if self.revoked:
            return "revoked"
        if self.installed and now >= self.installed.not_after:
            return "expired"
        if failing:
            return "failing"
        if not self.installed:
            return "missing"
        return "due" if self.is_due(now) else "valid"

    def is_due(self, now: int) -> bool:
        """Whether a new certificate is wanted: none is there, its time has come, or it is not what is configured."""
        if self.unreadable:
            return False
        if not self.installed or self.revoked or now >= self.renew_at:
            return True
        return self.configured is not None and self._differs(self.configured, self.installed)

    def _differs(self, configured: Certificate, installed: Installed) -> bool:
        """Other names, or from another account, which may be at another CA."""
        other_account = self.state.account not in ("", configured.account)
        return other_account or set(self.identifiers) != set(installed.identifiers)

    def work(self, now: int) -> Work | None:
        """What the timer has to do now. A revoked certificate is left to its owner."""
        if not self.configured or self.revoked:
            return None
        if self.is_due(now) and not self.is_waiting(now):
            return Work.RENEW
        return Work.DELIVER if self.undelivered else None

    def is_waiting(self, now: int) -> bool:
        """Whether the next attempt is to wait after a failure. A clock that was set back does not make it longer."""
        return self.state.error_time <= now < self.state.retry_at

    def next_attempt(self, now: int) -> int:
        """When the timer will have to do something; 0 for never."""
        if not self.configured or self.revoked or self.unreadable:
            return 0
        if self.undelivered:
            return now
        moment = now if self.is_due(now) else self.renew_at
        return max(moment, self.state.retry_at) if self.is_waiting(moment) else moment
