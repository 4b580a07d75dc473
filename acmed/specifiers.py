# SPDX-License-Identifier: LGPL-2.1-or-later
"""%-specifiers in paths, as in lacme and systemd.unit(5). In keyd.toml and on a command line, what one stands for
depends on who runs the program. In the host's configuration it is what it stands for when root does: each daemon reads
that, as a user of its own.
"""

import os
import pwd
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

_SPECIFIER = re.compile(r"%(.?)", re.DOTALL)

OF_ROOT = {
    "C": "/var/cache",
    "E": "/etc",
    "t": "/run",
    "T": "/tmp",
    "h": "/root",
    "u": "root",
    "U": "0",
    "g": "root",
    "G": "0",
    "%": "%",
}

Meaning = TypeVar("Meaning")


class UnknownSpecifier(ValueError):
    """A % with another letter behind it, or what it stands for is not known here."""


def expand(text: str) -> str:
    """text with each specifier replaced. Raises UnknownSpecifier.

    For root, and for others: %C /var/cache, $XDG_CACHE_HOME or ~/.cache; %E /etc, $XDG_CONFIG_HOME or ~/.config; %t
    /run, $XDG_RUNTIME_DIR. For all: %T $TMPDIR or /tmp; %h home; %u %U the user's name and number; %g %G the group's;
    %% a percent sign.
    """
    return _SPECIFIER.sub(lambda match: _meaning(match, _MEANINGS)(), text)


def expand_as_root(text: str) -> str:
    """text with each specifier replaced by what it is for root, whoever asks: the same in each daemon, and without a
    look at the environment. Raises UnknownSpecifier.
    """
    return _SPECIFIER.sub(lambda match: _meaning(match, OF_ROOT), text)


def _meaning(match: re.Match[str], meanings: Mapping[str, Meaning]) -> Meaning:
    if match[1] not in meanings:
        raise UnknownSpecifier(f"{match[0]!r} is no specifier; there are {' '.join(f'%{c}' for c in meanings)}")
    return meanings[match[1]]


def home() -> str:
    """The user's home directory, by $HOME or the user database."""
    return _absolute("HOME") or pwd.getpwuid(os.geteuid()).pw_dir


def state_directory() -> Path:
    """Where the user's programs keep what is to last."""
    if os.geteuid() == 0:
        return Path("/var/lib/acme-keyd")
    return Path(_absolute("XDG_STATE_HOME") or f"{home()}/.local/state") / "acme-keyd"


def _runtime() -> str:
    directory = _of_user("/run", "XDG_RUNTIME_DIR", "")
    if not directory:
        raise UnknownSpecifier("XDG_RUNTIME_DIR is not set, so %t stands for nothing")
    return directory


def _of_user(for_root: str, variable: str, default: str) -> str:
    return for_root if os.geteuid() == 0 else _absolute(variable) or default


def _absolute(variable: str) -> str:
    """An environment variable's path; one that is not absolute is to be ignored (XDG Base Directory Specification)."""
    value = os.environ.get(variable, "")
    return value if value.startswith("/") else ""


def _group() -> str:
    import grp  # noqa: PLC0415  seldom asked for

    return grp.getgrgid(os.getegid()).gr_name


_MEANINGS: dict[str, Callable[[], str]] = {
    "C": lambda: _of_user("/var/cache", "XDG_CACHE_HOME", f"{home()}/.cache"),
    "E": lambda: _of_user("/etc", "XDG_CONFIG_HOME", f"{home()}/.config"),
    "t": _runtime,
    "T": lambda: _absolute("TMPDIR") or "/tmp",
    "h": home,
    "u": lambda: pwd.getpwuid(os.geteuid()).pw_name,
    "U": lambda: str(os.geteuid()),
    "g": _group,
    "G": lambda: str(os.getegid()),
    "%": lambda: "%",
}
