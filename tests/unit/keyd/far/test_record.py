# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a far acme-keyd puts on record: what came of a request, and no more of a client's text than is of use."""

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import systemd.journal

from acmed.keyd import audit
from acmed.keyd.far.conversation import MAX_LINE
from acmed.keyd.far.record import Record
from acmed.keyd.keys import Key
from acmed.store.opened import Unavailable
from tests.unit.keyd.far.rig import CA, Far, order
from tests.unit.keyd.rig import new_key


@dataclass(frozen=True)
class Gone(Key):
    """A key on a token that was pulled."""

    error: Exception

    def sign(self, data: bytes) -> bytes:
        raise self.error


def gone(tmp_path: Path, error: Exception | None = None) -> Far:
    key = new_key()
    return Far(tmp_path, Gone(key.private, key.jwk, key.algorithm, error or Unavailable("the token 'acme' is gone")))


def test_signed_is_what_there_is_a_signature_of(tmp_path: Path) -> None:
    far = gone(tmp_path)
    assert far.refusal(order("www.example.com")) == "its key cannot be used"
    (entry,) = far.log
    assert entry["message"] == "Could not sign newOrder for account default: the token 'acme' is gone"
    assert (entry["rule"], entry["reason"]) == ("policy:www:order", "the token 'acme' is gone")
    assert entry["identifiers"] == "www.example.com"


def test_a_tokens_process_that_does_not_start(tmp_path: Path) -> None:
    """Not to be taken for a record that cannot be written."""
    far = gone(tmp_path, OSError(11, "Resource temporarily unavailable"))
    assert far.refusal(b"") == "its key cannot be used"
    assert [entry["reason"] for entry in far.log] == ["Resource temporarily unavailable"]


def test_nothing_is_given_away_before_it_is_on_record(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is there by then, and goes nowhere."""
    steps: list[str] = []
    sign, signed = Key.sign, Record.signed

    def watched(key: Key, data: bytes) -> bytes:
        steps.append("signs")
        return sign(key, data)

    def recorded(record: Record, *what: Any) -> None:
        steps.append("records")
        signed(record, *what)
        raise OSError(28, "No space left on device", "log")

    monkeypatch.setattr(Key, "sign", watched)
    monkeypatch.setattr(Record, "signed", recorded)
    assert far.refusal(b"") == "it cannot be put on record"
    assert steps == ["signs", "records"]


def test_what_they_are_in_the_journal(far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No refusal here is the one that says that an acme-clientd may have been taken over."""
    ids: list[str] = []

    def send(_text: str, **fields: Any) -> None:
        ids.append(fields["MESSAGE_ID"])

    monkeypatch.setattr(systemd.journal, "send", send)
    far.sign(b"")
    far.refusal(order("bank.example.com"))
    gone(tmp_path).refusal(b"")
    assert ids == [audit.MESSAGE_SIGNED, audit.MESSAGE_FAR_REFUSED, audit.MESSAGE_UNAVAILABLE]


def test_a_journal_that_cannot_be_reached(
    far: Far, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a unit, but without systemd-python: standard error leads there."""
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    monkeypatch.setitem(sys.modules, "systemd", None)
    far.sign(b"")
    assert "Signed POST-as-GET for account default" in capsys.readouterr().err


def test_a_disk_that_fills(far: Far) -> None:
    """What is in the file stays a JSON object per line."""
    far.sign(b"")
    path = far.directory / "log"
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        assert far.refusal(b"") == "it cannot be put on record"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before


def test_a_long_line_makes_no_long_entry(far: Far) -> None:
    names = order(*("x" * 240 + str(number) for number in range(130)))
    assert len(far.line(names)) > MAX_LINE * 0.7
    far.refusal(names)
    far.refusal(b"", url=CA + "/" + "\U0001f600" * 4000)
    far.refusal(b"", url="https://" + "x" * 40_000)
    far.end(b"A" * MAX_LINE * 2)
    sizes = [len(line) for line in (far.directory / "log").read_bytes().splitlines()]
    assert len(sizes) == 4
    assert max(sizes) < 3000
    assert far.log[0]["identifiers"].endswith("...")


def test_all_names_of_what_was_signed(tmp_path: Path) -> None:
    names = [f"{'x' * 60}.{number}.example.com" for number in range(100)]
    far = Far(tmp_path, names=("**",))
    far.sign(order(*names))
    assert sorted(far.log[0]["identifiers"].split()) == sorted(names)


def test_refusals_do_not_fill_the_disk(far: Far) -> None:
    """Each connection may have one."""
    far.refusals = 3
    for _ in range(5):
        far.refusal(order("bank.example.com"))
        far.end(b"x\n")
    assert len(far.log) == 3
    assert ["what else is refused within the hour" in entry["rule"] for entry in far.log] == [False, False, True]
    far.sign(b"")
    assert far.log[-1]["message"].startswith("Signed")


def test_an_hour_that_cannot_be_counted(far: Far, tmp_path: Path) -> None:
    """An empty file is one that was spoilt, and not an hour without signatures."""
    far.sign(b"")
    count = tmp_path / "state" / "count"
    for spoilt in ("", "[]", '{"x": 1}', f'{{"{int(time.time()) // 60}": "x"}}', "null", "7"):
        count.write_text(spoilt)
        reason = far.refusal(b"")
        assert f"signatures cannot be counted in {count}: it has something else in it; remove it" in reason
        assert count.read_text() == spoilt
    assert "cannot be counted" in far.log[-1]["rule"]
    count.unlink()
    count.mkdir()
    assert f"cannot be counted in {count}: Is a directory" in far.refusal(b"")
    count.rmdir()
    far.sign(b"")


def test_a_count_that_cannot_be_written_is_kept(far: Far, tmp_path: Path) -> None:
    """As on a full disk: it is what it was before."""
    far.signatures = 2
    far.sign(b"")
    count = tmp_path / "state" / "count"
    before = count.read_text()
    assert before != ""
    new = count.with_name(".count.new")
    new.mkdir()  # nothing can be written there
    assert "signatures cannot be counted" in far.refusal(b"")
    assert count.read_text() == before
    new.rmdir()
    far.sign(b"")
    assert "there were 2 signatures" in far.refusal(b"")
