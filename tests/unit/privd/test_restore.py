# SPDX-License-Identifier: LGPL-2.1-or-later
"""What services read is put back where somebody removed or changed it."""

import grp
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from acmed.privd import keys
from acmed.privd.installed import sets, whole
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import NAME, ROOT, Rig, issue
from tests.unit.privd.test_elsewhere import KEY, WWW, configure
from tests.unit.privd.test_provided import pem, provide
from tests.unit.verify.issuing import request

ALL = ["privkey", "cert", "chain", "fullchain"]

ROOT_DIRECTORY = Path(__file__).parents[3]


def restore(rig: Rig, certificate: str = NAME) -> list[str]:
    restored: list[str] = rig.run(lambda priv: priv.restore(ROOT, 9, certificate))["restored"]
    return restored


def is_not_issued(rig: Rig, certificate: str = NAME) -> bool:
    with pytest.raises(VarlinkError) as caught:
        restore(rig, certificate)
    return caught.value.name == "org.acmed.Priv.NotIssued"


def state(rig: Rig, certificate: str = NAME) -> dict[str, tuple[bytes, int, int, int]]:
    directory = rig.places.certificates / certificate
    found = {path: path.stat() for path in directory.iterdir()}
    return {
        path.name: (path.read_bytes(), stat.S_IMODE(one.st_mode), one.st_uid, one.st_gid) for path, one in found.items()
    }


def test_nothing_is_done_where_all_is_well(rig: Rig) -> None:
    assert is_not_issued(rig)
    rig.order()
    before = (rig.places.certificates / NAME).readlink()
    assert restore(rig) == []
    assert (rig.places.certificates / NAME).readlink() == before


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("damage", [remove, empty, append, link, directory, pipe])
def test_a_file(rig: Rig, kind: str, damage: Callable[[Path], None]) -> None:
    rig.order()
    before = state(rig)
    damage(rig.places.certificates / NAME / f"{kind}.pem")
    assert restore(rig) == [kind]
    assert state(rig) == before
    assert restore(rig) == []
    assert len(list(rig.places.certificates.iterdir())) == 2, "the link, and what it points to"


