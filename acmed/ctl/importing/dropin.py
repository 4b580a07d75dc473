# SPDX-License-Identifier: LGPL-2.1-or-later
"""A drop-in of acme-privd.service, systemd.unit(5), so that it may write where lacme wrote certificates."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from acmed.config.sandbox import UNIT, home_above, is_shared, read_write_paths, unit_text, within
from acmed.ctl.importing.certificate import Imported
from acmed.ctl.importing.writing import NewFile, path_of

_SHOWN = 3  # of what else is in a directory


def not_writable(imported: Iterable[Imported]) -> list[Path]:
    """The directories of the certificates' files that the unit may not write to yet, and could. Those that many
    programs share stay closed; config.delivery tells what to do instead.
    """
    writable = read_write_paths()
    if writable is None:  # acmed is not installed here
        return []
    directories = {path_of(path).parent for one in imported for path in one.files}
    return sorted(path for path in directories if not (home_above(path) or is_shared(path) or within(path, writable)))


def notes(directories: Sequence[Path], imported: Iterable[Imported], path: Path) -> Iterator[str]:
    """What the drop-in opens, which is more than the files: they are replaced by others, in their directory."""
    ours = {path_of(text) for one in imported for text in [*one.files, one.key_file] if text}
    for directory in directories:
        others = _others(directory, ours)
        text = f"{path} lets {UNIT} write in all of {directory}"
        if others:
            more = len(others) - _SHOWN
            shown = ", ".join(others[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
            better = f"a directory for certificates alone, such as {directory}/certificates, would be better"
            text += f", where {shown} {'are' if len(others) > 1 else 'is'} too; {better}"
        yield text


def _others(directory: Path, ours: set[Path]) -> list[str]:
    """The names of what is there besides; none where that cannot be seen."""
    try:
        return sorted(one.name for one in directory.iterdir() if one not in ours)
    except OSError:
        return []


def file(directories: Sequence[Path], path: Path) -> NewFile:
    """The drop-in. "-": acme-privd starts also where a directory is not there."""
    lines = [f'ReadWritePaths="-{unit_text(str(directory))}"\n' for directory in directories]
    text = "# Where lacme wrote certificates; written by acmectl import lacme.\n[Service]\n"
    return NewFile(path, text + "".join(lines))
