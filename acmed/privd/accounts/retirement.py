# SPDX-License-Identifier: LGPL-2.1-or-later
"""The end of an account on this host: what there was of it is kept in archive/accounts/NAME-TIMESTAMP."""

import time
from pathlib import Path
from typing import Any

from acmed import journal
from acmed.config import load
from acmed.config.load import Loaded
from acmed.privd import files
from acmed.privd.accounts import accountfile, bindings
from acmed.privd.places import Places
from acmed.privd.refusal import refusal

_DIRECTORY_MODE = 0o700


def check(places: Places, account: str) -> None:
    """Whether the account could be retired. Raises InvalidConfiguration where a certificate goes to it, or may, or its
    file is not ours any more.
    """
    accountfile.read(places, account)
    users = _users(load(places.etc, places.usr), account)
    if users:
        message = f"account {account!r} is used by {', '.join(users)}; give them another account, or forget them, first"
        raise refusal("InvalidConfiguration", message=message)


def retire(places: Places, account: str) -> None:
    """Moves the account's configuration and keys to the archive; what was moved before is not an error. Raises
    InvalidConfiguration or OSError.
    """
    check(places, account)
    # The configuration goes first: an account without a key would be an error, a key without an account is none.
    found = {
        path: name
        for path, name in (
            (places.account_file(account), "account.toml"),
            (places.ca_file(account), "ca.pem"),
            (places.credentials / account, places.credentials.name),
            (places.next_credentials / account, places.next_credentials.name),
            (places.bindings / account, places.bindings.name),
        )
        if path.exists()
    }
    bindings.forget_note(places, account)
    places.next_key_note(account).unlink(missing_ok=True)
    if found:
        _move(found, archive_directory(places, account))
        journal.notice("Account %s is in the archive, %s", account, places.retired_accounts(), account=account)
    if account in places.configuration().accounts:
        journal.warning("Account %s is in root's own configuration; remove it there", account, account=account)


def archive_directory(places: Places, account: str) -> Path:
    """A new one. Raises OSError."""
    now = time.time_ns()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 1_000_000_000))
    directory = places.retired_accounts() / f"{account}-{stamp}.{now % 1_000_000_000:09}Z"
    files.make_directory(directory.parent.parent, _DIRECTORY_MODE)
    files.make_directory(directory.parent, _DIRECTORY_MODE)
    files.make_directory(directory, _DIRECTORY_MODE)
    return directory


def _move(found: dict[Path, str], directory: Path) -> None:
    """They are on different file systems, or look so to us: all are copied before the first one is removed."""
    for path, name in found.items():
        files.create(directory / name, path.read_bytes(), files.PRIVATE)
    files.sync_directory(directory)
    for path in found:
        files.remove(path)


def _users(loaded: Loaded, account: str) -> list[str]:
    """Who names the account, as a person would look for it. A broken certificate counts by what its file says. One that
    names none counts where it goes to the account all the same, unless that was never registered: it had no use yet.
    """
    configuration = loaded.configuration
    names = {name for name, table in loaded.tables.certificate.items() if _names(table, account)}
    known = configuration.accounts.get(account)
    if known and known.uri:
        names |= {one.name for one in configuration.certificates.values() if account in one.accounts}
    users = [f"certificate {name}" for name in sorted(names)]
    return users + (["[defaults]"] if _names(loaded.tables.plain.get("defaults"), account) else [])


def _names(table: Any, account: str) -> bool:
    """Whether account or failover of a table name it."""
    values = table.values if table else {}
    failover = values.get("failover")
    return values.get("account") == account or (isinstance(failover, list) and account in failover)
