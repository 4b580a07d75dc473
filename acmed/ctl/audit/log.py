# SPDX-License-Identifier: LGPL-2.1-or-later
"""What account keys have signed, or not: the journal's entries of acme-keyd (acmed/keyd/audit.py)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from acmed.ctl import times
from acmed.ctl.audit.fields import text
from acmed.ctl.audit.peer import HIDDEN_UID, Peers
from acmed.keyd import audit

_UNIT = "acme-keyd.service"
_RESULTS = {
    audit.MESSAGE_SIGNED: "signed",
    audit.MESSAGE_REFUSED: "refused",
    audit.MESSAGE_FAR_REFUSED: "refused",
    audit.MESSAGE_UNAVAILABLE: "unavailable",
}


@dataclass(frozen=True)
class Entry:
    """One signature, or one that was not given. time: microseconds since the epoch.

    result: signed, refused, or unavailable: allowed by the rule, but the key could not be used, for this reason.
    signer and signer_uid: the unit and user that wrote it, as journald saw them: anybody may write that he has signed.
    peer_unit and peer_uid: of who asked for it, where the journal shows them (auditpeer.py); else the unit is empty,
    and the user what acme-keyd saw. client: of keyd.toml, for a far acme-keyd.
    """

    time: int
    result: str
    account: str
    operation: str
    url: str
    rule: str
    reason: str
    identifiers: tuple[str, ...]
    csr_sha256: str
    certificate_sha256: str
    next_key: str
    client: str
    peer_uid: str
    peer_pid: str
    peer_unit: str
    signer: str
    signer_uid: str

    @property
    def subject(self) -> str:
        """What tells it from others of its kind."""
        return " ".join(self.identifiers) or self.csr_sha256 or self.certificate_sha256 or self.next_key

    @property
    def peer(self) -> str:
        """Who asked, for people."""
        return self.client or self.peer_unit or f"uid {self.peer_uid or '?'}"

    def json(self) -> dict[str, Any]:
        """As acmectl(1) documents it."""
        return {
            "time": times.iso(self.time),
            "signed": self.result == "signed",
            "result": self.result,
            "account": self.account,
            "operation": self.operation or None,
            "url": self.url,
            "rule": self.rule,
            "reason": self.reason or None,
            "identifiers": list(self.identifiers),
            "csrSHA256": self.csr_sha256 or None,
            "certificateSHA256": self.certificate_sha256 or None,
            "nextKey": self.next_key or None,
            "client": self.client or None,
            "peer": {"uid": _number(self.peer_uid), "pid": _number(self.peer_pid), "unit": self.peer_unit or None},
            "signer": {"unit": self.signer or None, "uid": _number(self.signer_uid)},
        }


def read(account: str | None, since: float | None, lines: int) -> list[Entry]:
    """Oldest first: the latest of acme-keyd.service, and as many of others, so that nobody can push the former out.
    since: seconds since the epoch. Raises OSError, and ImportError where python3-systemd is missing.
    """
    with _Journal() as journal:
        own = journal.latest(account, since, lines, ours=True)
        others = journal.latest(account, since, lines, ours=False)
        found = sorted(own + others, key=lambda entry: entry["__REALTIME_TIMESTAMP"])
        return [_entry(entry, journal.peer(entry)) for entry in found]


class _Journal:
    """The system's journal, through systemd.journal.Reader, which has no types."""

    def __enter__(self) -> "_Journal":
        from systemd import journal  # noqa: PLC0415  not everywhere

        self._reader: Any = journal.Reader()
        self._peers = Peers(self._reader)
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def latest(self, account: str | None, since: float | None, lines: int, ours: bool) -> list[Mapping[str, Any]]:
        """Newest first. ours: those of the unit, or all but those."""
        self._reader.flush_matches()
        for field, value in (("_SYSTEMD_UNIT", _UNIT if ours else None), ("ACME_ACCOUNT", account)):
            if value:
                self._reader.add_match(**{field: value})
        for message_id in _RESULTS:
            self._reader.add_match(MESSAGE_ID=message_id)  # matches of one field are alternatives
        self._reader.seek_tail()
        found: list[Mapping[str, Any]] = []
        for entry in self._backwards(since):
            if ours or text(entry, "_SYSTEMD_UNIT") != _UNIT:
                found.append(entry)
            if len(found) == lines:
                break
        return found

    def peer(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """Another entry, of the process that asked for a signature; empty where there is none."""
        return self._peers.of(entry) if text(entry, "_SYSTEMD_UNIT") == _UNIT else {}

    def _backwards(self, since: float | None) -> Iterator[Mapping[str, Any]]:
        while entry := self._reader.get_previous():
            if since is not None and entry["__REALTIME_TIMESTAMP"].timestamp() < since:
                return
            yield entry


def _entry(entry: Mapping[str, Any], peer: Mapping[str, Any]) -> Entry:
    seen = text(entry, "ACME_PEER_UID")
    return Entry(
        time=int(entry["__REALTIME_TIMESTAMP"].timestamp() * 1_000_000),
        result=_RESULTS.get(text(entry, "MESSAGE_ID"), "refused"),
        account=text(entry, "ACME_ACCOUNT"),
        operation=text(entry, "ACME_OPERATION"),
        url=text(entry, "ACME_URL"),
        rule=text(entry, "ACME_RULE"),
        reason=text(entry, "ACME_REASON"),
        identifiers=tuple(text(entry, "ACME_IDENTIFIERS").split()),
        csr_sha256=text(entry, "ACME_CSR_SHA256"),
        certificate_sha256=text(entry, "ACME_CERTIFICATE_SHA256"),
        next_key=text(entry, "ACME_NEXT_KEY"),
        client=text(entry, "ACME_CLIENT"),
        peer_uid=text(peer, "_UID") or ("" if seen == HIDDEN_UID else seen),
        peer_pid=text(entry, "ACME_PEER_PID"),
        peer_unit=text(peer, "_SYSTEMD_UNIT"),
        signer=text(entry, "_SYSTEMD_UNIT"),
        signer_uid=text(entry, "_UID"),
    )


def _number(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() else None
