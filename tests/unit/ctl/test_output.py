# SPDX-License-Identifier: LGPL-2.1-or-later
"""Times, tables, progress and colours, and what a terminal would obey."""

import re
import sys
from dataclasses import replace

import pytest

from acmed.ctl import table, times
from acmed.ctl.following import progress
from acmed.ctl.following.display import Plain
from acmed.ctl.output import Output, safe
from tests.unit.ctl.samples import DAY, JOB, NOW, USEC

pytestmark = pytest.mark.usefixtures("in_utc")


@pytest.mark.parametrize(
    ("usec", "iso", "local"),
    [
        (0, None, "-"),
        (1_750_000_000_999_999, "2025-06-15T15:06:40Z", "2025-06-15 15:06 UTC"),
        (2**64 - 1, None, "-"),
    ],
)
def test_times(usec: int, iso: str | None, local: str) -> None:
    assert times.iso(usec) == iso
    assert times.local(usec) == local


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60 * DAY + 5, "in 60 days"),
        (DAY, "in 24 hours"),
        (-7200, "2 hours ago"),
        (119, "in 119 seconds"),
        (1, "now"),
        (-1, "now"),
    ],
)
def test_relative_times(seconds: int, text: str) -> None:
    assert times.relative((NOW + seconds) * USEC, NOW) == text


def test_table() -> None:
    rows = [("a", "valid", "x y"), ("longer", "failing", "z")]
    assert table.table(("NAME", "STATE", "NAMES"), rows, legend=True, colour=False, width=None) == [
        "NAME    STATE    NAMES",
        "a       valid    x y",
        "longer  failing  z",
    ]


def test_table_without_legend_or_rows() -> None:
    assert table.table(("NAME",), [("a",)], legend=False, colour=False, width=None) == ["a"]
    assert table.table(("NAME",), [], legend=True, colour=True, width=80) == []


@pytest.mark.parametrize("width", range(1, 30))
def test_table_is_never_wider(width: int) -> None:
    rows = [("name", "failing", "many names here")]
    lines = table.table(("NAME", "STATE", "NAMES"), rows, legend=True, colour=True, width=width)
    assert max(len(re.sub(r"\x1b\[\d*m", "", line)) for line in lines) <= width


def test_table_colours_states() -> None:
    rows = [("valid-name", "failing, undelivered")]
    (only,) = table.table(("NAME", "STATE"), rows, legend=False, colour=True, width=None)
    assert only == "valid-name  \x1b[31mfailing, undelivered\x1b[0m"


def test_step_counts_names() -> None:
    job = replace(JOB, challenges=(("a", "http-01", "valid"), ("b", "http-01", "pending")))
    assert progress.plain(job) == "www: answering challenges, 1 of 2 valid (40%)"
    assert progress.plain(replace(job, step="finalize")) == "www: finalizing the order (40%)"
    assert progress.plain(replace(job, step="something-new")) == "www: something-new (40%)"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("account", "registering the account"),
        ("deactivate-account", "ending the account"),
        ("rollover-key", "changing the account's key"),
        ("update-account", "changing the contacts"),
    ],
)
def test_what_is_done_with_an_account(kind: str, words: str) -> None:
    assert progress.plain(replace(JOB, type=kind, step="account", certificate="le")) == f"le: {words} (40%)"


def test_a_log_has_no_line_for_a_step_that_has_no_more_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    job = replace(JOB, certificate="www", step="reload", progress=95)
    display = Plain()
    for detail in ("", "nginx", "", "postfix", ""):
        display.show([replace(job, detail=detail)])
    display.show([replace(job, step="verify", progress=99)])
    assert capsys.readouterr().err.splitlines() == [
        "www: reloading services (95%)",
        "www: reloading services: nginx (95%)",
        "www: reloading services: postfix (95%)",
        "www: verifying (99%)",
    ]


@pytest.mark.parametrize(
    ("percent", "bar"), [(0, "-" * 20), (50, "#" * 10 + "-" * 10), (100, "#" * 20), (4000, "#" * 20)]
)
def test_bar(percent: int, bar: str) -> None:
    assert progress.bar(percent) == f"[{bar}]"


def test_live_lines() -> None:
    jobs = [replace(JOB, id=number, certificate=f"{number}.example.com") for number in range(5)]
    lines = progress.live(jobs, width=80, height=24)
    assert lines[0] == "0.example.com  [########------------]  40%  answering challenges"
    assert len(lines) == 5
    few = progress.live(jobs, width=20, height=4)
    assert len(few) == 3
    assert few[-1] == "and 3 more"
    assert max(map(len, few)) < 20


def test_safe_escapes_what_terminals_obey() -> None:
    assert safe("a\x1b[31m\nb\udcff\r") == "a\\x1b[31m\nb\\udcff"


@pytest.mark.parametrize(
    ("colour", "no_color", "wanted"), [("auto", "", False), ("always", "1", True), ("never", "", False)]
)
def test_colour(colour: str, no_color: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    assert Output(colour=colour).coloured(sys.stdout) is wanted
