# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed.toml.d/account-NAME.toml: what acmed writes about an account. What root adds to it is kept, but comments."""

import re
import tomllib
from pathlib import Path
from typing import Any

from acmed.config import Account, load
from acmed.privd import files, toml
from acmed.privd.places import Places
from acmed.privd.refusal import refusal

_DIRECTORY_MODE = 0o755
_HEAD = "# Written by acmed for 'acmectl account add'. Comments are not kept when it is written again.\n"
_BARE_KEY = re.compile("[A-Za-z0-9_-]+")

Table = dict[str, Any]


def read(places: Places, name: str) -> Table:
    """The account's table; empty where there is no file. Raises InvalidConfiguration: it is not ours any more."""
    path = places.account_file(name)
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{path}: {error}") from error
    accounts = data.pop("account", None)
    table = accounts.pop(name, None) if isinstance(accounts, dict) else None
    if data or accounts or not isinstance(table, dict):
        raise _invalid(f"{path} has more in it than [account.{name}]; move the rest to another file")
    return table


def write(places: Places, name: str, table: Table) -> Account:
    """Writes the file, and sees what the configuration makes of it. Raises InvalidConfiguration or OSError; then the
    file is as it was.
    """
    path = places.account_file(name)
    text = _HEAD + "\n".join(_tables(path, f"account.{toml.string(name)}", table))
    with files.kept_on_error(path):
        files.make_directory(path.parent, _DIRECTORY_MODE)
        files.replace(path, text.encode(), files.PUBLIC)
        loaded = load(places.etc, places.usr)
        if name not in loaded.configuration.accounts:
            raise _invalid("; ".join(map(str, loaded.broken_accounts.get(name, loaded.unread))))
    return loaded.configuration.accounts[name]


def overruling(places: Places, name: str, key: str) -> Path | None:
    """The file whose word on a key of the account counts more than ours, if there is one."""
    ours, path = places.account_file(name), place(places, name, key)
    return path if path and path.parent == ours.parent and path.name > ours.name else None


def place(places: Places, name: str, key: str) -> Path | None:
    """The file whose word on a key of the account counts, if there is one."""
    table = load(places.etc, places.usr).tables.account.get(name)
    found = table.places.get(key) if table else None
    return found.path if found else None


def _tables(path: Path, title: str, table: Table) -> list[str]:
    """The text of a table, and of those in it."""
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines = [f"{_key(key)} = {_value(path, key, value)}\n" for key, value in table.items() if key not in inner]
    texts = [f"[{title}]\n{''.join(lines)}"]
    for key, value in inner.items():
        texts += _tables(path, f"{title}.{_key(key)}", value)
    return texts


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else toml.string(key)


def _value(path: Path, key: str, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return toml.string(value)
        case int():
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return toml.strings(value)
    message = f"{path}: {key} is neither a string, a number, true or false, nor a list of strings; move it elsewhere"
    raise _invalid(message)


def _invalid(message: str) -> Exception:
    return refusal("InvalidConfiguration", message=message)
