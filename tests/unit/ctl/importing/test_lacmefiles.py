# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which files count, in which order, and which setting reaches which certificate."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from acmed.ctl.importing import lacmefiles
from acmed.ctl.importing.report import Fate
from acmed.ctl.importing.tiny import BadSource
from tests.unit.ctl.importing.lacme import Lacme, fates


@pytest.fixture
def lacme(tmp_path: Path) -> Lacme:
    return Lacme(tmp_path)


def values(lacme: Lacme) -> dict[str, dict[str, str]]:
    certificates = lacmefiles.read(lacme.source).certificates
    return {name: {key: one.value for key, one in settings.items()} for name, settings in certificates.items()}


def test_defaults_leak_into_later_files(lacme: Lacme) -> None:
    lacme.write("lacme-certs.conf", "hash = sha512\nmin-days = 10\n[a]\nhash = sha256\n[b]\n")
    lacme.write("lacme-certs.conf.d/1.conf", "min-days = 20\n[c]\n[d]\nmin-days =\n")
    lacme.write("lacme-certs.conf.d/2.conf", "[e]\n")
    assert values(lacme) == {
        "a": {"hash": "sha256", "min-days": "10"},
        "b": {"hash": "sha512", "min-days": "10"},
        "c": {"hash": "sha512", "min-days": "20"},
        "d": {"hash": "sha512", "min-days": ""},
        "e": {"hash": "sha512", "min-days": "20"},
    }


def test_later_section_replaces_an_earlier_one_whole(lacme: Lacme) -> None:
    lacme.certificates("hash = sha512", "notify = systemctl reload nginx")
    lacme.certificates("min-days = 7", file="lacme-certs.conf.d/z.conf")
    assert set(values(lacme)["www"]) == {"certificate-key", "certificate-chain", "subject", "min-days"}
    plan = lacme.plan()
    why = f"{lacme.directory}/lacme/lacme-certs.conf.d/z.conf has a section [www] too, which replaces this one"
    assert fates(plan)["hash"] == (Fate.DROPPED, why)
    assert fates(plan)["notify"] == (Fate.DROPPED, why)


def test_files_of_a_directory(lacme: Lacme) -> None:
    """By their names' bytes; also hidden ones."""
    for number, name in enumerate(("b.conf", "B.conf", ".a.conf", "c.txt", "d.conf~")):
        lacme.write(f"lacme-certs.conf.d/{name}", f"min-days = {number}\n[{name}]\n")
    lacme.write("lacme-certs.conf.d/zz.conf", "[last]\n")
    found = values(lacme)
    assert set(found) == {"b.conf", "B.conf", ".a.conf", "last"}
    assert found["last"]["min-days"] == "0", "b.conf is the last one that says it"
    notes = lacmefiles.read(lacme.source).notes
    assert [note.partition(" ")[0].rpartition("/")[2] for note in notes] == ["c.txt", "d.conf~"]


def test_config_certs(lacme: Lacme, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/x.conf").write_text("[x]\n")
    (tmp_path / "other/y.conf").write_text("[y]\n")
    lacme.write("mine", "[mine]\n")
    lacme.main(f"config-certs = mine  {tmp_path}/other\n")
    assert set(values(lacme)) == {"mine", "x", "y"}
    lacme.main(f"config-certs = {tmp_path}/other/y.conf\n")
    assert set(values(lacme)) == {"y"}
    lacme.main("config-certs =\n")
    assert values(lacme) == {}


def test_relative_to_where_the_symbolic_link_is(lacme: Lacme, tmp_path: Path) -> None:
    (tmp_path / "lacme/lacme.conf").rename(tmp_path / "moved.conf")
    (tmp_path / "lacme/lacme.conf").symlink_to(tmp_path / "moved.conf")
    lacme.write("lacme-certs.conf", "[here]\n")
    assert set(values(lacme)) == {"here"}


def test_what_lacme_ignores_is_told(lacme: Lacme) -> None:
    lacme.main("confg-certs = x\n")
    lacme.certificates("hash = sha512", "hash = sha256")
    (lacme.directory / "lacme/lacme-certs.conf.d/0.conf").write_text("nonsense = 1\nmin-days = 3\n")
    found = fates(lacme.plan())
    assert found["confg-certs"] == (Fate.DROPPED, "lacme does not know it either, and ignores it")
    assert found["nonsense"] == (Fate.DROPPED, "lacme does not know it either, and ignores it")
    assert found["min-days"][0] is Fate.DROPPED
    assert "no effect" in found["min-days"][1], "there is no section after it"
    twice = [entry.text for entry in lacme.plan().report.entries if entry.setting.value == "sha512"]
    assert twice == ["line 6 has it again"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda it: it.source.unlink(), r"lacme\.conf: No such file"),
        (lambda it: it.main("[client]\nserer = x"), r"lacme\.conf:2: lacme has no setting \[client\] serer"),
        (lambda it: it.main("[clent]\n"), r"lacme\.conf: lacme has no section \[clent\]"),
        (lambda it: it.certificates("Hash = x"), r"certs\.conf:5: lacme has no setting \[www\] Hash"),
        (lambda it: it.certificates("hash = \x1b[0m"), r"certs\.conf:5: .* control characters"),
        (lambda it: (it.directory / "lacme/lacme-certs.conf").unlink(), r"lacme-certs\.conf: No such file"),
        (lambda it: (it.directory / "lacme/lacme-certs.conf.d").rmdir(), r"lacme-certs\.conf\.d/: No such file"),
        (lambda it: (it.directory / "lacme/lacme-certs.conf.d/x.conf").mkdir(), r"x\.conf: Is a directory"),
        (lambda it: it.main("config-certs = %x"), r"lacme\.conf:1: config-certs: '%x' is no specifier"),
    ],
)
def test_what_lacme_would_not_start_with(lacme: Lacme, spoil: Callable[[Lacme], object], message: str) -> None:
    spoil(lacme)
    with pytest.raises(BadSource) as caught:
        lacmefiles.read(lacme.source)
    assert re.search(message, str(caught.value))
