# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first look at a file that a key of the configuration names."""

import os
import stat
from pathlib import Path
from shlex import quote

from acmed.config.model import Problem
from acmed.config.table import Place

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def look(place: Place, path: Path, called: str = "") -> os.stat_result | Problem:
    """A plain file of root's, or what is wrong: that it is none, or that this caller cannot know. called: a word
    before the path.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return place.problem(f"{called}{path} is not there")
    except OSError as error:
        return place.note(f"{path} is not checked: {error.strerror}", "check as root")
    if not stat.S_ISREG(status.st_mode):
        return place.problem(f"{path} is not a plain file")
    if status.st_uid != 0:
        return place.problem(f"{called}{path} does not belong to root", f"chown root {quote(str(path))}")
    return status
