# SPDX-License-Identifier: LGPL-2.1-or-later
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
