# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a certificate is: its configuration, what is installed and what acmed remembers, taken together."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from acmed.config import Certificate
from acmed.manager import clock
from acmed.manager.known.installed import Installed
from acmed.manager.known.remembered import LOST, CertificateState, Issuance, Window
from acmed.manager.upkeep import renewal
from acmed.names import HOOK_OF, OWN_FILES

_DIGITS = 16  # of a SHA-256


class Work(StrEnum):
    """What the timer has to do, by the type of the job that does it."""

    RENEW = "renew"
    DELIVER = "deliver"
    RESTORE = "restore"


@dataclass(frozen=True)
class Status:
    """configured is None where the certificate's file is broken; problem says why. unreadable: what is installed is out
    of reach (why), so that nothing is known about it. files: the stamp of the published files; key_stamp: of the key
    that root provides. directory: as configured now, of the account that got what is installed. Each is "" where it is
    not known. hooks: the services that have one.
    """

    name: str
    configured: Certificate | None
    problem: str
    state: CertificateState
    installed: Installed | None
    unreadable: str = ""
    files: str = ""
    key_stamp: str = ""
    directory: str = ""
    hooks: tuple[str, ...] = ()

    @property
    def identifiers(self) -> list[str]:
        """As configured; where that is broken, as installed."""
        if self.configured:
            return [str(identifier) for identifier in self.configured.identifiers]
        return list(self.installed.identifiers) if self.installed else []

    @property
    def window(self) -> Window | None:
        """What the CA said of the certificate that is installed."""
        window = self.state.window
        return window if window and window.fingerprint == self.fingerprint else None

    @property
    def renew_at(self) -> int:
        """0 where nothing is installed."""
        settled = self.issued.settled if self.issued else 0
        return renewal.renew_at(self.ordered, self._before, self.window, settled) if self.ordered else 0

    @property
    def ordered(self) -> Installed | None:
        """What is installed, with the lifetime that it had when it was ordered: by how much its notBefore was put back
        is no time in which it could be renewed, and counted as such would have it renewed again at once.
        """
        if not self.installed or not self.issued:
            return self.installed
        return replace(self.installed, not_before=self.installed.not_before + self.issued.backdated)

    @property
    def revoked(self) -> bool:
        return bool(self.installed) and self.state.revoked == self.fingerprint

    @property
    def compromised(self) -> bool:
        """Whether its key was said to be compromised, and is not used again."""
        return bool(self.installed) and self.state.compromised == self.fingerprint

    @property
    def unrevoked(self) -> bool:
        """Whether it was to be revoked, and that has failed."""
        return bool(self.installed) and self.state.unrevoked == self.fingerprint and not self.revoked

    @property
    def left_alone(self) -> bool:
        """Whether it was revoked, and nothing is to be ordered in its place, or not yet."""
        return self.revoked and not self.state.replace and not (self.state.awaits_key and self._has_key_to_come)

    @property
    def needs_new_key(self) -> bool:
        """Whether the next certificate is to have another key, which acmed makes."""
        is_lost = self.revoked or self.compromised
        return is_lost and self.configured is not None and not why_no_new_key(self.configured)

    @property
    def account(self) -> str:
        """The one that got what is installed, "" where that is not known."""
        issued = self.state.issued
        if issued is None:
            return self.state.account
        return issued.account if issued.fingerprint == self.fingerprint else ""

    @property
    def issued(self) -> Issuance | None:
        """As what that which is installed was ordered; None where that is not known."""
        issued = self.state.issued
        return issued if issued and issued.fingerprint == self.fingerprint else None

    @property
    def fingerprint(self) -> str:
        return self.installed.fingerprint if self.installed else ""

    @property
    def deliveries(self) -> dict[str, str]:
        """Who is to have what is installed: OWN_FILES where the certificate's own file asks for any, or did so before;
        services, and their hooks. What each has then is the fingerprint, of OWN_FILES with what stands for the wish.
        """
        if not self.configured or not self.installed:
            return {}
        hooks = [f"{HOOK_OF}{name}" for name in self.hooks]
        services = dict.fromkeys([*self.configured.services, *hooks], self.fingerprint)
        own = _own_files(self.configured)
        if own or " " in self.state.delivered.get(OWN_FILES, ""):
            return {OWN_FILES: f"{self.fingerprint} {own}".rstrip(), **services}
        return services

    @property
    def undelivered(self) -> dict[str, str]:
        """The services that have not got what is installed, and the error of the last attempt, which may be empty."""
        owed = [name for name, wanted in self.deliveries.items() if self.state.delivered.get(name) != wanted]
        return {name: self.state.delivery_errors.get(name, "") for name in owed}

    @property
    def damaged(self) -> bool:
        """Whether published files are missing, or are not those that acmed knows, and may be put back."""
        return self.state.files not in ("", LOST, self.files) and bool(self.files)

    @property
    def differences(self) -> tuple[str, ...]:
        """What is configured otherwise than what is installed was ordered; each is a key of acmed.toml(5), or ca for
        the directory of its account. What is not known is no difference: what an older acmed, or another program, has
        installed is not ordered again for it.
        """
        return tuple(self._differences())

    @property
    def error(self) -> tuple[str, str]:
        """Name and message of what went wrong last and was not put right since; two empty strings for nothing."""
        if self.problem:
            return "org.acmed1.Error.InvalidConfiguration", self.problem
        if self.unreadable:
            return "org.acmed1.Error.InstallFailed", self.unreadable
        return self.state.error_name, self.state.error_message

    @property
    def error_job(self) -> str:
        """The type of the job that the error is of; "" where it is of none, or that is not known."""
        of_job = self.state.error_name and not (self.problem or self.unreadable)
        return self.state.error_job if of_job else ""

    @property
    def failing(self) -> bool:
        return bool(self.state.failures or self.problem or self.unreadable)

    def word(self, now: int) -> str:
        """The property State: missing valid due expired revoked failing. What matters most comes first."""
        if self.revoked:
            return "revoked"
        if self.installed and now >= self.installed.not_after:
            return "expired"
        if self.failing:
            return "failing"
        if not self.installed:
            return "missing"
        return "due" if self.damaged or self.is_due(now) else "valid"

    def endangered(self, now: int) -> bool:
        """Whether it should have been renewed by now: half of the time for that is gone, the time that the CA gave is
        over and attempts fail, it was revoked and is to be replaced, or attempts fail and there is none at all.
        """
        if not self.ordered:
            return self.failing
        if self.revoked:
            return not self.left_alone
        late = bool(self.window and self.window.start and now >= self.window.end)
        return now >= renewal.endangered_at(self.ordered, self._before) or (late and bool(self.state.failures))

    def is_due(self, now: int, min_days: int | None = None) -> bool:
        """Whether a new certificate is wanted: none is there, its time has come, or it is not what is configured.

        min_days: its time has come when it has no more days left than these, whatever configuration and CA say.
        """
        if self.unreadable:
            return False
        if not self.installed or self.revoked or self.compromised or self.state.files == LOST:
            return True
        renew_at = self.renew_at if min_days is None else self.installed.not_after - min_days * clock.DAY
        return now >= renew_at or bool(self.differences)

    def work(self, now: int, restore: bool = True) -> Work | None:
        """What the timer has to do now; restore: that has not been tried yet."""
        if not self.configured or self.left_alone:
            return None
        if self.damaged and restore and not self.revoked:
            return Work.RESTORE
        if self.is_due(now) and not self.state.waits_until(now):
            return Work.RENEW
        return Work.DELIVER if self.undelivered else None

    def next_attempt(self, now: int) -> int:
        """When the timer will have to do something; 0 for never."""
        if not self.configured or self.left_alone or self.unreadable:
            return 0
        if self.undelivered or self.damaged:
            return now
        moment = now if self.is_due(now) else self.renew_at
        return self.state.waits_until(moment) or moment

    @property
    def _before(self) -> float | None:
        return self.configured.renew_before if self.configured else None

    def _differences(self) -> Iterator[str]:
        configured, installed, issued = self.configured, self.installed, self.issued
        if not configured or not installed:
            return
        if set(self.identifiers) != set(installed.identifiers):
            yield "names"
        if self.account not in ("", *configured.accounts):
            yield "account"
        if self._has_other_key:
            yield "key-file"
        if not issued:
            return
        wanted = issuance(
            configured, installed.fingerprint, issued.account, self.directory, self.key_stamp, self.state.csr
        )
        for word, one, other in (
            ("key-type", issued.key_type, wanted.key_type),
            ("profile", issued.profile, wanted.profile),
            ("must-staple", issued.must_staple, wanted.must_staple),
            ("common-name", issued.common_name, wanted.common_name),
            ("key-usage", issued.key_usage, wanted.key_usage),
            ("hash", issued.hash, wanted.hash),
            ("csr", issued.csr, wanted.csr),
        ):
            if one != other:
                yield word
        if issued.directory and wanted.directory and issued.directory != wanted.directory:
            yield "ca"

    @property
    def _has_key_to_come(self) -> bool:
        """Whether the next certificate would have another key than the one that is installed. Of a provided one nobody
        but acme-privd knows.
        """
        if not self.configured or not self.installed:
            return False
        return not why_no_new_key(self.configured) or self.state.other_key == self.fingerprint

    @property
    def _has_other_key(self) -> bool:
        """Whether root has put another key into key-file: acme-privd has found that, or the file is another one. Where
        acmed may not look at that, or did not know it before, it is as it was until acme-privd says otherwise.
        """
        if not self.configured or not self.configured.key_file or not self.installed:
            return False
        known = self.issued.key_stamp if self.issued else ""
        is_other_file = bool(known and self.key_stamp) and known != self.key_stamp
        return is_other_file or self.state.other_key == self.fingerprint


