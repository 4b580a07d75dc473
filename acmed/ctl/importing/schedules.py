# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs lacme on this host, by cron(8) or systemd: it is to end once acmed has its certificates."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

_CRON = (
    "etc/crontab",
    "etc/anacrontab",
    "etc/cron.d/*",
    "etc/cron.*ly/*",
    "var/spool/cron/crontabs/*",
)
_UNITS = ("etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system")
_LACME = re.compile(r"(?<![\w.-])(?:[\w./-]*/)?lacme(?![\w.-])")
_OPTIONS = re.compile(r"--(?:config|config-certs|socket|min-days|force)\b(?!-)(?:[= ]\S+)?")
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class Schedule:
    """A line that runs lacme. timer: of the unit that it is in, if there is one."""

    path: Path
    line: int
    text: str
    timer: str = ""

    @property
    def options(self) -> list[str]:
        """Those that say something else than the configuration does."""
        return _OPTIONS.findall(self.text)

    @property
    def command(self) -> str:
        """What to do about it, for a shell."""
        if self.timer:
            return f"systemctl disable --now {quote(self.timer)}"
        return f"# remove line {self.line} of {self.path}: {self.text}"


def find(root: Path = Path("/")) -> list[Schedule]:
    """All of them, as far as this user may look."""
    found = [one for pattern in _CRON for path in sorted(root.glob(pattern)) for one in _lines(path)]
    for directory in _UNITS:
        for path in sorted((root / directory).glob("*.service")):
            if path.is_symlink():
                continue
            timer = path.with_suffix(".timer")
            named = timer.name if timer.exists() else ""
            found += [
                Schedule(one.path, one.line, one.text, named) for one in _lines(path) if one.text.startswith("Exec")
            ]
    return found


def _lines(path: Path) -> Iterator[Schedule]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode(errors="replace")
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not words.startswith(("#", ";")) and _LACME.search(words):
            yield Schedule(path, number, words)
