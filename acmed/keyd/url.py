# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a request goes: to the account's CA only, and whether to the account itself."""

import re
from urllib.parse import unquote, urlsplit

from acmed.config import Account
from acmed.config.model import origin
from acmed.keyd.request import NotUnderstood

_MAX_LENGTH = 2048
_NUMBER = re.compile(r"\+?0*(?=[0-9])")  # a CA that numbers its accounts may read 1, 01 and +1 as one
_PARAMETERS = re.compile(r"[;?#].*", re.DOTALL)  # a proxy may decode %3f to a question mark that counts


def check_url(url: str, account: Account) -> None:
    """Raises NotUnderstood unless the URL is of the origin of the account's CA, and in plain spelling."""
    if len(url) > _MAX_LENGTH or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise NotUnderstood("the URL is printable ASCII without spaces")
    try:
        parts = urlsplit(url)
        if origin(url) != account.origin or parts.fragment:
            raise NotUnderstood("the URL is of the origin of the account's directory")
    except ValueError as error:
        raise NotUnderstood("the URL is of the origin of the account's directory") from error


def is_account_url(url: str, account: Account) -> bool:
    """Whether a server could take the URL for the account's: percent-encoding, slashes, dots, case and query aside."""
    return account.uri is not None and _path(url) == _path(account.uri)


def _path(url: str) -> list[str]:
    segments: list[str] = []
    for segment in unquote(urlsplit(url).path).lower().split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            bare = _PARAMETERS.sub("", segment)
            segments.append(_NUMBER.sub("", bare, count=1) if bare.lstrip("+").isdecimal() else bare)
    return segments
