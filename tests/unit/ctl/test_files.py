# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that the caller names."""

from pathlib import Path

import pytest

from acmed.ctl.exits import CommandError
from acmed.ctl.files import certificates as read_ca_file

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"


def test_ca_file(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(f"# Größe\n{PEM}\nsubject\n{PEM}\n")
    assert read_ca_file(path) == f"{PEM}\n{PEM}\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no certificate"),
        (b"\xff\x00\xfe", "holds no certificate"),
        (PEM.encode() + b"\n-----BEGIN PRIVATE KEY-----\n", "holds a private key"),
        (b"x" * (2 << 20), "larger than"),
    ],
)
def test_bad_ca_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=message) as error:
        read_ca_file(path)
    assert str(path) in error.value.message


def test_unreadable_ca_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        read_ca_file(tmp_path / "none")
    with pytest.raises(CommandError, match="Is a directory"):
        read_ca_file(tmp_path)