def test_a_key_that_does_not_fit(rig: Rig) -> None:
    rig.order()
    (rig.places.certificates / NAME / "privkey.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    assert restore(rig) == ["privkey"]


def test_whose_key_it_is(rig: Rig) -> None:
    rig.order()
    before = state(rig)
    key = rig.places.certificates / NAME / "privkey.pem"
    key.chmod(0o644)
    assert restore(rig) == ["privkey"]
    os.chown(rig.places.certificates / NAME / "privkey.pem", 65534, -1)
    assert restore(rig) == ["privkey"]
    os.chown(rig.places.certificates / NAME / "privkey.pem", -1, 65534)
    assert restore(rig) == ["privkey"]
    assert state(rig) == before


@pytest.mark.parametrize("mode", [0o600, 0o666])
@pytest.mark.parametrize("kind", ["cert", "chain", "fullchain"])
def test_who_may_read_what_is_public(rig: Rig, kind: str, mode: int) -> None:
    rig.order()
    before = state(rig)
    (rig.places.certificates / NAME / f"{kind}.pem").chmod(mode)
    assert restore(rig) == [kind]
    assert state(rig) == before
    assert restore(rig) == []


def test_the_group_that_is_configured_now(rig: Rig) -> None:
    rig.order()
    group = grp.getgrgid(65534).gr_name
    rig.configure("acmed.toml.d/s.toml", f'[service.web]\ngroup = "{group}"\n')
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nservices = ["web"]')
    assert restore(rig) == ["privkey"]
    assert state(rig)["privkey.pem"][1:] == (0o640, os.geteuid(), 65534)
    assert restore(rig) == []


def test_the_directory_the_link_and_both(rig: Rig) -> None:
    rig.order()
    before = state(rig)
    place = rig.places.certificates / NAME
    shutil.rmtree(place.parent / place.readlink())
    assert restore(rig) == ALL
    assert state(rig) == before
    place.unlink()
    assert restore(rig) == ALL
    assert state(rig) == before
    shutil.rmtree(place.parent / place.readlink())
    place.unlink()
    assert restore(rig) == ALL
    assert state(rig) == before
    for target in ("/etc", ".", f".{NAME}.gone"):
        place.unlink()
        place.symlink_to(target)
        assert restore(rig) == ALL
        assert state(rig) == before
    moved = place.parent / place.readlink()
    moved.rename(rig.directory / "moved")
    moved.symlink_to(rig.directory / "moved")
    assert restore(rig) == ALL
    assert (rig.directory / "moved" / "cert.pem").exists(), "what somebody else has is left alone"
    assert state(rig) == before


def test_services_see_whole_files_at_each_moment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old directory stays until the link has been switched."""
    rig.order()
    place = rig.places.certificates / NAME
    (place / "chain.pem").unlink()
    whole = rig.published()
    seen = []
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target == place:
            seen.append(rig.published())
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    assert restore(rig) == ["chain"]
    assert seen == [whole]


def test_the_newest_set_where_nothing_says_which(rig: Rig) -> None:
    rig.order(job=1)
    older = rig.published()
    (first,) = rig.places.sets(NAME).iterdir()
    before = first.rename(first.with_name(f"20200101T000000Z-{first.name.partition('-')[2]}"))
    (before / "set.json").write_text((before / "set.json").read_text().replace(first.name, before.name))
    rig.order(job=2)
    newer = rig.published()
    (rig.places.certificates / NAME).unlink()
    assert restore(rig) == ALL
    assert rig.published() == newer != older


def other_key(path: Path) -> None:
    path.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))


def kept(rig: Rig) -> dict[str, tuple[bytes, int]]:
    (master,) = rig.places.sets(NAME).iterdir()
    return {path.name: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in master.iterdir()}


DAMAGES = [("privkey", other_key), *((kind, one) for kind in ALL[:3] for one in (remove, empty, append, link))]
DAMAGES.remove(("privkey", append))  # the key is as good with an empty line


@pytest.mark.parametrize(("kind", "damage"), DAMAGES)
def test_what_is_published_puts_a_kept_set_right(rig: Rig, kind: str, damage: Callable[[Path], None]) -> None:
    rig.order()
    before, master_before = state(rig), kept(rig)
    (master,) = rig.places.sets(NAME).iterdir()
    damage(master / f"{kind}.pem")
    assert restore(rig) == []
    assert kept(rig) == master_before
    assert state(rig) == before
    (rig.places.certificates / NAME / f"{kind}.pem").unlink()
    assert restore(rig) == [kind], "it is good for that again"
    assert state(rig) == before


@pytest.mark.parametrize(("kind", "damage"), DAMAGES)
def test_what_is_damaged_in_both_places_is_lost(rig: Rig, kind: str, damage: Callable[[Path], None]) -> None:
    rig.order()
    (master,) = rig.places.sets(NAME).iterdir()
    damage(master / f"{kind}.pem")
    damage(rig.places.certificates / NAME / f"{kind}.pem")
    before = state(rig)
    assert is_not_issued(rig)
    assert state(rig) == before


def test_two_places_that_are_damaged_make_one_that_is_whole(rig: Rig) -> None:
    rig.order()
    before, master_before = state(rig), kept(rig)
    (master,) = rig.places.sets(NAME).iterdir()
    empty(master / "privkey.pem")
    empty(rig.places.certificates / NAME / "chain.pem")
    assert restore(rig) == ["chain"]
    assert (state(rig), kept(rig)) == (before, master_before)


def test_what_is_published_is_used_also_where_it_cannot_be_kept(rig: Rig) -> None:
    rig.order()
    (master,) = rig.places.sets(NAME).iterdir()
    directory(master / "privkey.pem")
    assert restore(rig) == []


def test_what_another_user_owns_is_not_kept(rig: Rig) -> None:
    rig.order()
    (master,) = rig.places.sets(NAME).iterdir()
    empty(master / "privkey.pem")
    os.chown(rig.places.certificates / NAME / "privkey.pem", 65534, -1)
    assert is_not_issued(rig)


@pytest.mark.parametrize("kind", ALL[:3])
def test_what_is_roots_and_out_of_reach_is_not_lost(rig: Rig, kind: str) -> None:
    """The host's trouble, such as its mode or an LSM: it may pass, and no other certificate is ordered for it."""
    rig.order()
    (master,) = rig.places.sets(NAME).iterdir()
    path = master / f"{kind}.pem"
    path.chmod(0)
    script = (
        "import sys; from pathlib import Path; from tests.unit.privd import test_restore;"
        "test_restore.restore(test_restore.Rig(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(rig.directory)]
    if os.geteuid() == 0:  # as acme-privd.service has it: root without CAP_DAC_OVERRIDE
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, cwd=ROOT_DIRECTORY, capture_output=True, text=True, check=False)
    assert "org.acmed.Priv.InstallFailed" in done.stderr
    assert f"{path}: Permission denied" in done.stderr


def test_an_older_set_is_not_put_right_from_what_is_published(rig: Rig) -> None:
    """With reuse-key, the published key would fit."""
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nreuse-key = true')
    rig.order(job=1)
    older = sets.current(rig.places, NAME)
    assert older
    rig.order(job=2)
    master = rig.places.sets(NAME) / older.id / "privkey.pem"
    empty(master)
    assert whole.private_key(rig.places, NAME, older) is None
    assert master.read_bytes() == b""


def test_a_set_without_a_description(rig: Rig) -> None:
    rig.order()
    before = state(rig)
    (master,) = rig.places.sets(NAME).iterdir()
    content = (master / "set.json").read_bytes()
    empty(master / "set.json")
    assert is_not_issued(rig)
    assert state(rig) == before
    (master / "set.json").write_bytes(content)
    assert restore(rig) == []


def test_what_stands_in_the_way_is_not_removed(rig: Rig) -> None:
    rig.order()
    place = rig.places.certificates / NAME
    copied = place.parent / place.readlink()
    place.unlink()
    shutil.copytree(copied, place)
    before = rig.published()
    with pytest.raises(VarlinkError) as caught:
        restore(rig)
    assert caught.value.name == "org.acmed.Priv.InstallFailed"
    assert str(place) in caught.value.parameters["message"]
    assert rig.published() == before


def test_without_a_private_key(rig: Rig) -> None:
    configure(rig, request(KEY, WWW))
    made = rig.request(certificate="foreign")
    rig.install(made["request"], issue(made["csr"]), certificate="foreign")
    assert restore(rig, "foreign") == []
    (rig.places.certificates / "foreign").unlink()
    assert restore(rig, "foreign") == ["cert", "chain", "fullchain"]
    assert sorted(rig.published("foreign")) == ["cert.pem", "chain.pem", "fullchain.pem"]


def test_a_provided_key_that_was_replaced_needs_another_certificate(rig: Rig) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = provide(rig, pem(key))
    rig.order()
    (rig.places.certificates / NAME / "chain.pem").unlink()
    assert restore(rig) == ["chain"]
    provide(rig, pem(ec.generate_private_key(ec.SECP256R1())))
    assert is_not_issued(rig)
    path.unlink()
    (rig.places.certificates / NAME / "chain.pem").unlink()
    assert restore(rig) == ["chain"], "that it is gone is told by the next order"


def test_what_was_revoked_is_not_put_back(rig: Rig) -> None:
    rig.order(job=1)
    installed = rig.order(job=2)
    rig.run(lambda priv: priv.archive(ROOT, 3, NAME, installed["fingerprint"]))
    assert is_not_issued(rig)
    (rig.places.certificates / NAME).unlink()
    assert is_not_issued(rig), "an older one is not what its owner expects"
    rig.order(job=4)
    assert restore(rig) == []


def test_after_the_next_installation_one_directory_is_left(rig: Rig) -> None:
    rig.order(job=1)
    (rig.places.certificates / NAME / "chain.pem").unlink()
    restore(rig)
    rig.order(job=2)
    assert len(list(rig.places.certificates.iterdir())) == 2
    current = sets.current(rig.places, NAME)
    assert current
    assert keys.encoded_public_key(keys.from_pem(rig.published()["privkey.pem"])) == current.public_key
