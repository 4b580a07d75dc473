# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts as other clients keep them: where the key is, and what their files say besides.

client  directory                    key                 the rest
certbot accounts/HOST[:PORT]/PATH/ID private_key.json    regr.json
lego    accounts/HOST[_PORT]/MAIL    keys/MAIL.key       account.json
acme.sh ca/HOST/PATH                 account.key         ca.conf
acmebot /var/local/acmebot           client_key.json     registration.json
acmems  dir of [account]             account.pem         registration.json

lacme has a file with the key alone. HOST and PATH are those of the directory's URL.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from acmed.config import model
from acmed.ctl import files
from acmed.ctl.exits import CommandError, Exit

_ASSIGNMENT = re.compile(r"^(ACCOUNT_URL|CA_EMAIL)='([^']*)'$", re.MULTILINE)
_BASE64 = re.compile(r"__ACME_BASE64__START_(.*)__ACME_BASE64__END_")
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Found:
    """key: its file. directory: the CA's URL. What the client's files do not say is empty."""

    key: Path
    directory: str = ""
    uri: str = ""
    contact: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Client:
    """key is a pattern, as keys may have names of their own. below: the part of the path that HOST and PATH stand
    behind, and how many parts stand behind these; None where the path does not tell them.
    """

    key: str
    more: str
    below: tuple[str, int] | None = None


_CLIENTS = (
    _Client("private_key.json", "regr.json", ("accounts", 1)),
    _Client("keys/*.key", "account.json"),
    _Client("account.key", "ca.conf", ("ca", 0)),
    _Client("client_key.json", "registration.json"),
    _Client("account.pem", "registration.json"),
)
_DEEPER = ("*/", "*/*/", "*/*/*/")


def find(path: Path) -> Found:
    """The account in a client's directory, or the one whose key is in this file. Raises CommandError."""
    try:
        return _find(path.absolute())
    except OSError as error:
        hint = "Run it as a user who may read this, such as root."
        raise CommandError(Exit.FAILED, f"{error.filename or path}: {error.strerror}", hint) from None


def _find(path: Path) -> Found:
    """Raises CommandError and OSError."""
    if not path.is_dir():
        for client in _CLIENTS:
            if path.match(client.key):
                home = path.parents[client.key.count("/")]
                if (home / client.more).exists():
                    return _read(client, home, path)
        return Found(path)
    for client in _CLIENTS:
        keys = sorted(path.glob(client.key))
        if len(keys) > 1:
            raise CommandError(Exit.FAILED, f"{path}: has {len(keys)} keys", "Give the file that you mean.")
        if keys:
            return _read(client, path, keys[0])
    raise CommandError(
        Exit.FAILED,
        f"{path}: holds no account: give a key, or an account's directory of certbot, lego, acme.sh, acmebot or acmems",
        "\n".join(["Below it there are:", *map(str, _below(path))]) if _below(path) else "",
    )


def _below(path: Path) -> list[Path]:
    """Keys that may have been meant."""
    found = (key for client in _CLIENTS for deeper in _DEEPER for key in path.glob(deeper + client.key))
    return sorted(set(found))[:_MOST_SHOWN]


def _read(client: _Client, home: Path, key: Path) -> Found:
    said = _said(home / client.more)
    registration = said.get("registration", said)
    registration = registration if isinstance(registration, dict) else {}
    body = registration.get("body")
    contact = body.get("contact") if isinstance(body, dict) else None
    contacts = [one for one in contact if isinstance(one, str)] if isinstance(contact, list) else []
    if not contacts and isinstance(said.get("email"), str) and said["email"]:
        contacts = [said["email"]]
    uri = registration.get("uri")
    uri = uri if isinstance(uri, str) else ""
    return Found(key, _directory(client, home, uri), uri, tuple(contacts))


def _said(path: Path) -> dict[str, Any]:
    """What is in a JSON file, or in acme.sh's, in the same words. A file that is not there says nothing. Raises
    CommandError.
    """
    if not path.exists():
        return {}
    text = files.read(path).decode(errors="replace")
    if path.suffix == ".conf":
        values = {name: _plain(value) for name, value in _ASSIGNMENT.findall(text)}
        return {"uri": values.get("ACCOUNT_URL"), "email": values.get("CA_EMAIL")}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise CommandError(Exit.FAILED, f"{path}: is damaged: not JSON") from None
    return said if isinstance(said, dict) else {}


def _plain(value: str) -> str:
    """A value of acme.sh's, which may be in base64."""
    found = _BASE64.fullmatch(value)
    try:
        return base64.b64decode(found[1]).decode() if found else value
    except (binascii.Error, ValueError):
        return ""


def _directory(client: _Client, home: Path, uri: str) -> str:
    """The URL of the CA's directory; empty where nothing tells it."""
    at = _origin(uri)
    for url in model.DIRECTORIES.values():
        if at and at == _origin(url):
            return url
    if client.below is None:
        return ""
    above, behind = client.below
    parts = home.parts[: len(home.parts) - behind]
    if above not in parts:
        return ""
    host, *path = parts[len(parts) - parts[::-1].index(above) :] or ("",)
    if not host or not path:
        return ""
    # acme.sh leaves the port out.
    start = at if urlsplit(at).hostname == host else f"https://{host}"
    return f"{start}/{'/'.join(path)}"


def _origin(url: str) -> str:
    """Its scheme, host and port, as they are written; empty where it is none."""
    try:
        parts = urlsplit(url if url.isprintable() else "")
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme == "https" and parts.netloc else ""
