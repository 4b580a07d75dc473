# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from acmed.manager import clock
from acmed.manager.clock import DAY, MINUTE
from acmed.manager.known import installed
from tests.bus.peers import certificate


def test_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    path.write_text(certificate(["b.example.com", "A.example.com"], begun=timedelta(days=1)))
    found = installed.read(path)
    assert found
    assert found.identifiers == ("a.example.com", "b.example.com")
    assert found.not_after - found.not_before == 90 * DAY
    assert abs(found.not_before - (clock.now() - DAY)) < MINUTE
    assert found.issuer == "CN=Test CA"
    assert len(found.fingerprint) == 64
    assert len(found.serial_number) % 2 == 0
    assert found.stamp == installed.stamp(path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_counts_as_missing(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cert.pem"
    path.write_bytes(content)
    assert installed.read(path) is None
    assert str(path) in capsys.readouterr().err


def test_what_is_not_there(tmp_path: Path) -> None:
    assert installed.read(tmp_path / "no" / "cert.pem") is None
    assert installed.stamp(tmp_path / "no" / "cert.pem") == ""


def test_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path, new = tmp_path / "cert.pem", tmp_path / "new"
    path.write_text("one")
    before = installed.stamp(path)
    new.write_text("two")
    new.rename(path)
    assert installed.stamp(path) != before


def test_what_is_out_of_reach_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").mkdir()
    with pytest.raises(OSError, match="cert.pem"):
        installed.read(tmp_path / "cert.pem")


def _published(tmp_path: Path) -> Path:
    for kind in installed.KINDS:
        (tmp_path / f"{kind}.pem").write_text(kind)
        (tmp_path / f"{kind}.pem").chmod(0o600)
    return tmp_path / "privkey.pem"


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o400])
def test_published_files_are_others_with_another_mode(tmp_path: Path, mode: int) -> None:
    key = _published(tmp_path)
    before = installed.stamps(tmp_path)
    key.chmod(mode)
    assert installed.stamps(tmp_path) != before
    key.chmod(0o600)
    assert installed.stamps(tmp_path) == before


def test_published_files_are_others_with_another_owner_or_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by what stat() says, as it takes root to change them."""
    _published(tmp_path)
    seen = {installed.stamps(tmp_path)}
    stat = Path.stat

    def given_away(path: Path, place: int) -> os.stat_result:
        values = list(stat(path))
        values[place] += 1
        return os.stat_result(values, {"st_mtime_ns": stat(path).st_mtime_ns})

    for place in (4, 5):
        monkeypatch.setattr(Path, "stat", lambda path, place=place: given_away(path, place))
        seen.add(installed.stamps(tmp_path))
    assert len(seen) == 3


def test_stamps_of_an_older_acmed_say_nothing_of_access(tmp_path: Path) -> None:
    key = _published(tmp_path)
    (tmp_path / "chain.pem").unlink()
    older = " ".join(installed.stamp(tmp_path / f"{kind}.pem") or "-" for kind in installed.KINDS)
    known = installed.stamps(tmp_path)
    key.chmod(0o644)
    assert installed.are_as_known(older, installed.stamps(tmp_path))
    assert not installed.are_as_known(known, installed.stamps(tmp_path))
    key.write_text("another one")
    assert not installed.are_as_known(older, installed.stamps(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, who may not enter a directory")
@pytest.mark.parametrize("closed", ["acme", "acme/www"])
def test_a_directory_that_is_closed_is_named(closed: str) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="acmed-test-") as top:
        Path(top).chmod(0o755)
        directory = Path(top) / "acme" / "www"
        directory.mkdir(parents=True)
        _published(directory)
        (Path(top) / closed).chmod(0o700)
        os.seteuid(65534)
        try:
            with pytest.raises(PermissionError) as caught:
                installed.stamps(directory)
        finally:
            os.seteuid(0)
    assert caught.value.filename == f"{top}/{closed}"
    assert "0700" in str(caught.value)
