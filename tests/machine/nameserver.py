# SPDX-License-Identifier: LGPL-2.1-or-later
"""A name server in a machine, whatever program it is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self

from tests.machine.machine import Machine
from tests.machine.zones import TsigKey, Zone


@dataclass
class NameServer(ABC):
    """Runs in a unit of its own, with a directory of its own, at addresses of its own."""

    program: ClassVar[str]

    machine: Machine
    name: str
    addresses: Sequence[str]
    zones: Sequence[Zone] = ()
    keys: Sequence[TsigKey] = ()

    def __enter__(self) -> Self:
        self.write()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.machine.run(["rm", "-r", self.directory])

    @property
    def unit(self) -> str:
        """Its service."""
        return f"{self.program}-{self.name}.service"

    @property
    def directory(self) -> str:
        return f"/var/lib/{self.program}-{self.name}"

    def write(self) -> None:
        """All its files."""
        self.machine.write(self.settings, self.configuration())
        for zone in self.zones:
            if not zone.primary:
                self.machine.write(f"{self.directory}/{zone.name}.zone", zone.file)

    @abstractmethod
    def start(self) -> None:
        """Run it; returns when it answers."""

    def run(self, *options: str) -> None:
        """Run the program."""
        command = ["systemd-run", "--quiet", "--collect", f"--unit={self.unit}", "--", self.program, *options]
        self.machine.run(command)

    def stop(self) -> None:
        """It is gone, and what updates it took is in its journals, where it has any."""
        self.machine.run(["systemctl", "stop", self.unit], check=False)

    @property
    @abstractmethod
    def settings(self) -> str:
        """The path of its configuration."""

    @abstractmethod
    def configuration(self) -> str:
        """What is in there."""
