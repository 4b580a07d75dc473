# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can go wrong: one class for each error of org.acmed.DNS."""

from acmed.varlink import InterfaceError


class DnsError(InterfaceError):
    """Any of them."""

    interface = "org.acmed.DNS"


class NotConfigured(DnsError):
    """No certificate and no account's authorize is for that identifier."""

    def __init__(self, identifier: str) -> None:
        super().__init__(f"no configured certificate or authorization is for {identifier}", identifier=identifier)


class LookupFailed(DnsError):
    """DNS does not answer as it must; message names server, question and answer. unanswered: no resolver of this host
    has an answer, also where it says so itself (SERVFAIL, REFUSED); what others see is not known by that.
    """

    def __init__(self, name: str, message: str, unanswered: bool = False) -> None:
        super().__init__(message, name=name, message=message)
        self.unanswered = unanswered


class UpdateFailed(DnsError):
    """The zone was not changed; message names server, zone and answer, and says what to do."""

    def __init__(self, zone: str, message: str) -> None:
        super().__init__(message, zone=zone, message=message)


class NotPropagated(DnsError):
    """Servers of the zone do not answer a value in time; message names them, and what they answer."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message, name=name, message=message)
