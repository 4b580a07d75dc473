# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copies that a certificate's own file asks for, and whose they and the private key are."""

import grp
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from acmed.names import OWN_FILES
from acmed.privd import files
from acmed.privd.requests.settings import KEYS
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import NAME, Rig
from tests.unit.privd.test_configure import refused
from tests.unit.privd.test_deliver import deliver
from tests.unit.privd.test_provided import pem, provide
from tests.unit.privd.test_restore import restore

KINDS = ("privkey", "cert", "chain", "fullchain", "combined")
SECRET = ("privkey", "combined")
NOBODY = pwd.getpwnam("nobody").pw_uid
MAIL = grp.getgrnam("mail").gr_gid
ROOT = os.geteuid()

pytestmark = pytest.mark.skipif(ROOT != 0, reason="only root gives files away")


def own(rig: Rig, text: str, services: str = "") -> Path:
    """A certificate with copies of every kind; their directory."""
    target = rig.directory / "copies"
    target.mkdir(exist_ok=True)
    lines = "".join(f'{kind} = "{target}/{{name}}.{kind}"\n' for kind in KINDS)
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\n{text}\n{services}\n[files]\n{lines}')
    return target


def access(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


@pytest.mark.parametrize(
    ("text", "key", "public"),
    [
        ("", (ROOT, 0, 0o600), (ROOT, 0, 0o644)),
        ('owner = "nobody"', (NOBODY, 0, 0o600), (NOBODY, 0, 0o644)),
        ('group = "mail"', (ROOT, MAIL, 0o640), (ROOT, MAIL, 0o644)),
        ('owner = "nobody"\ngroup = "mail"\nmode = "0440"', (NOBODY, MAIL, 0o440), (NOBODY, MAIL, 0o440)),
        ('owner = "nobody"\nmode = "0644"', (NOBODY, 0, 0o640), (NOBODY, 0, 0o644)),
        ('mode = "444"', (ROOT, 0, 0o440), (ROOT, 0, 0o444)),
        ('mode = "0400"', (ROOT, 0, 0o400), (ROOT, 0, 0o400)),
    ],
)
def test_every_kind_of_file(rig: Rig, text: str, key: tuple[int, int, int], public: tuple[int, int, int]) -> None:
    target = own(rig, text)
    rig.order()
    assert deliver(rig, OWN_FILES) == {OWN_FILES: ""}
    published = rig.published()
    published["combined.pem"] = published["privkey.pem"] + published["fullchain.pem"]
    assert sorted(path.name for path in target.iterdir()) == sorted(f"{NAME}.{kind}" for kind in KINDS)
    for kind in KINDS:
        path = target / f"{NAME}.{kind}"
        assert path.read_bytes() == published[f"{kind}.pem"]
        assert access(path) == (key if kind in SECRET else public)
    assert access(rig.places.certificates / NAME / "privkey.pem") == key
    assert access(rig.places.certificates / NAME / "cert.pem") == (ROOT, 0, 0o644)


def test_it_wins_over_services(rig: Rig) -> None:
    rig.configure(
        "acmed.toml.d/s.toml",
        f'[service.a]\ngroup = "mail"\nmode = "0440"\nfiles = {{ privkey = "{rig.directory}/a" }}\n'
        '[service.b]\ngroup = "daemon"\n',
    )
    services, daemon = 'services = ["a", "b"]', grp.getgrnam("daemon").gr_gid
    key = rig.places.certificates / NAME / "privkey.pem"
    target = own(rig, 'group = "daemon"', services)
    rig.order()
    assert deliver(rig, "a", "b", OWN_FILES) == {"a": "", "b": "", OWN_FILES: ""}
    assert access(key) == access(target / f"{NAME}.privkey") == (ROOT, daemon, 0o640)
    assert access(rig.directory / "a") == (ROOT, MAIL, 0o440), "a service's own copy is as the service has it"
    own(rig, 'owner = "nobody"', 'services = ["a"]')
    assert deliver(rig, "a", OWN_FILES) == {"a": "", OWN_FILES: ""}
    assert access(key) == (NOBODY, MAIL, 0o440), "what is not said here is as services want it"


def test_what_is_said_later(rig: Rig) -> None:
    """The key is given to others, and taken back, by a switch: nobody is without it for a moment."""
    rig.order()
    link = rig.places.certificates / NAME
    first, content = link.readlink(), rig.published()
    own(rig, 'owner = "nobody"')
    assert deliver(rig, OWN_FILES) == {OWN_FILES: ""}
    second = link.readlink()
    assert (second == first, rig.published()) == (False, content)
    assert access(link / "privkey.pem") == (NOBODY, 0, 0o600)
    assert deliver(rig, OWN_FILES) == {OWN_FILES: ""}
    assert link.readlink() == second, "what is right is left alone"
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\n')
    assert deliver(rig, OWN_FILES) == {OWN_FILES: ""}
    assert access(link / "privkey.pem") == (ROOT, 0, 0o600)
    assert len(list(rig.places.certificates.iterdir())) == 2, "the link, and what it points to"


@pytest.mark.parametrize(("key", "what"), [("owner", "user"), ("group", "group")])
def test_who_is_not_there_is_told_before_the_order(rig: Rig, key: str, what: str) -> None:
    target = own(rig, "")
    rig.order()
    own(rig, f'{key} = "nosuchone"')
    expected = f"{NAME}.toml: {key} = 'nosuchone': there is no such {what} on this host"
    with pytest.raises(VarlinkError) as caught:
        rig.request(job=2)
    assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"
    assert caught.value.parameters["message"].endswith(expected)
    assert deliver(rig, OWN_FILES)[OWN_FILES].endswith(expected)
    assert list(target.iterdir()) == []
    assert access(rig.places.certificates / NAME / "privkey.pem") == (ROOT, 0, 0o600)


def test_callers_cannot_say_it_nor_have_it_lost(rig: Rig) -> None:
    own(rig, 'owner = "nobody"')
    path = rig.places.certificate_file(NAME)
    before = path.read_text()
    error = refused(rig, certificate=NAME, names=["other.example.com"], replace=True)
    assert error.parameters["message"] == f"{path} has files, owner, which would be lost; edit the file instead"
    assert path.read_text() == before
    assert not {"files", "owner", "group", "mode"} & KEYS


def test_a_service_does_not_suffer(rig: Rig) -> None:
    target = own(rig, "", 'services = ["web"]')
    rig.configure("acmed.toml.d/s.toml", f'[service.web.files]\ncert = "{rig.directory}/web"\n')
    rig.order()
    target.rename(rig.directory / "away")
    answer = deliver(rig, OWN_FILES, "web")
    assert answer == {"web": "", OWN_FILES: f"{target}/{NAME}.privkey: No such file or directory"}
    assert (rig.directory / "web").exists()


def test_no_key_is_ever_for_more_than_in_the_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step at which a file with a key in it may be looked at."""
    target = own(rig, 'owner = "nobody"\ngroup = "mail"\nmode = "0644"')
    rig.order()
    places = (target, rig.places.certificates)
    key = (rig.places.certificates / NAME / "privkey.pem").read_bytes()
    seen: set[tuple[int, int, int]] = set()

    def look() -> None:
        for path in (path for place in places for path in place.rglob("*")):
            if path.is_file() and key[:100] in path.read_bytes():
                seen.add(access(path))

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            look()
            result = real(*arguments, **named)
            look()
            return result

        return step

    for name in ("fchmod", "fchown", "fsync"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    monkeypatch.setattr(Path, "replace", watched(Path.replace))
    os.umask(0)
    assert deliver(rig, OWN_FILES) == {OWN_FILES: ""}
    own(rig, 'owner = "nobody"\ngroup = "mail"\nmode = "0440"')
    assert deliver(rig, OWN_FILES) == {OWN_FILES: ""}
    assert seen == {
        (ROOT, 0, 0o600),
        (ROOT, MAIL, 0o600),
        (ROOT, MAIL, 0o640),
        (NOBODY, MAIL, 0o640),
        (ROOT, MAIL, 0o440),
        (NOBODY, MAIL, 0o440),
    }


def written(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])


def given_back(path: Path) -> None:
    os.chown(path, ROOT, -1)


def given_more(path: Path) -> None:
    path.chmod(0o644)


def replaced(path: Path) -> None:
    other = path.with_name("other")
    files.create(other, path.read_bytes()[::-1], files.Access(0, 0o600, NOBODY))
    other.rename(path)


@pytest.mark.parametrize("damage", [written, given_back, given_more, replaced])
def test_another_owners_key_is_put_back(rig: Rig, damage: Callable[[Path], None]) -> None:
    """As long as it is. acme-privd may not read it, as it has no right to override."""
    own(rig, 'owner = "nobody"')
    rig.order()
    path = rig.places.certificates / NAME / "privkey.pem"
    assert restore(rig) == []
    before, later = rig.published(), rig.directory / "later"
    later.touch()
    while later.stat().st_ctime_ns <= path.stat().st_ctime_ns:  # the clock ticks some hundred times a second
        later.touch()
    damage(path)
    assert restore(rig) == ["privkey"]
    assert (rig.published(), access(path)) == (before, (NOBODY, 0, 0o600))
    assert restore(rig) == []


def test_a_provided_key_is_for_services_alone(rig: Rig) -> None:
    """Who may read it is said where root keeps it; the owner of the copies is not given it in passing."""
    path = provide(rig, pem(ec.generate_private_key(ec.SECP256R1())))
    own(rig, f'key-file = "{path}"\nowner = "nobody"\ngroup = "mail"\nmode = "0440"')
    rig.order()
    assert deliver(rig, OWN_FILES) == {OWN_FILES: ""}
    assert access(rig.places.certificates / NAME / "privkey.pem") == (ROOT, 0, 0o600)
    assert access(rig.directory / "copies" / f"{NAME}.cert") == (NOBODY, MAIL, 0o440)
    assert access(rig.directory / "copies" / f"{NAME}.privkey") == (NOBODY, MAIL, 0o440)
