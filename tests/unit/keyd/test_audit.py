# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acme-keyd puts on record of signatures; tests/system has a journal."""

from pathlib import Path
from typing import Any

import pytest
import systemd.journal

from acmed import journal
from acmed.config.keysource import KeySource, Kind
from acmed.keyd import audit
from tests.unit.keyd.rig import CA, NAMES, Keyd, unavailable

CATALOG = Path(__file__).parents[3] / "units" / "acmed.catalog"


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What journald would get: there is none here."""
    found: list[dict[str, Any]] = []

    def send(text: str, **fields: Any) -> None:
        found.append({"MESSAGE": text, **fields})

    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    monkeypatch.setattr(systemd.journal, "send", send)
    return found


@pytest.mark.parametrize("level", ["emerg", "err", "notice", "debug"])
def test_whatever_the_level(
    keyd: Keyd, entries: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    """[log-level] is about what a daemon says of itself."""
    keyd.permit_order()
    entries.clear()
    monkeypatch.setattr(journal, "_max_level", journal.LEVELS[level])
    keyd.sign({"identifiers": NAMES})
    keyd.refusal({"identifiers": NAMES[:1]})
    signed, refused = entries
    assert (signed["MESSAGE_ID"], signed["ACME_RULE"]) == (audit.MESSAGE_SIGNED, "permit:order:www")
    assert signed["ACME_IDENTIFIERS"] == "example.com www.example.com"
    assert (refused["MESSAGE_ID"], refused["ACME_IDENTIFIERS"]) == (audit.MESSAGE_REFUSED, NAMES[0]["value"])


def test_who_said_it(keyd: Keyd, entries: list[dict[str, Any]]) -> None:
    """Not what passed it on."""
    keyd.refusal({"identifiers": NAMES})
    (refused,) = entries
    assert (Path(refused["CODE_FILE"]).name, refused["CODE_FUNC"]) == ("signing.py", "_refusal")


def test_a_key_that_cannot_be_used_is_no_refusal(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    """Such as a passphrase that nobody has given yet: whoever asked is in order."""
    keyd = Keyd(tmp_path, source=KeySource(Kind.GPG, "/nowhere"))
    keyd.permit_order()
    entries.clear()
    reason = unavailable(lambda: keyd.sign({"identifiers": NAMES}))
    (entry,) = entries
    assert (entry["MESSAGE_ID"], entry["ACME_RULE"]) == (audit.MESSAGE_UNAVAILABLE, "permit:order:www")
    assert entry["ACME_REASON"] == reason
    assert entry["MESSAGE"] == f"Could not sign newOrder for account default: {reason}"


def test_no_more_of_a_refusal_than_is_of_use(keyd: Keyd, entries: list[dict[str, Any]]) -> None:
    """A peer may say as much as a frame can have."""
    long = [{"type": "dns", "value": "\U0001f600" * 60 + f"{number}.example.com"} for number in range(500)]
    keyd.refusal({"identifiers": long})
    keyd.refusal({"identifiers": NAMES}, url=f"{CA}/{'x' * 50_000}")
    keyd.refusal({"identifiers": NAMES}, url=f"https://{'y' * 50_000}")
    assert [len(str(entry)) < 3000 for entry in entries] == [True] * 3
    assert entries[0]["ACME_IDENTIFIERS"].startswith(r"\U0001f600")
    assert entries[0]["ACME_IDENTIFIERS"].endswith("...")


def test_of_what_was_signed_there_is_all(keyd: Keyd, entries: list[dict[str, Any]]) -> None:
    names = [{"type": "dns", "value": f"{'x' * 60}.{number}.example.com"} for number in range(100)]
    keyd.permit(keyd.permits.permit_order, "www", names, "1" * 64, None, None, None, None)
    keyd.sign({"identifiers": names})
    assert len(entries[-1]["ACME_IDENTIFIERS"].split()) == 100


def test_the_catalog_has_them() -> None:
    text = CATALOG.read_text()
    ids = [value for name, value in vars(audit).items() if name.startswith("MESSAGE_")]
    assert len(set(ids)) == 4
    for message_id in ids:
        assert f"\n-- {message_id}\nSubject: " in text
