# SPDX-License-Identifier: LGPL-2.1-or-later
"""A drop-in of acme-privd.service, systemd.unit(5), so that it may write where lacme wrote certificates."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from acmed.config.sandbox import home_above, read_write_paths, unit_text, within
from acmed.ctl.importing.certificate import Imported
from acmed.ctl.importing.writing import NewFile, path_of


def not_writable(imported: Iterable[Imported]) -> list[Path]:
    """The directories of the certificates' files that the unit may not write to yet, and could."""
    writable = read_write_paths()
    if writable is None:  # acmed is not installed here
        return []
    directories = {path_of(path).parent for one in imported for path in one.files}
    return sorted(path for path in directories if not home_above(path) and not within(path, writable))


def file(directories: Sequence[Path], path: Path) -> NewFile:
    """The drop-in. "-": acme-privd starts also where a directory is not there."""
    lines = [f'ReadWritePaths="-{unit_text(str(directory))}"\n' for directory in directories]
    text = "# Where lacme wrote certificates; written by acmectl import lacme.\n[Service]\n"
    return NewFile(path, text + "".join(lines))
