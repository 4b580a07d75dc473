# SPDX-License-Identifier: LGPL-2.1-or-later
"""`pip install .` in a virtual environment: acmectl and acme-keyd, without units. The libraries are Debian's, as in CI
nothing is to be downloaded; pip compares what pyproject.toml asks for with what they are.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmed import __version__

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where it is installed, from a copy: the build writes beside its sources."""
    folder = tmp_path_factory.mktemp("pip")
    source, environment = folder / "source", folder / "environment"
    shutil.copytree(SOURCE / "acmed", source / "acmed", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(SOURCE / name, source)
    # Its own pip would take longer to install than acmed.
    venv = ["/usr/bin/python3", "-m", "venv", "--system-site-packages", "--without-pip", str(environment)]
    subprocess.run(venv, check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python3")]
    install = ["install", "--quiet", "--no-index", "--no-build-isolation", "--no-compile", str(source)]
    done = subprocess.run([*pip, *install], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield environment
    shutil.rmtree(folder)


def run(environment: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of the environment, away from the sources."""
    return subprocess.run(
        [environment / "bin" / words[0], *words[1:]],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_programs(environment: Path) -> None:
    assert {path.name for path in (environment / "bin").glob("acme*")} == {"acmectl", "acme-keyd"}
    assert not [path for path in environment.rglob("*") if path.suffix in (".service", ".socket", ".timer")]
    packages = environment.glob("lib/python3*/site-packages/*")
    assert {path.name for path in packages if path.name.startswith(("acme", "tests", "bench"))} == {
        "acmed",
        f"acmed-{__version__}.dist-info",
    }


def test_its_own_modules_are_used(environment: Path) -> None:
    where = run(environment, "python3", "-I", "-c", "import acmed; print(acmed.__file__)").stdout
    assert where.startswith(str(environment))


def test_acmectl(environment: Path) -> None:
    help_text = run(environment, "acmectl", "--help")
    assert (help_text.returncode, help_text.stderr) == (0, "")
    assert "usage: acmectl" in help_text.stdout
    assert run(environment, "acmectl", "--version").stdout == f"acmectl {__version__}\n"


def test_config_check_needs_no_bus(environment: Path) -> None:
    checked = run(environment, "acmectl", "config", "check")
    assert checked.stdout + checked.stderr
    assert "Traceback" not in checked.stderr
    assert checked.returncode in (0, 1), "good or bad, as this host's configuration is"


def test_without_a_bus_acmectl_says_so(environment: Path) -> None:
    listed = run(environment, "acmectl", "list", DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent")
    assert listed.returncode not in (0, 1)
    assert "bus" in listed.stderr
    assert "Traceback" not in listed.stderr


def test_acme_keyd_says_what_it_lacks(environment: Path, tmp_path: Path) -> None:
    for variables, words in (({}, "RUNTIME_DIRECTORY"), ({"RUNTIME_DIRECTORY": str(tmp_path)}, "socket")):
        started = run(environment, "acme-keyd", **variables)
        assert started.returncode != 0
        assert words in started.stderr
        assert "Traceback" not in started.stderr


def test_a_log_line_without_systemd_python(environment: Path, tmp_path: Path) -> None:
    """It is optional; with it missing, a daemon that systemd started still says what it has to say."""
    (tmp_path / "systemd.py").write_text("raise ImportError\n")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from acmed import journal; journal.error('%s!', 'words', job=1)"
    )
    done = run(environment, "python3", "-I", "-c", script, str(tmp_path), JOURNAL_STREAM="1:2")
    assert (done.returncode, done.stderr) == (0, "<3>words!\n")
