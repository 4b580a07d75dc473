# SPDX-License-Identifier: LGPL-2.1-or-later
"""A run of the system tests that is told to end, by SIGTERM."""

import subprocess
import sys
from pathlib import Path

_TESTS = """\
import os, signal, pytest

@pytest.fixture(scope="module")
def machine():
    yield
    print("torn down")

def test_first(machine):
    os.kill(os.getpid(), signal.SIGTERM)

def test_second(machine):
    print("went on")
"""


def test_sigterm_ends_the_run_in_good_order(tmp_path: Path) -> None:
    file = tmp_path / "test_two.py"
    file.write_text(_TESTS)
    command = [sys.executable, "-m", "pytest", "-s", "-p", "tests.system.conftest", "-p", "no:cacheprovider", str(file)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 128 + 15
    assert "torn down" in run.stdout
    assert "went on" not in run.stdout
