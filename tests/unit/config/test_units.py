# SPDX-License-Identifier: LGPL-2.1-or-later
"""Units of services that systemd does not know: what becomes of its answer (the system's tests ask it)."""

from pathlib import Path

import pytest

from acmed.config import Problem
from acmed.config.units import problems
from tests.unit.config.place import NGINX, STAGING, Place

SERVICES = f'{STAGING}[service.web]\nunits = ["ngnix.service", "other.service"]\n'
UNUSED = '[service.unused]\nunits = ["unused.service"]\n'


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Knows nginx.service and other.service, answers as systemctl(1) does, and notes what it was asked."""
    directory = tmp_path / "bin"
    directory.mkdir()
    program = directory / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\nwhile [ "$1" != -- ]; do shift; done\nshift\n'
        "for unit; do case $unit in nginx.service|other.service) echo loaded;; *) echo not-found;; esac; echo; done\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=":")
    return tmp_path / "asked"


def _place(tmp_path: Path) -> Place:
    place = Place(tmp_path, SERVICES, NGINX + UNUSED)
    place.write("certificates.d/www.toml", 'names = ["www.example.com"]\nservices = ["web", "nginx"]\n')
    place.write("certificates.d/mail.toml", 'names = ["mail.example.com"]\nservices = ["web"]\n')
    return place


def test_unit_that_is_not_there(tmp_path: Path, systemctl: Path) -> None:
    place = _place(tmp_path)
    units = tmp_path / "lib/systemd/system"
    units.mkdir(parents=True)
    (units / "nginx.service").write_text("")
    (units / "nginx.socket").write_text("")
    message = "there is no unit 'ngnix.service' here, which is to take up new certificates: mail, www"
    found = list(problems(place.load(), (tmp_path / "lib",)))
    assert found == [Problem(place.etc / "acmed.toml", 4, message, "did you mean 'nginx.service'?", note=True)]
    assert [problem.hint for problem in problems(place.load(), ())] == [
        "install what has the unit, or correct its name"
    ]
    assert "unused" not in systemctl.read_text()


def test_no_service_is_used(tmp_path: Path, systemctl: Path) -> None:
    place = Place(tmp_path, SERVICES)
    place.write("certificates.d/www.toml", 'names = ["www.example.com"]\n')
    assert list(problems(place.load())) == []
    assert not systemctl.exists()


@pytest.mark.parametrize("program", ["", "#!/bin/sh\necho not-found\nexit 1\n"])
def test_nobody_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    directory = tmp_path / "bin"
    directory.mkdir()
    if program:
        (directory / "systemctl").write_text(program)
        (directory / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))
    assert list(problems(_place(tmp_path).load())) == []
