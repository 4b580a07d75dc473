# SPDX-License-Identifier: LGPL-2.1-or-later
"""A control group for each container: two on one subtree steal each other's groups, and killing it ends everything."""

import contextlib
import os
from pathlib import Path

from tests.machine.waiting import wait_until

LAUNCH = 'echo $$ >"$0" && exec "$@"'


class Cgroup:
    """A group of the unified hierarchy, at its top, with the given name."""

    def __init__(self, name: str) -> None:
        top = Path("/sys/fs/cgroup")
        unified = top / "unified"
        self.path = (unified if unified.is_dir() else top) / name
        self._legacy = top / "systemd" / name

    def create(self) -> None:
        """Make the group, and the leaf in which commands run beside the container's own processes."""
        (self.path / "commands").mkdir(parents=True)

    def launch(self, *argv: str, leaf: str = "") -> list[str]:
        """The command that starts `argv` in this group, or in a leaf of it."""
        return ["sh", "-c", LAUNCH, str(self.path / leaf / "cgroup.procs"), *argv]

    def remove(self) -> None:
        """Kill every process in the group and below, and remove the groups, if there are any.

        First what is in the container, so that nspawn ends in good order and cleans up what it made itself; it makes
        a group of this name in the older hierarchy too, where the host has both.

        A group in which something was killed is not to be used again: Linux 6.18 then also kills what is cloned
        from it into a group made later, which is how systemd starts services.
        """
        with contextlib.suppress(FileNotFoundError, TimeoutError):
            (self.path / "payload" / "cgroup.kill").write_text("1")
            wait_until("nspawn to end", self._is_empty, timeout=5)
        with contextlib.suppress(FileNotFoundError):
            (self.path / "cgroup.kill").write_text("1")
            wait_until(f"the processes of {self.path} to end", self._is_empty)
        for group in (self.path, self._legacy):
            for directory, _, _ in os.walk(group, topdown=False):
                Path(directory).rmdir()

    def _is_empty(self) -> bool:
        return "populated 0" in (self.path / "cgroup.events").read_text()
