# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens below a document root, whose owner may be hostile."""

import os
from pathlib import Path
from typing import Any

import pytest

from acmed.privd.challenges import outside, tokens
from acmed.varlink import VarlinkError
from tests.unit.privd import oneshot
from tests.unit.privd.rig import NAME, ROOT, Rig

TOKEN = "t" * 43
AUTHORIZATION = f"{TOKEN}.{'k' * 43}"


def run(directory: Path, content: str | None = AUTHORIZATION, **changes: Any) -> str:
    """What acmed.webroot says is wrong."""
    return oneshot.run("acmed.webroot", directory, **{"token": TOKEN, "content": content, **changes})


def test_write_again_and_remove(tmp_path: Path) -> None:
    path = tmp_path / ".well-known/acme-challenge" / TOKEN
    for _ in range(2):
        assert run(tmp_path) == ""
        assert path.read_text() == AUTHORIZATION
        assert path.stat().st_mode & 0o777 == 0o644
    for _ in range(2):
        assert run(tmp_path, None) == ""
        assert not path.exists()


def test_nothing_to_remove(tmp_path: Path) -> None:
    assert run(tmp_path, None) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", [".well-known", ".well-known/acme-challenge"])
def test_links_are_not_followed(tmp_path: Path, level: str) -> None:
    root, victim = tmp_path / "root", tmp_path / "victim"
    victim.mkdir()
    link = root / level
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    assert run(root) == f"{root}/{link.name}: Not a directory"
    assert list(victim.iterdir()) == []


def test_a_link_in_the_place_of_the_token_is_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("data")
    path = tmp_path / ".well-known/acme-challenge" / TOKEN
    path.parent.mkdir(parents=True)
    path.symlink_to(victim)
    assert run(tmp_path) == ""
    assert victim.read_text() == "data"
    assert path.read_text() == AUTHORIZATION


def test_no_such_directory(tmp_path: Path) -> None:
    assert run(tmp_path / "missing") == f"{tmp_path}/missing: No such file or directory"


def test_another_directory_came_into_its_place(tmp_path: Path) -> None:
    """Between acme-privd's look, which decides who writes, and the writing."""
    seen, victim = tmp_path / "seen", tmp_path / "victim"
    seen.mkdir()
    victim.mkdir()
    inode = seen.stat().st_ino
    seen.rename(tmp_path / "old")
    seen.symlink_to(victim)
    assert run(seen, inode=inode) == f"{seen}: another directory came into its place"
    assert list(victim.iterdir()) == []


def test_a_link_of_the_owner_above_the_webroot_is_not_followed(tmp_path: Path) -> None:
    """What is above the document root is a user's, who leads to another user's directory, or to root's."""
    own, victim = tmp_path / "own", tmp_path / "victim"
    (own / "www").mkdir(parents=True)
    victim.mkdir()
    os.chown(own, 65534, 65534)
    os.chown(own / "www", 65534, 65534)
    assert outside.look(own / "www", "webroot").user == 65534
    (own / "www").rename(own / "old")
    (own / "www").symlink_to(victim)
    assert outside.look(own / "www", "webroot").user == 0, "a link of root's is root's decision"
    os.chown(own / "www", 65534, 65534, follow_symlinks=False)
    with pytest.raises(VarlinkError) as caught:
        outside.look(own / "www", "webroot")
    assert f"{own}/www: user 65534 made a symbolic link" in caught.value.parameters["message"]


def test_what_acme_privd_does_not_see() -> None:
    with pytest.raises(VarlinkError) as caught:
        outside.look(Path("/home/nobody-has-this/www"), "webroot")
    assert caught.value.parameters["message"].endswith("acme-privd does not see what is below it")


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


@pytest.mark.parametrize(
    "identifier", ["", "..", "a/b", "../etc", "*.example.com", "WWW.example.com", "www.example.com.", "[2001:db8::1]"]
)
def test_identifiers_that_are_none(rig: Rig, identifier: str) -> None:
    rig.configure("acmed.toml.d/h.toml", f'[http01]\nmode = "webroot"\nwebroot = "{rig.directory}/{{fqdn}}"\n')
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.publish_token(ROOT, 1, NAME, identifier, TOKEN, AUTHORIZATION))
    assert caught.value.parameters == {"parameter": "identifier"}


