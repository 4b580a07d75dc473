# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who has a port."""

import os
import socket
from pathlib import Path

import pytest

from acmed.portholder import cgroups, sockets


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_socket_that_listens(family: socket.AddressFamily, address: str) -> None:
    with socket.create_server((address, 0), family=family) as listener:
        port = listener.getsockname()[1]
        (found,) = sockets.listening(port)
        assert found.user == os.geteuid()
        with socket.create_connection((address, port)):
            assert sockets.listening(port) == [found], "a connection does not listen"
    assert sockets.listening(port) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("system.slice/nginx.service", "nginx.service"),
        ("system.slice/system-postgresql.slice/postgresql@15-main.service", "postgresql@15-main.service"),
        ("system.slice/cockpit.socket", "cockpit.socket"),
        ("machine.slice/docker-0123.scope", "a program of user 33 in docker-0123.scope"),
        ("user.slice/user-1000.slice/session-3.scope", "a program of user 33 in session-3.scope"),
        (
            "user.slice/user-1000.slice/user@1000.service/app.slice/caddy.service",
            "caddy.service of user 33",
        ),
        ("init.scope", "systemd for one of its socket units (systemctl list-sockets has them)"),
        ("elsewhere", "a program of user 33"),
    ],
)
def test_who_that_is(path: str, expected: str) -> None:
    assert cgroups.describe(Path(path), 33) == expected


def test_a_control_group_that_is_gone() -> None:
    for cgroup in (None, 2**63):
        assert cgroups.holder(cgroup, 33) == "a program of user 33"


def test_a_control_group_is_found_by_its_inode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "ROOTS", (tmp_path / "none", tmp_path))
    unit = tmp_path / "system.slice" / "nginx.service"
    unit.mkdir(parents=True)
    (tmp_path / "system.slice" / "other.service").mkdir()
    assert cgroups.holder(unit.stat().st_ino, 33) == "nginx.service"
