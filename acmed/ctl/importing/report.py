# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of each of lacme's settings: none is lost without being told of."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from acmed.ctl.importing.tiny import Setting


class Fate(StrEnum):
    """What becomes of a setting."""

    KEPT = "kept"
    CHANGED = "changed"  # acmed has something like it
    DROPPED = "dropped"


@dataclass(frozen=True)
class Entry:
    """text: what acmed's configuration says for it, or why it says nothing."""

    setting: Setting
    fate: Fate
    text: str


@dataclass
class Report:
    """errors stand in the way of the import. tasks are for the administrator, before the first order: a sentence, which
    lines to paste may follow; what a line of these has to do with is the task's. notes are only worth knowing.
    """

    entries: list[Entry] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def kept(self, setting: Setting | None, text: str) -> None:
        self._add(setting, Fate.KEPT, text)

    def changed(self, setting: Setting | None, text: str) -> None:
        self._add(setting, Fate.CHANGED, text)

    def dropped(self, setting: Setting | None, text: str) -> None:
        self._add(setting, Fate.DROPPED, text)

    def wrong(self, setting: Setting, text: str) -> None:
        """Adds an error about a setting."""
        self.errors.append(f"{setting.path}:{setting.line}: {setting.title} = {setting.value}: {text}")
        self._add(setting, Fate.DROPPED, text)

    def task(self, text: str) -> None:
        """Adds a task, once."""
        if text not in self.tasks:
            self.tasks.append(text)

    def account_for(self, settings: Iterable[Setting]) -> None:
        """Adds those that nobody has told of."""
        told = {entry.setting for entry in self.entries}
        for setting in settings:
            if setting not in told:
                self.dropped(setting, "it had no effect: each section has its own, or is not imported")

    def _add(self, setting: Setting | None, fate: Fate, text: str) -> None:
        """One default may have the same fate in many sections."""
        if setting is not None and (entry := Entry(setting, fate, text)) not in self.entries:
            self.entries.append(entry)
