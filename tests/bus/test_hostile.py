# SPDX-License-Identifier: LGPL-2.1-or-later
"""Any local user may send acmed anything: it goes on, and tells nothing."""

import asyncio
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import Bus, BusLost, DBusError, MethodCall, Variant
from acmed.manager.known.catalogue import Catalogue
from tests.bus import rawbus
from tests.bus.rawbus import DESTINATION, INTERFACE, MEMBER, PATH, SENDER, Raw, message, pretended_bus, text
from tests.bus.rig import MANAGER, NAME, NOBODY, PROPERTIES, ROOT, WWW, Caller, rig

_UNKNOWN_FIELD = 42
_LIMIT = 16


def _call(member: str, serial: int, *more: rawbus.Field, body: bytes = b"", destination: str = NAME) -> bytes:
    fields = [text(PATH, ROOT), text(DESTINATION, destination), text(INTERFACE, MANAGER), text(MEMBER, member), *more]
    return message(rawbus.METHOD_CALL, serial, fields, body)


class _Recorder:
    """A dispatcher that remembers, and answers nothing."""

    def __init__(self) -> None:
        self.calls: list[MethodCall] = []
        self.came = asyncio.Event()

    def incoming(self, call: MethodCall) -> None:
        self.calls.append(call)
        self.came.set()


def test_unknown_header_field_is_passed_over(tmp_path: Path) -> None:
    async def run() -> None:
        unknown: rawbus.Field = (_UNKNOWN_FIELD, "s", "what is this")
        first = _call("One", 7, unknown, text(SENDER, ":1.66")) + _call("Two", 8, text(SENDER, ":1.66"))
        async with pretended_bus(tmp_path / "bus", first) as address:
            bus, recorder = await Bus.connect(address), _Recorder()
            bus.serve(recorder)
            bus.emit("/", "org.example", "Begin", "", [])
            async with asyncio.timeout(5):
                while len(recorder.calls) < 2:
                    recorder.came.clear()
                    await recorder.came.wait()
            assert [call.member for call in recorder.calls] == ["One", "Two"]
            bus.disconnect()

    asyncio.run(run())


