# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens in a web server's document root, written by acmed.webroot."""

import re

from acmed.config import Configuration
from acmed.names import Identifier, InvalidName
from acmed.privd.challenges import outside
from acmed.privd.challenges.outside import Directory
from acmed.privd.pid1 import Pid1
from acmed.privd.refusal import refusal
from acmed.varlink import invalid_parameter

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}")  # RFC 8555 section 8.3: base64url, at least 128 bits
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of a SHA-256


def check_token(token: str, key_authorization: str | None = None) -> None:
    """Raises InvalidParameter. A key authorization (RFC 8555 section 8.1) is the token, a dot, and a thumbprint."""
    if not _TOKEN.fullmatch(token):
        raise invalid_parameter("token")
    if key_authorization is not None:
        start, dot, thumbprint = key_authorization.partition(".")
        if start != token or not dot or not _THUMBPRINT.fullmatch(thumbprint):
            raise invalid_parameter("keyAuthorization")


def checked_identifier(text: str) -> str:
    """The value of an identifier as acmed has it. It becomes part of a path. Raises InvalidParameter."""
    try:
        value = Identifier.parse(text).value
    except InvalidName as error:
        raise invalid_parameter("identifier") from error
    if value != text or value.startswith("*."):
        raise invalid_parameter("identifier")
    return value


def webroot(configuration: Configuration, identifier: str) -> Directory:
    """The document root for an identifier. Raises ChallengeUnavailable."""
    path = configuration.http01.directory(identifier)
    if path is None:
        message = f'[http01] of acmed.toml has neither mode = "webroot" nor a line for {identifier} in webroots'
        raise refusal("ChallengeUnavailable", message=message)
    return outside.look(path, f"[http01] webroot for {identifier}")


async def write(configuration: Configuration, manager: Pid1, identifier: str, token: str, content: str | None) -> None:
    """Writes a token's file, or removes it where content is None. Raises ChallengeUnavailable, DBusError, BusLost or
    TimeoutError.
    """
    directory = webroot(configuration, identifier)
    order = {"token": token, "content": content}
    failure = await outside.write(manager, directory, "webroot", f"ACME token below {directory.path}", order)
    if failure:
        message = f"cannot write below {directory.path} as user {directory.user}: {failure}"
        raise refusal("ChallengeUnavailable", message=message)
