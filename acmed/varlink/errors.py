# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two ways in which a call fails."""

from typing import Any


class VarlinkError(Exception):
    """An error reply: its qualified name (org.acmed.Key.NotPermitted) and parameters."""

    def __init__(self, name: str, /, **parameters: Any) -> None:
        super().__init__(name)
        self.name = name
        self.parameters = parameters

    def __str__(self) -> str:
        details = ", ".join(f"{key}: {value}" for key, value in self.parameters.items())
        return f"{self.name} ({details})" if details else self.name


class ConnectionLost(Exception):
    """The peer is not there, went away, or did not speak Varlink. The call may or may not have been carried out."""