def test_messages_that_no_library_sends(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            raw = await Raw.connect(it.address)
            await raw.send(
                _call("ListJobs", 2, (_UNKNOWN_FIELD, "s", "x")),
                _call("NoSuchMethod", 3),
                # Flags that are not known, and a call without an interface.
                message(
                    rawbus.METHOD_CALL, 4, [text(PATH, ROOT), text(DESTINATION, NAME), text(MEMBER, "ListJobs")],
                    flags=0xF8,
                ),
                # A signal as if from the bus, to acmed alone.
                message(
                    4, 5,
                    [text(PATH, "/org/freedesktop/DBus"), text(DESTINATION, NAME),
                     text(INTERFACE, "org.freedesktop.DBus"), text(MEMBER, "NameOwnerChanged")],
                ),
            )  # fmt: skip
            assert await it.caller.manager("ListJobs") == [[]]
            # A message of a type that is not known: the bus may end the connection, acmed goes on.
            await raw.send(message(9, 6, [text(PATH, ROOT), text(DESTINATION, NAME), text(MEMBER, "X")]))
            assert await it.caller.manager("ListJobs") == [[]]

    asyncio.run(run())


@pytest.mark.slow
def test_message_of_20_megabytes(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            body = struct.pack("<I", 20 * 1024 * 1024) + bytes(20 * 1024 * 1024)
            raw = await Raw.connect(it.address)
            await raw.send(_call("Order", 2, (rawbus.SIGNATURE, "g", "ay"), body=body))
            assert await it.caller.manager("ListJobs") == [[]]
            with pytest.raises(DBusError) as refused:
                await it.caller.manager("Order", "sasa{sv}", "x" * 20_000_000, [], {})
            assert refused.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
            with pytest.raises(DBusError) as refused:
                await it.caller.manager("Order", "sasa{sv}", "x" * 300_000, [], {})
            assert refused.value.name == "org.acmed1.Error.InvalidName"
            assert len(refused.value.message) < 1000

    asyncio.run(run())


@pytest.mark.slow
def test_what_is_slow_to_read_is_not_read(tmp_path: Path) -> None:
    """A million variants, as a call, as a signal, and in a header field: 20 seconds and 600 MB for each of them."""
    variants = b"\x01y\0\0" * 5_000_000
    body = struct.pack("<I", len(variants)) + variants
    signature: rawbus.Field = (rawbus.SIGNATURE, "g", "av")
    path = "/a" * 10_000_000

    async def run() -> None:
        async with rig(tmp_path) as it:
            raw = await Raw.connect(it.address)
            signal = [text(PATH, ROOT), text(DESTINATION, NAME), text(INTERFACE, MANAGER), text(MEMBER, "JobNew")]
            call = [text(PATH, path), text(DESTINATION, NAME), text(INTERFACE, MANAGER), text(MEMBER, "ListJobs")]
            before = time.process_time()
            await raw.send(
                _call("Order", 2, signature, body=body),
                message(rawbus.SIGNAL, 3, [*signal, signature], body),
                message(rawbus.METHOD_CALL, 4, call),
                _call("Last", 5),
            )
            await raw.until(b"has no method Last")
            assert time.process_time() - before < 5  # seconds of CPU

    asyncio.run(run())


def test_calls_of_one_sender_are_limited(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            assert it.polkit
            it.polkit.release.clear()
            calls = [asyncio.ensure_future(it.caller.manager("Reload")) for _ in range(_LIMIT + 1)]
            with pytest.raises(DBusError) as refused:
                await calls[_LIMIT]
            assert refused.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
            # It is no limit for anybody else, and ends when the calls are answered.
            other = await Caller.connect(it.address)
            assert await other.manager("ListJobs") == [[]]
            it.polkit.release.set()
            await asyncio.gather(*calls[:_LIMIT])
            await it.caller.manager("Reload")

    asyncio.run(run())


def test_defect_tells_its_caller_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    def broken(self: Catalogue, name: str) -> None:
        raise RuntimeError("the secret is hunter2")

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            await it.caller.manager("ListJobs")
            monkeypatch.setattr(Catalogue, "status", broken)
            for interface, member, signature, body in (
                (MANAGER, "ListCertificates", "", ()),
                (PROPERTIES, "GetAll", "s", (MANAGER,)),
            ):
                with pytest.raises(DBusError) as failed:
                    await it.caller.call(ROOT, interface, member, signature, *body)
                assert failed.value.name == "org.freedesktop.DBus.Error.Failed"
                assert "hunter2" not in str(failed.value)
            monkeypatch.undo()
            assert len((await it.caller.manager("ListCertificates"))[0]) == 1

    asyncio.run(run())
    output = capfd.readouterr()
    assert "RuntimeError at broken" in output.err
    assert "hunter2" not in output.err + output.out


def test_nothing_can_be_set(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            with pytest.raises(DBusError) as refused:
                await it.caller.call(ROOT, PROPERTIES, "Set", "ssv", MANAGER, "DefaultAccount", Variant("s", "mine"))
            assert refused.value.name == "org.freedesktop.DBus.Error.PropertyReadOnly"

    asyncio.run(run())


def test_bus_policy_lets_everybody_read_and_ask_and_no_more(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, own_policy=True) as it:
            assert (await it.caller.properties(ROOT, MANAGER))["DefaultAccount"] == "default"
            number = await it.caller.order("", "www.example.com")
            assert await it.caller.result(number) == "done"
            await it.caller.call(WWW, "org.freedesktop.DBus.Introspectable", "Introspect")
            log = "org.freedesktop.LogControl1"
            for path, interface, member, signature, body in (
                (ROOT, PROPERTIES, "Set", "ssv", (MANAGER, "Version", Variant("s", "9"))),
                ("/org/freedesktop/LogControl1", PROPERTIES, "Set", "ssv", (log, "LogLevel", Variant("s", "debug"))),
                (ROOT, "org.example.Other", "Anything", "", ()),
            ):
                with pytest.raises(DBusError) as refused:
                    await it.caller.call(path, interface, member, signature, *body)
                assert refused.value.name == "org.freedesktop.DBus.Error.AccessDenied"

    asyncio.run(run())


def test_bus_that_goes_away(tmp_path: Path) -> None:
    async def run() -> None:
        async with pretended_bus(tmp_path / "bus", b"not a message at all") as address:
            bus = await Bus.connect(address)
            with pytest.raises(BusLost):
                await bus.call(NAME, ROOT, MANAGER, "ListJobs")
            await bus.wait_closed()
            with pytest.raises(BusLost):
                await bus.call(NAME, ROOT, MANAGER, "ListJobs")
        with pytest.raises(BusLost, match="no-bus"):
            await Bus.connect(f"unix:path={tmp_path}/no-bus")

    asyncio.run(run())
