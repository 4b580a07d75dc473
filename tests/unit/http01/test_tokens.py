# SPDX-License-Identifier: LGPL-2.1-or-later
"""Only what acmed wrote is read."""

import os
from pathlib import Path

import pytest

from acmed.http01.tokens import Unreadable, read

NAME = "a" * 43


def test_content_is_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"token.thumbprint")
    assert read(tmp_path, NAME) == b"token.thumbprint"


def test_no_file(tmp_path: Path) -> None:
    assert read(tmp_path, NAME) is None
    assert read(tmp_path / "gone", NAME) is None


def test_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / NAME).symlink_to("secret")
    with pytest.raises(Unreadable, match=NAME):
        read(tmp_path, NAME)


def test_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(Unreadable, match="not a regular file"):
        read(tmp_path, NAME)


def test_directory(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(Unreadable, match="directory|regular"):
        read(tmp_path, NAME)


@pytest.mark.parametrize("size", [0, 4097])
def test_size_that_no_key_authorization_has(tmp_path: Path, size: int) -> None:
    (tmp_path / NAME).write_bytes(b"x" * size)
    with pytest.raises(Unreadable, match="4096"):
        read(tmp_path, NAME)
