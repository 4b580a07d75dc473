# SPDX-License-Identifier: LGPL-2.1-or-later
"""The problems of a configuration."""

import json
from pathlib import Path

import pytest

from acmed.config import Problem
from acmed.ctl.commands import configcheck
from acmed.ctl.exits import Exit
from acmed.ctl.output import Output

PROBLEM = Problem(Path("/etc/acmed/acmed.toml"), 3, "unknown key 'x'", "did you mean 'y'?")
NOTE = Problem(Path("/etc/acmed/acmed.toml"), 0, "not checked", note=True)


def test_problems_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert configcheck.report(Output(), [PROBLEM, NOTE]) is Exit.FAILED
    assert capsys.readouterr().out == (
        "/etc/acmed/acmed.toml:3: unknown key 'x'\n    did you mean 'y'?\n/etc/acmed/acmed.toml: note: not checked\n"
    )


def test_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert configcheck.report(Output(), [NOTE]) is Exit.DONE
    assert capsys.readouterr().out.endswith("No problems.\n")
    assert configcheck.report(Output(quiet=True), [NOTE]) is Exit.DONE
    assert capsys.readouterr().out == ""


def test_problems_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert configcheck.report(Output(json=True), [PROBLEM]) is Exit.FAILED
    assert json.loads(capsys.readouterr().out) == {
        "problems": [
            {
                "file": "/etc/acmed/acmed.toml",
                "line": 3,
                "message": "unknown key 'x'",
                "hint": "did you mean 'y'?",
                "note": False,
            }
        ]
    }