def message(rig: Rig, kind: str = "http-01") -> str:
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.open_challenge(ROOT, 1, NAME, kind))
    assert caught.value.name == "org.acmed.Priv.ChallengeUnavailable"
    text = caught.value.parameters["message"]
    assert rig.run(lambda priv: priv.probe_challenge(ROOT, 1, NAME, kind)) == {"problem": text}
    return str(text)


def test_the_mode_decides(rig: Rig) -> None:
    webroot = rig.directory / "www"
    rig.configure("acmed.toml.d/h.toml", f'[http01]\nmode = "webroot"\nwebroot = "{webroot}"\n')
    assert str(webroot) in message(rig)
    webroot.mkdir()
    assert rig.run(lambda priv: priv.open_challenge(ROOT, 1, NAME, "http-01")) == {"method": "webroot"}
    assert rig.run(lambda priv: priv.probe_challenge(ROOT, 1, NAME, "http-01")) == {"problem": ""}
    rig.configure("acmed.toml.d/h.toml", "")
    with pytest.raises(VarlinkError) as caught:
        tokens.webroot(rig.places.configuration(), NAME)
    assert caught.value.name == "org.acmed.Priv.ChallengeUnavailable"


def test_a_pattern(rig: Rig) -> None:
    pattern = rig.directory / "{zone}" / "{host}" / "{fqdn}"
    rig.configure("acmed.toml.d/h.toml", f'[http01]\nmode = "webroot"\nwebroot = "{pattern}"\n')
    expected = rig.directory / "example.com" / "www" / NAME
    assert str(expected) in message(rig)
    expected.mkdir(parents=True)
    assert tokens.webroot(rig.places.configuration(), NAME).path == expected
    assert rig.run(lambda priv: priv.open_challenge(ROOT, 1, NAME, "http-01")) == {"method": "webroot"}


def test_only_names_that_are_validated_there_need_a_directory(rig: Rig) -> None:
    """The others are in a zone, or are validated in another way."""
    rig.configure("acmed.toml.d/h.toml", f'[http01]\nmode = "webroot"\nwebroot = "{rig.directory}/{{fqdn}}"\n')
    rig.configure("acmed.toml.d/z.toml", '[zone."example.net"]\nserver = "192.0.2.1"\n')
    rig.configure(
        f"certificates.d/{NAME}.toml",
        f'names = ["{NAME}", "www.example.net", "tls.example.com"]\n[challenges]\n"tls.example.com" = "tls-alpn-01"\n',
    )
    (rig.directory / NAME).mkdir()
    assert rig.run(lambda priv: priv.open_challenge(ROOT, 1, NAME, "http-01")) == {"method": "webroot"}


def test_webroots_of_single_names_need_no_mode(rig: Rig) -> None:
    webroot = rig.directory / "www"
    webroot.mkdir()
    rig.configure("acmed.toml.d/h.toml", f'[http01.webroots]\n"{NAME}" = "{webroot}"\n')
    assert tokens.webroot(rig.places.configuration(), NAME).path == webroot
    with pytest.raises(VarlinkError) as caught:
        tokens.webroot(rig.places.configuration(), "other.example.com")
    assert "a line for other.example.com in webroots" in caught.value.parameters["message"]


@pytest.mark.parametrize("kind", ["", "dns-01", "none", "tls-alpn-02"])
def test_types_that_need_no_way(rig: Rig, kind: str) -> None:
    for act in ("open_challenge", "probe_challenge"):
        with pytest.raises(VarlinkError) as caught:
            rig.run(lambda priv, act=act: getattr(priv, act)(ROOT, 1, NAME, kind))  # type: ignore[misc]
        assert caught.value.parameters == {"parameter": "type"}
