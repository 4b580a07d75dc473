# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copies of the files for a service. Reloading needs PID 1: tests/system has it."""

import errno
import grp
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from acmed.privd.delivery import copies
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import NAME, ROOT, Rig


def deliver(rig: Rig, *services: str) -> dict[str, str]:
    answer: dict[str, Any] = rig.run(lambda priv: priv.deliver(ROOT, 1, NAME, list(services)))
    return {delivery["service"]: delivery["error"] for delivery in answer["deliveries"]}


def use(rig: Rig, text: str, *services: str) -> None:
    rig.configure("acmed.toml.d/s.toml", text)
    quoted = ", ".join(f'"{service}"' for service in services)
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nservices = [{quoted}]')


def test_every_kind_of_file(rig: Rig) -> None:
    target = rig.directory / "service"
    target.mkdir()
    kinds = ("privkey", "cert", "chain", "fullchain", "combined")
    lines = "\n".join(f'{kind} = "{target}/{{name}}.{kind}"' for kind in kinds)
    use(rig, f'[service.ftp]\nmode = "0400"\n[service.ftp.files]\n{lines}\n', "ftp")
    rig.order()
    assert deliver(rig, "ftp") == {"ftp": ""}
    published = rig.published()
    copies = {path.name.removeprefix(f"{NAME}."): path for path in target.iterdir()}
    assert sorted(copies) == sorted(kinds)
    for kind in ("privkey", "cert", "chain", "fullchain"):
        assert copies[kind].read_bytes() == published[f"{kind}.pem"]
    assert copies["combined"].read_bytes() == published["privkey.pem"] + published["fullchain.pem"]
    for kind, path in copies.items():
        expected = 0o400 if kind in ("privkey", "combined") else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == expected


def test_a_link_in_the_way_is_replaced_and_not_followed(rig: Rig) -> None:
    victim, target = rig.directory / "victim", rig.directory / "cert.pem"
    victim.write_text("data")
    target.symlink_to(victim)
    (rig.directory / ".cert.pem.acmed-new").symlink_to(victim)
    use(rig, f'[service.ftp.files]\ncert = "{target}"\n', "ftp")
    rig.order()
    assert deliver(rig, "ftp") == {"ftp": ""}
    assert victim.read_text() == "data"
    assert not target.is_symlink()


def test_one_failure_does_not_stop_the_others(rig: Rig) -> None:
    use(
        rig,
        f'[service.bad.files]\ncert = "{rig.directory}/missing/cert.pem"\n'
        f'[service.good.files]\ncert = "{rig.directory}/cert.pem"\n[service.stranger]\n',
        "bad",
        "good",
    )
    rig.order()
    errors = deliver(rig, "bad", "stranger", "unknown", "good")
    assert "missing" in errors["bad"]
    assert "No such file or directory" in errors["bad"]
    assert errors["good"] == ""
    assert "not among the services" in errors["stranger"]
    assert errors["unknown"] == "there is no [service.unknown]; known services: bad, good, stranger"
    assert (rig.directory / "cert.pem").read_bytes() == rig.published()["cert.pem"]


def test_nothing_installed(rig: Rig) -> None:
    with pytest.raises(VarlinkError) as caught:
        deliver(rig)
    assert caught.value.name == "org.acmed.Priv.NotIssued"


