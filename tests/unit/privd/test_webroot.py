# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens below a document root, whose owner may be hostile."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from acmed.privd import tokens
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import NAME, ROOT, Rig

TOKEN = "t" * 43
AUTHORIZATION = f"{TOKEN}.{'k' * 43}"


def run(directory: Path, content: str | None = AUTHORIZATION) -> int:
    order = json.dumps({"directory": str(directory), "token": TOKEN, "content": content})
    return subprocess.run(
        [sys.executable, "-m", "acmed.webroot"], input=order.encode(), check=False, timeout=30
    ).returncode


def test_write_again_and_remove(tmp_path: Path) -> None:
    path = tmp_path / ".well-known/acme-challenge" / TOKEN
    for _ in range(2):
        assert run(tmp_path) == 0
        assert path.read_text() == AUTHORIZATION
        assert path.stat().st_mode & 0o777 == 0o644
    for _ in range(2):
        assert run(tmp_path, None) == 0
        assert not path.exists()


def test_nothing_to_remove(tmp_path: Path) -> None:
    assert run(tmp_path, None) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", [".well-known", ".well-known/acme-challenge"])
def test_links_are_not_followed(tmp_path: Path, level: str) -> None:
    root, victim = tmp_path / "root", tmp_path / "victim"
    victim.mkdir()
    link = root / level
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    assert run(root) == errno.ENOTDIR
    assert list(victim.iterdir()) == []


def test_a_link_in_the_place_of_the_token_is_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("data")
    path = tmp_path / ".well-known/acme-challenge" / TOKEN
    path.parent.mkdir(parents=True)
    path.symlink_to(victim)
    assert run(tmp_path) == 0
    assert victim.read_text() == "data"
    assert path.read_text() == AUTHORIZATION


def test_no_such_directory(tmp_path: Path) -> None:
    assert run(tmp_path / "missing") == errno.ENOENT


@pytest.mark.parametrize("token", ["", "short", "../../../etc/passwd", "a/" * 20, "t" * 257, "t" * 20 + "\n"])
def test_tokens_that_are_none(token: str) -> None:
    with pytest.raises(VarlinkError) as caught:
        tokens.check_token(token)
    assert caught.value.parameters == {"parameter": "token"}


@pytest.mark.parametrize(
    "authorization", ["", TOKEN, f"{TOKEN}.", f"{TOKEN}.short", f"x{AUTHORIZATION}", f"{AUTHORIZATION}\n<script>"]
)
def test_key_authorizations_that_are_none(authorization: str) -> None:
    with pytest.raises(VarlinkError) as caught:
        tokens.check_token(TOKEN, authorization)
    assert caught.value.parameters == {"parameter": "keyAuthorization"}


def test_the_mode_decides(rig: Rig) -> None:
    webroot = rig.directory / "www"
    rig.configure("acmed.toml.d/h.toml", f'[http01]\nmode = "webroot"\nwebroot = "{webroot}"\n')
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.open_challenge(ROOT, 1, NAME))
    assert caught.value.name == "org.acmed.Priv.ChallengeUnavailable"
    assert str(webroot) in caught.value.parameters["message"]
    webroot.mkdir()
    assert rig.run(lambda priv: priv.open_challenge(ROOT, 1, NAME)) == {"method": "webroot"}
    rig.configure("acmed.toml.d/h.toml", "")
    with pytest.raises(VarlinkError) as caught:
        tokens.webroot(rig.places.configuration())
    assert caught.value.name == "org.acmed.Priv.ChallengeUnavailable"
