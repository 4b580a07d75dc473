# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmed would make of the new files beside those that are there, before any is written."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from acmed.config.check import check
from acmed.config.load import Loaded, load
from acmed.config.model import Problem
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.writing import NewFile

_DIRECTORIES = ("acmed.toml.d", "certificates.d")


def problems(
    files: Sequence[NewFile],
    there: Loaded,
    etc: Path,
    usr: Path,
    sealed: Path,
    opened: tuple[Path, ...],
    report: Report,
) -> tuple[Problem, ...]:
    """What is wrong on the host for the new files: to be put right before the first order. What acmed cannot load goes
    to report.errors. opened: directories that acme-privd will be allowed to write to. Raises OSError.
    """
    with tempfile.TemporaryDirectory(prefix="acmectl-") as temporary:
        stage = Path(temporary, "etc")
        _copy(etc, stage)
        new = [
            replace(file, path=stage / file.path.relative_to(etc)) for file in files if file.path.is_relative_to(etc)
        ]
        for file in new:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            if not file.path.exists():
                file.path.write_text(file.text)
                file.path.chmod(file.mode)
        loaded = load(stage, usr)
        before = {str(problem) for problem in there.problems}
        found = [_moved(problem, stage, etc) for problem in loaded.problems]
        report.errors += [str(problem) for problem in found if str(problem) not in before and not problem.note]
        ours = {file.path for file in new}
        return tuple(
            _moved(problem, stage, etc)
            for problem in _host(loaded, sealed, stage / "hooks.d", opened)
            if problem.path in ours and problem not in loaded.problems
        )


def _host(loaded: Loaded, sealed: Path, hooks: Path, opened: tuple[Path, ...]) -> Iterable[Problem]:
    found = dict.fromkeys(check(loaded, sealed, hooks, opened=opened))
    if os.geteuid() == 0:
        return found
    return [problem for problem in found if str(hooks) not in problem.message]  # they would be root's, not ours


def _copy(etc: Path, stage: Path) -> None:
    """The files that acmed reads, with their owners and modes, which count."""
    stage.mkdir()
    found = [etc / "acmed.toml", *(path for name in _DIRECTORIES for path in (etc / name).glob("*.toml"))]
    for path in found:
        if path.is_file():
            copy = stage / path.relative_to(etc)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy2(path, copy)
            if os.geteuid() == 0:
                status = path.stat()
                os.chown(copy, status.st_uid, status.st_gid)


def _moved(problem: Problem, stage: Path, etc: Path) -> Problem:
    """As if the file were where it is going to be."""

    def text(said: str) -> str:
        return said.replace(str(stage), str(etc))

    return replace(problem, path=Path(text(str(problem.path))), message=text(problem.message), hint=text(problem.hint))