def test_a_service_that_came_later_may_read_the_key(rig: Rig) -> None:
    rig.order()
    path = rig.places.certificates / NAME / "privkey.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    group = grp.getgrgid(os.getgid()).gr_name
    use(rig, f'[service.web]\ngroup = "{group}"\n', "web")
    assert deliver(rig, "web") == {"web": ""}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    use(rig, '[service.web]\ngroup = "no-such-group"\n', "web")
    assert "no such group" in deliver(rig, "web")["web"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_service_cannot_lead_root_to_other_files(rig: Rig) -> None:
    """Its directory is its own, and in that one is root's, which it moves away for a link to another certificate's."""
    own, other = rig.directory / "app", rig.places.certificates / "other.example.com"
    (own / "tls").mkdir(parents=True)
    other.mkdir()
    (other / "privkey.pem").write_text("another key")
    use(rig, f'[service.app.files]\nprivkey = "{own}/tls/privkey.pem"\n', "app")
    rig.order()
    assert deliver(rig, "app") == {"app": ""}
    (own / "tls").rename(own / "old")
    (own / "tls").symlink_to(other)
    assert deliver(rig, "app") == {"app": ""}  # a link of root's is root's decision
    (other / "privkey.pem").write_text("another key")
    os.chown(own / "tls", 65534, 65534, follow_symlinks=False)
    answer = deliver(rig, "app")["app"]
    assert f"{own}/tls: user 65534 made a symbolic link" in answer
    assert (other / "privkey.pem").read_text() == "another key"
    (own / "tls").unlink()
    assert f"{own}/tls/privkey.pem: No such file" in deliver(rig, "app")["app"]


def test_hooks_that_are_not_run(rig: Rig) -> None:
    use(rig, '[service.web]\n[service.stranger]\nhook = "push"\n', "web")
    rig.order()
    answers = deliver(rig, "hook of web", "hook of stranger", "hook of worse")
    assert answers["hook of web"] == "", "it has none"
    assert "not among the services" in answers["hook of stranger"]
    assert answers["hook of worse"] == "there is no [service.worse]; known services: stranger, web"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (
            "/etc/nginx/tls/www.pem",
            "/etc/nginx/tls/www.pem: Read-only file system: acme-privd may not write there; 'acmectl config check'",
        ),
        ("/etc/www.pem", "many programs have their files: use a directory for certificates alone"),
    ],
)
def test_what_to_do_where_the_unit_may_not_write(path: str, hint: str) -> None:
    assert hint in copies.problem(OSError(errno.EROFS, os.strerror(errno.EROFS), path))


def test_what_may_be_read_is_not_taken_away_for_a_moment(rig: Rig) -> None:
    """Some services read their key for each connection."""
    group = grp.getgrgid(os.getgid()).gr_name
    use(rig, f'[service.web]\ngroup = "{group}"\n', "web")
    rig.order()
    path = rig.places.certificates / NAME / "privkey.pem"
    before, later = path.stat(), rig.directory / "later"
    later.touch()
    while later.stat().st_ctime_ns == before.st_ctime_ns:  # the clock ticks some hundred times a second
        later.touch()
    assert deliver(rig, "web") == {"web": ""}
    assert (path.stat().st_ctime_ns, path.stat().st_ino) == (before.st_ctime_ns, before.st_ino)


def damage(rig: Rig, *directories: Path) -> None:
    for directory in directories:
        path = directory / "privkey.pem"
        path.write_bytes(path.read_bytes()[:100])


def master(rig: Rig) -> Path:
    (found,) = rig.places.sets(NAME).iterdir()
    return found


def test_a_damaged_copy_of_ours_is_brought_over_nothing(rig: Rig) -> None:
    """What is published stands in for it, and puts it right."""
    copy = rig.directory / "key.pem"
    use(rig, f'[service.app.files]\nprivkey = "{copy}"\n', "app")
    rig.order()
    assert deliver(rig, "app") == {"app": ""}
    before = copy.read_bytes()
    damage(rig, master(rig))
    assert deliver(rig, "app") == {"app": ""}
    assert copy.read_bytes() == rig.published()["privkey.pem"] == before
    assert (master(rig) / "privkey.pem").read_bytes() == before


def test_where_nothing_is_whole_nothing_is_delivered(rig: Rig) -> None:
    copy = rig.directory / "key.pem"
    use(rig, f'[service.app.files]\nprivkey = "{copy}"\n', "app")
    rig.order(job=1)
    deliver(rig, "app")
    before = copy.read_bytes()
    damage(rig, master(rig), rig.places.certificates / NAME)
    with pytest.raises(VarlinkError) as caught:
        deliver(rig, "app")
    assert caught.value.name == "org.acmed.Priv.InstallFailed"
    assert f"the copy of {NAME} that acme-privd keeps is damaged" in caught.value.parameters["message"]
    assert copy.read_bytes() == before
    rig.order(job=2)
    assert deliver(rig, "app") == {"app": ""}
    assert copy.read_bytes() == rig.published()["privkey.pem"] != before


def test_a_damaged_key_is_given_to_nobody(rig: Rig) -> None:
    """Where its group changes, it would be published."""
    rig.order()
    group = grp.getgrgid(os.getgid()).gr_name
    use(rig, f'[service.web]\ngroup = "{group}"\n', "web")
    before = rig.published()
    damage(rig, master(rig))
    assert deliver(rig, "web") == {"web": ""}
    assert rig.published() == before
    assert stat.S_IMODE((rig.places.certificates / NAME / "privkey.pem").stat().st_mode) == 0o640
