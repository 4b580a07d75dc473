# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that are as they were where something goes wrong, on a disk that is full by then too."""

import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from acmed.privd import files
from acmed.privd.refusal import explained


class Wrong(Exception):
    """What goes wrong."""


@contextmanager
def full() -> Iterator[None]:
    """No file can be written inside."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def contents(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {one.name: (one.read_bytes(), one.stat().st_mode & 0o777) for one in directory.iterdir()}


@pytest.fixture
def there(tmp_path: Path) -> Path:
    path = tmp_path / "www.toml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    return path


def fail_on_a_full_disk(path: Path) -> None:
    """Twice, as an account's file is written inside of what may still fail."""
    with ExitStack() as disk, files.kept_on_error(path), files.kept_on_error(path):
        files.replace(path, b"new", files.PUBLIC)
        disk.enter_context(full())
        raise Wrong


def test_a_file_is_put_back_on_a_full_disk(there: Path) -> None:
    with full(), pytest.raises(OSError, match="too large"):
        files.replace(there, b"new", files.PUBLIC)
    before = contents(there.parent)
    with pytest.raises(Wrong):
        fail_on_a_full_disk(there)
    assert contents(there.parent) == before == {"www.toml": (b"old", 0o640)}


def test_a_new_file_is_removed_on_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(Wrong):
        fail_on_a_full_disk(tmp_path / "new")
    assert contents(tmp_path) == {}


def test_what_was_not_written_yet_stays(there: Path) -> None:
    with pytest.raises(Wrong), files.kept_on_error(there):
        raise Wrong
    assert contents(there.parent) == {"www.toml": (b"old", 0o640)}


def test_nothing_is_left_where_it_went_well(there: Path) -> None:
    with files.kept_on_error(there):
        files.replace(there, b"new", files.PUBLIC)
    assert contents(there.parent) == {"www.toml": (b"new", 0o644)}


def test_a_full_disk_is_told_with_the_file(there: Path) -> None:
    with full(), pytest.raises(OSError, match="too large") as caught:
        files.replace(there, b"new", files.PUBLIC)
    assert Path(caught.value.filename).parent == there.parent
    assert there.name in caught.value.filename


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, who may not write")
def test_whose_directory_it_is_where_nothing_can_be_written() -> None:
    """acme-privd has no capability that would let it pass."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="acmed-test-") as top:
        os.chown(top, 33, 33)
        Path(top).chmod(0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(OSError, match="denied") as caught:
                files.create(Path(top) / "file", b"", files.PRIVATE)
            text = explained(caught.value)
        finally:
            os.seteuid(0)
    assert text == f"{top}/file: Permission denied ({top} is of user 33, mode 0755)"
