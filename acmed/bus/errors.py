# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two ways in which a call fails, and the standard error names (D-Bus specification, sd-bus-errors(3))."""

_PREFIX = "org.freedesktop.DBus.Error."
ACCESS_DENIED = _PREFIX + "AccessDenied"
FAILED = _PREFIX + "Failed"
INTERACTIVE_AUTHORIZATION_REQUIRED = _PREFIX + "InteractiveAuthorizationRequired"
INVALID_ARGS = _PREFIX + "InvalidArgs"
LIMITS_EXCEEDED = _PREFIX + "LimitsExceeded"
NAME_HAS_NO_OWNER = _PREFIX + "NameHasNoOwner"
NO_REPLY = _PREFIX + "NoReply"
NOT_SUPPORTED = _PREFIX + "NotSupported"
PROPERTY_READ_ONLY = _PREFIX + "PropertyReadOnly"
SERVICE_UNKNOWN = _PREFIX + "ServiceUnknown"
UNKNOWN_INTERFACE = _PREFIX + "UnknownInterface"
UNKNOWN_METHOD = _PREFIX + "UnknownMethod"
UNKNOWN_OBJECT = _PREFIX + "UnknownObject"
UNKNOWN_PROPERTY = _PREFIX + "UnknownProperty"


class DBusError(Exception):
    """An error reply: its name (org.acmed1.Error.Busy) and a message for people."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


class BusLost(Exception):
    """The bus cannot be reached, or closed the connection. A call may or may not have been carried out."""
