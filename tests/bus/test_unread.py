# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmed cannot read is no empty configuration: certificates do not vanish, and RenewDue does not keep silent."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from acmed.bus import DBusError, Variant
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.known.state import Store
from acmed.manager.places import Places
from tests.bus.rig import WWW, Rig, rig

_NAME = "www.example.com"
_DIRECTORY = Variant("s", "https://ca.example/directory")
_INVALID = "org.acmed1.Error.InvalidConfiguration"

# Tests may run as root, whom no mode keeps from reading: what is no directory cannot be read by anybody.


def _no_directory(path: Path) -> Callable[[], None]:
    """Puts a file where a directory was; what it answers with undoes that."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    path.write_text("")

    def undo() -> None:
        path.unlink()
        aside.rename(path)

    return undo


def _absent(path: Path) -> Callable[[], None]:
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)

    def undo() -> None:
        aside.rename(path)

    return undo


def _certificates(places: Places) -> Path:
    return places.etc / "certificates.d"


def _etc(places: Places) -> Path:
    return places.etc


async def _renew_due(it: Rig) -> DBusError:
    with pytest.raises(DBusError) as refused:
        await it.caller.manager("RenewDue", "t", 0)
    assert refused.value.name == _INVALID
    return refused.value


@pytest.mark.parametrize(
    ("lose", "where", "message"),
    [
        (_no_directory, _certificates, "cannot be read: Not a directory"),
        (_no_directory, _etc, "cannot be read: Not a directory"),
        (_absent, _etc, "is not there, so no account and no certificate is configured"),
    ],
)
def test_certificates_do_not_vanish_with_their_directory(
    tmp_path: Path,
    lose: Callable[[Path], Callable[[], None]],
    where: Callable[[Places], Path],
    message: str,
) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.caller.result(await it.caller.order("", _NAME))
            path = where(it.places)
            undo = lose(path)
            error = f"{path}: {message}"
            assert (await _renew_due(it)).message.startswith(error)
            (listed,) = await it.caller.manager("ListCertificates")
            assert [row[0] for row in listed] == [_NAME]
            values = await it.caller.properties()
            assert (values["State"], values["LastError"][0]) == ("failing", _INVALID)
            assert values["LastError"][1].startswith(error)
            (problems,) = await it.caller.manager("CheckConfiguration")
            assert [(file, line, said) for file, line, said, _ in problems] == [(str(path), 0, message)]
            undo()
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


@pytest.mark.parametrize(("removed", "left"), [(True, []), (False, [_NAME])])
def test_certificate_that_root_has_removed_does_not_come_back(tmp_path: Path, removed: bool, left: list[str]) -> None:
    """In the next run, too: what is remembered of it stays until it is forgotten."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.caller.result(await it.caller.order("", _NAME))
            if removed:
                (_certificates(it.places) / f"{_NAME}.toml").unlink()
            (listed,) = await it.caller.manager("ListCertificates")
            assert [row[0] for row in listed] == left
            _no_directory(_certificates(it.places))
            (listed,) = await it.caller.manager("ListCertificates")
            assert [row[0] for row in listed] == left
            assert Catalogue(it.places, Store(it.places.state)).names == set(left)

    asyncio.run(run())


def test_directory_that_can_be_read_again_counts_though_it_is_empty(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            path = _certificates(it.places)
            path.mkdir()
            undo = _no_directory(path)
            await _renew_due(it)
            undo()
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]

    asyncio.run(run())


@pytest.mark.parametrize("broken", ["acmed.toml.d", "acmed.toml.d/broken.toml"])
def test_what_can_be_read_is_renewed_all_the_same(tmp_path: Path, broken: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure(_NAME, [_NAME])
            path = it.places.etc / broken
            if path.is_dir():
                path.rmdir()
            path.write_text("this is no TOML")
            ((name, number, _),) = (await it.caller.manager("RenewDue", "t", 0))[0]
            assert (name, await it.caller.result(number)) == (_NAME, "done")
            assert (await it.caller.properties(WWW))["State"] == "valid"
            assert str(path) in (await _renew_due(it)).message

    asyncio.run(run())


def test_account_with_a_mistake_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            path = it.places.etc / "acmed.toml.d" / "second.toml"
            path.write_text('[account.second]\ndirectory = "https://ca.example/directory"\ncontcat = []\n')
            with pytest.raises(DBusError) as refused:
                await it.caller.manager("AddAccount", "sa{sv}", "second", {})
            assert refused.value.name == _INVALID
            assert refused.value.message.startswith(f"{path}:3: unknown key 'contcat' in [account.second]")
            assert it.privd.calls == []

    asyncio.run(run())


def test_account_may_be_in_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            path = it.places.etc / "acmed.toml.d" / "second.toml"
            path.write_text("[account.second\n")
            with pytest.raises(DBusError) as refused:
                await it.caller.manager("AddAccount", "sa{sv}", "second", {})
            assert refused.value.name == _INVALID
            assert refused.value.message.startswith(f"{path}:1: not valid TOML")
            number, _ = await it.caller.manager("AddAccount", "sa{sv}", "third", {"directory": _DIRECTORY})
            assert await it.caller.result(number) == "done"

    asyncio.run(run())