def _own_files(configured: Certificate) -> str:
    """What tells one wish for files, owner, group and mode from another; empty where there is none."""
    files = {kind: str(path) for kind, path in configured.files.items()}
    wish = (files, configured.owner, configured.group, configured.mode)
    return hashlib.sha256(json.dumps(wish).encode()).hexdigest()[:_DIGITS] if any(wish) else ""


def why_no_new_key(configured: Certificate) -> str:
    """Why acmed cannot make the key of a certificate, and who can; empty where it does."""
    if configured.csr:
        return "its CSR was made elsewhere: make one with another key, and order with that"
    if configured.key_file:
        return f"its key is provided: put another one into {configured.key_file}, and it is ordered with that"
    return ""


def issuance(
    configured: Certificate, fingerprint: str, account: str, directory: str, key_stamp: str, csr: str
) -> Issuance:
    """What a certificate that is ordered now is ordered as."""
    own_key = not why_no_new_key(configured)
    return Issuance(
        fingerprint=fingerprint,
        account=account,
        key_type=configured.key_type.value if own_key else "",
        profile=configured.profile or "",
        must_staple=configured.must_staple,
        common_name=configured.common_name or configured.subject or "",
        key_stamp=key_stamp,
        csr=csr if configured.csr else "",
        key_usage=",".join(configured.key_usage),
        hash=configured.hash.value,
        directory=directory,
    )
