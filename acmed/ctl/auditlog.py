# SPDX-License-Identifier: LGPL-2.1-or-later
"""What account keys have signed, or refused to sign: the journal's entries of acme-keyd (acmed/keyd/audit.py)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from acmed.ctl import times
from acmed.keyd.audit import MESSAGE_REFUSED, MESSAGE_SIGNED

_UNIT = "acme-keyd.service"
_NEAR = 3600  # seconds: a process number is seldom used again so soon
# acme-keyd has a user namespace of its own (PrivateUsers=), in which users but root and itself look like this.
_HIDDEN_UID = "65534"


@dataclass(frozen=True)
class Entry:
    """One signature or refusal. time: microseconds since the epoch.

    signer and signer_uid: the unit and user that wrote it, as journald saw them: anybody may write that he has signed.
    peer_unit and peer_uid: of who asked for it, as the journal has them in another entry of that process; else the unit
    is empty, and the user what acme-keyd saw. client: of keyd.toml, for a far acme-keyd.
    """

    time: int
    is_signed: bool
    account: str
    operation: str
    url: str
    rule: str
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
            "signed": self.is_signed,
            "account": self.account,
            "operation": self.operation or None,
            "url": self.url,
            "rule": self.rule,
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
        known: dict[tuple[str, str], Mapping[str, Any]] = {}
        return [_entry(entry, journal.peer(entry, known)) for entry in found]


class _Journal:
    """The system's journal, through systemd.journal.Reader, which has no types."""

    def __enter__(self) -> "_Journal":
        from systemd import journal  # noqa: PLC0415  not everywhere

        self._reader: Any = journal.Reader()
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def latest(self, account: str | None, since: float | None, lines: int, ours: bool) -> list[Mapping[str, Any]]:
        """Newest first. ours: those of the unit, or all but those."""
        self._match(**({"_SYSTEMD_UNIT": _UNIT} if ours else {}), **({"ACME_ACCOUNT": account} if account else {}))
        for message_id in (MESSAGE_SIGNED, MESSAGE_REFUSED):
            self._reader.add_match(MESSAGE_ID=message_id)  # matches of one field are alternatives
        self._reader.seek_tail()
        found: list[Mapping[str, Any]] = []
        for entry in self._backwards(since):
            if ours or _text(entry, "_SYSTEMD_UNIT") != _UNIT:
                found.append(entry)
            if len(found) == lines:
                break
        return found

    def peer(self, entry: Mapping[str, Any], known: dict[tuple[str, str], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Another entry, of the process that asked for a signature, about that time; empty where there is none. known:
        those that were found before.
        """
        boot, pid = _text(entry, "_BOOT_ID"), _text(entry, "ACME_PEER_PID")
        if _text(entry, "_SYSTEMD_UNIT") != _UNIT or not boot or not pid:
            return {}
        if (boot, pid) not in known:
            known[boot, pid] = self._of_process(boot, pid, entry["__REALTIME_TIMESTAMP"])
        found, uid = known[boot, pid], _text(entry, "ACME_PEER_UID")
        return found if uid in (_HIDDEN_UID, _text(found, "_UID")) else {}

    def _of_process(self, boot: str, pid: str, at: datetime) -> Mapping[str, Any]:
        self._match(_BOOT_ID=boot, _PID=pid)
        self._reader.seek_realtime(at.timestamp())
        for step in (self._reader.get_next, self._reader.get_previous):
            found: Mapping[str, Any] = step()
            if found and abs((found["__REALTIME_TIMESTAMP"] - at).total_seconds()) < _NEAR:
                return found
        return {}

    def _match(self, **fields: str) -> None:
        self._reader.flush_matches()
        for name, value in fields.items():
            self._reader.add_match(**{name: value})

    def _backwards(self, since: float | None) -> Iterator[Mapping[str, Any]]:
        while entry := self._reader.get_previous():
            if since is not None and entry["__REALTIME_TIMESTAMP"].timestamp() < since:
                return
            yield entry


def _entry(entry: Mapping[str, Any], peer: Mapping[str, Any]) -> Entry:
    seen = _text(entry, "ACME_PEER_UID")
    return Entry(
        time=int(entry["__REALTIME_TIMESTAMP"].timestamp() * 1_000_000),
        is_signed=_text(entry, "MESSAGE_ID") == MESSAGE_SIGNED,
        account=_text(entry, "ACME_ACCOUNT"),
        operation=_text(entry, "ACME_OPERATION"),
        url=_text(entry, "ACME_URL"),
        rule=_text(entry, "ACME_RULE"),
        identifiers=tuple(_text(entry, "ACME_IDENTIFIERS").split()),
        csr_sha256=_text(entry, "ACME_CSR_SHA256"),
        certificate_sha256=_text(entry, "ACME_CERTIFICATE_SHA256"),
        next_key=_text(entry, "ACME_NEXT_KEY"),
        client=_text(entry, "ACME_CLIENT"),
        peer_uid=_text(peer, "_UID") or ("" if seen == _HIDDEN_UID else seen),
        peer_pid=_text(entry, "ACME_PEER_PID"),
        peer_unit=_text(peer, "_SYSTEMD_UNIT"),
        signer=_text(entry, "_SYSTEMD_UNIT"),
        signer_uid=_text(entry, "_UID"),
    )


def _text(entry: Mapping[str, Any], name: str) -> str:
    """A field as text; the first one of several, which only a forger writes."""
    value = entry.get(name, "")
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.hex if isinstance(value, UUID) else str(value)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
