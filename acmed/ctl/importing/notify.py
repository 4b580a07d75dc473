# SPDX-License-Identifier: LGPL-2.1-or-later
"""notify of a section: what lacme has /bin/sh do, as root, after each certificate."""

import re
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path

from acmed import paths
from acmed.config.model import Action
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.tiny import Setting
from acmed.ctl.importing.writing import EXECUTABLE, PRIVATE_EXECUTABLE, NewFile, Table

_ACTIONS = {
    "reload": Action.RELOAD,
    "reload-or-restart": Action.RELOAD,
    "try-reload-or-restart": Action.RELOAD,
    "reload-or-try-restart": Action.RELOAD,
    "force-reload": Action.RELOAD,
    "restart": Action.RESTART,
    "try-restart": Action.RESTART,
    "condrestart": Action.RESTART,
}
_OPTIONS = frozenset(("-q", "--quiet", "--no-block", "--no-ask-password", "--system"))
_BETWEEN = (";", "&&")
# systemctl(1) adds .service where there is no suffix; patterns are for people.
_UNIT = re.compile(r"[A-Za-z0-9:_.@-]+")
_SUFFIXES = frozenset("service socket target path timer mount automount swap slice scope device".split())


@dataclass(frozen=True)
class Wish:
    """[service.lacme-NAME], and a hook for it."""

    service: Table = field(default_factory=dict)
    hook: NewFile | None = None


def notify(name: str, section: str, given: Setting | None, hooks: Path, report: Report) -> Wish:
    """What is to be done after the certificate of that name."""
    if given is None or not given.value:
        report.dropped(given, "it is empty")
        return Wish()
    if found := _units(given.value):
        units, action = found
        report.kept(given, f"units and action of a service: {action} of {', '.join(units)}, if running")
        return Wish({"units": units, "action": action.value})
    hook = f"lacme-{name}"
    is_public = _all_may_read(given.path)
    script = f"#!/bin/sh\n# From lacme's [{section}], notify; written by acmectl import lacme.\n{given.value}\n"
    report.changed(given, f"a hook, {hooks / hook}: to be looked at")
    report.task(
        f"Look at {hooks / hook}, which was: {given.value}\n"
        "# lacme ran it as root; acmed does in a sandbox, as a user of its own without rights: acmed.toml(5), HOOKS.\n"
        f"# What is to reload a unit belongs into units and action of [service.{hook}]."
    )
    if not is_public:
        report.task(
            f"Not all may read {given.path}, so {hooks / hook} has the mode {PRIVATE_EXECUTABLE:04o}, with which acmed"
            " cannot run it yet. Seal a secret in it, and have it read $CREDENTIALS_DIRECTORY/hook instead; then\n"
            f"systemd-creds encrypt --name=hook FILE {paths.HOOK_CREDENTIALS / hook}\n"
            f"chmod {EXECUTABLE:o} {shlex.quote(str(hooks / hook))}"
        )
    return Wish({"hook": hook}, NewFile(hooks / hook, script, EXECUTABLE if is_public else PRIVATE_EXECUTABLE))


def _all_may_read(path: Path) -> bool:
    """A file of lacme's, which has been read. Raises OSError."""
    real = path.resolve()
    others = real.stat().st_mode & stat.S_IROTH
    return bool(others) and all(directory.stat().st_mode & stat.S_IXOTH for directory in real.parents)


def _units(command: str) -> tuple[list[str], Action] | None:
    """The units, and what is done to them, of a command that does nothing else."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        words = list(lexer)
    except ValueError:
        return None
    units: list[str] = []
    actions = set()
    for call in _calls(words):
        found = _call(call)
        if found is None:
            return None
        units += [unit for unit in found[0] if unit not in units]
        actions.add(found[1])
    return (units, actions.pop()) if len(actions) == 1 else None


def _calls(words: list[str]) -> list[list[str]]:
    """The commands between ";" and "&&"."""
    calls: list[list[str]] = [[]]
    for word in words:
        if word in _BETWEEN:
            calls.append([])
        else:
            calls[-1].append(word)
    return calls if calls[-1] else calls[:-1]


def _call(words: list[str]) -> tuple[list[str], Action] | None:
    """systemctl [OPTION...] VERB UNIT..., or service UNIT VERB."""
    program = Path(words[0]).name if words else ""
    rest = [word for word in words[1:] if word not in _OPTIONS]
    if program == "service" and len(rest) == 2:
        rest = [rest[1], rest[0]]
    elif program != "systemctl":
        return None
    if len(rest) < 2 or rest[0] not in _ACTIONS or not all(_UNIT.fullmatch(word) for word in rest[1:]):
        return None
    if any(word.startswith("-") for word in rest[1:]):
        return None
    return [_unit(word) for word in rest[1:]], _ACTIONS[rest[0]]


def _unit(word: str) -> str:
    return word if word.rpartition(".")[2] in _SUFFIXES and "." in word else f"{word}.service"
