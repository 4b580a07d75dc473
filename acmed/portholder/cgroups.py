# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a control group is called, and by whom: systemd names them after units."""

import os
from pathlib import Path

# cgroups(7); the second where version 1 is used beside it.
ROOTS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
_UNITS = (".service", ".socket", ".scope", ".mount")


def holder(cgroup: int | None, user: int) -> str:
    """The unit, or as much as is known: for a person's programs whose they are."""
    path = _find(cgroup) if cgroup is not None else None
    return describe(path, user) if path else f"a program of user {user}"


def describe(path: Path, user: int) -> str:
    """From the path below the root."""
    units = [part for part in path.parts if part.endswith(_UNITS)]
    if not units:
        return f"a program of user {user}"
    unit = units[-1]
    if unit == "init.scope":
        return "systemd for one of its socket units (systemctl list-sockets has them)"
    if unit.endswith(".scope"):
        return f"a program of user {user} in {unit}"
    return f"{unit} of user {user}" if path.parts[0] == "user.slice" else unit


def _find(cgroup: int) -> Path | None:
    """The directory whose inode has that number, which is the control group's id."""
    root = next((root for root in ROOTS if root.is_dir()), ROOTS[-1])
    for directory, names, _ in os.walk(root):
        for name in names:
            path = Path(directory, name)
            try:
                if path.stat().st_ino == cgroup:
                    return path.relative_to(root)
            except OSError:  # it is gone
                continue
    return None
