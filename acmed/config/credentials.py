# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the keys are there that accounts and zones need, which are sealed, and those that root provides."""

import stat
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from acmed import paths
from acmed.config.load import Loaded
from acmed.config.model import DIRECTORIES, Account, Problem
from acmed.config.plainfile import OTHERS_WRITE, look
from acmed.config.sandbox import UNIT, home_above
from acmed.config.sealed import how_to_seal, unsealed


def problems(loaded: Loaded, sealed: Path) -> list[Problem]:
    """sealed: the directory of /etc/credstore.encrypted. Its directories may be seen by root alone."""
    accounts, bindings, dns = (
        sealed / path.name for path in (paths.ACCOUNT_CREDENTIALS, paths.BINDING_CREDENTIALS, paths.DNS_CREDENTIALS)
    )
    configuration = loaded.configuration
    held = [one for one in configuration.accounts.values() if one.key is None]
    unbound = [one for one in configuration.accounts.values() if one.external and one.uri is None]
    keyed = [zone for zone in configuration.zones.values() if zone.key]
    found = []
    if held:
        found += _accounts(loaded, accounts, held)
    if unbound:
        found += _bindings(loaded, bindings, unbound)
    if keyed:
        found += _zones(loaded, dns)
    return [*found, *unsealed(sealed), *_provided(loaded)]


def _accounts(loaded: Loaded, directory: Path, held: list[Account]) -> list[Problem]:
    there = _sizes(directory, "whether each account has a key")
    if isinstance(there, Problem):
        return [there]
    found = []
    for account in held:
        if fault := _fault(there, directory, account.name):
            place = loaded.tables.account[account.name].place
            hint = (
                "make an account with a new key, or bring the key along that it has:\n"
                f"{_add(account)}\nacmectl account import --name {account.name} --directory {_directory(account)} KEY"
            )
            found.append(place.problem(f"account '{account.name}' has no key: {fault}", hint))
    return found


def _bindings(loaded: Loaded, directory: Path, unbound: list[Account]) -> list[Problem]:
    """HMAC keys of accounts that are not registered yet: they are of no use afterwards."""
    there = _sizes(directory, "whether each account with 'eab-key-id' has its HMAC key")
    if isinstance(there, Problem):
        return [there]
    found = []
    for account in unbound:
        if fault := _fault(there, directory, account.name):
            place = loaded.tables.account[account.name].places["eab-key-id"]
            message = f"account '{account.name}' has no HMAC key for its binding: {fault}"
            found.append(place.problem(message, f"register it with the key that the CA gave:\n{_add(account)}"))
    return found


def _zones(loaded: Loaded, directory: Path) -> list[Problem]:
    there = _sizes(directory, "whether each [zone] has its key")
    if isinstance(there, Problem):
        return [there]
    found = []
    for zone in loaded.configuration.zones.values():
        if zone.key and (fault := _fault(there, directory, zone.key)):
            place = loaded.tables.zone[zone.name].places["key"]
            seal = how_to_seal(f"tsig_{zone.key}", "KEY.conf", directory / zone.key)
            hint = f"seal the file with the key, as tsig-keygen(8) writes it:\n{seal}"
            found.append(place.problem(f"zone {zone.name} has no key '{zone.key}': {fault}", hint))
    return found


def _provided(loaded: Loaded) -> Iterator[Problem]:
    """key-file of certificates."""
    for certificate in loaded.configuration.certificates.values():
        path = certificate.key_file
        if path is None:
            continue
        place = loaded.tables.certificate[certificate.name].places["key-file"]
        if home := home_above(path):
            message = f"the key {path} is in {home}, which {UNIT} does not see"
            yield place.problem(message, "keep it in a directory such as /etc/ssl/private")
            continue
        found = look(place, path, "the key ")
        if isinstance(found, Problem):
            yield found
        elif found.st_mode & (OTHERS_WRITE | stat.S_IROTH):
            message = f"the key {path} may be read by all, or written by others than root"
            yield place.problem(message, f"chmod 0600 {quote(str(path))}")


def _sizes(directory: Path, what: str) -> dict[str, int] | Problem:
    """The files with their sizes, or a note that this caller cannot know what."""
    try:
        return {path.name: path.stat().st_size for path in directory.iterdir()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        return Problem(directory, 0, f"{what} is not checked: {error.strerror}", "check as root", note=True)


def _fault(there: dict[str, int], directory: Path, name: str) -> str:
    if name not in there:
        return f"{directory / name} is missing"
    return "" if there[name] else f"{directory / name} is empty"


def _add(account: Account) -> str:
    """The command that makes the account."""
    contact = "".join(f" --contact {quote(url.removeprefix('mailto:'))}" for url in account.contact)
    ca_file = f" --ca-file {quote(str(account.ca_file))}" if account.ca_file else ""
    binding = ""
    if account.external:
        binding = f" --eab-key-id {quote(account.external.key_id)} --eab-hmac-file FILE"
        binding += f" --eab-algorithm {account.external.algorithm}"
    return (
        f"acmectl account add {account.name} --directory {_directory(account)}{contact}{ca_file}{binding} --agree-tos"
    )


def _directory(account: Account) -> str:
    """For a shell, by its short name where there is one."""
    short = {url: name for name, url in DIRECTORIES.items()}
    return quote(short.get(account.directory, account.directory))
