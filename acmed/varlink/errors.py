# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two ways in which a call fails, and what a service raises for the first."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from acmed import journal


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


class InterfaceError(Exception):
    """An error of a service's interface, in the service's own code. The arguments by name are the parameters of the
    interface's error, which has the class's name.
    """

    interface: ClassVar[str]

    def __init__(self, text: str, **parameters: Any) -> None:
        super().__init__(text)
        self.parameters = parameters

    def reply(self) -> VarlinkError:
        """The interface's error."""
        return VarlinkError(f"{self.interface}.{type(self).__name__}", **self.parameters)


@contextmanager
def answering(**fields: Any) -> Iterator[None]:
    """Adds journal fields, and turns each InterfaceError into the reply that it is to be."""
    with journal.fields(**fields):
        try:
            yield
        except InterfaceError as error:
            reply = error.reply()
            journal.notice("%s", error, error=reply.name.rpartition(".")[2])
            raise reply from error


def invalid_parameter(parameter: str) -> VarlinkError:
    """The error that a parameter of the caller's is not what the interface says of it."""
    return VarlinkError("org.varlink.service.InvalidParameter", parameter=parameter)
