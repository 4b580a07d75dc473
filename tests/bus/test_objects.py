# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is on the bus is what dbus/org.acmed1.xml says."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from acmed.bus import DBusError, Variant
from acmed.bus.xml import load
from tests.bus.peers import certificate
from tests.bus.rig import CERTIFICATE, JOB, MANAGER, OBJECT_MANAGER, PROPERTIES, ROOT, WWW, Rig, rig

_FILE = Path(__file__).resolve().parents[2] / "dbus" / "org.acmed1.xml"
_ACCOUNT = "/org/acmed1/account/default"
_LOG = "/org/freedesktop/LogControl1"
_LOG_CONTROL = "org.freedesktop.LogControl1"


def test_introspection_is_the_interface_file(tmp_path: Path) -> None:
    wanted = {element.attrib["name"]: _structure(element) for element in ElementTree.parse(_FILE).iter("interface")}

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.gate("Order")
            number = await it.caller.order("", "www.example.com")
            seen: dict[str, object] = {}
            for path in [ROOT, WWW, _ACCOUNT, f"{ROOT}/job/_{number}"]:
                interfaces = {element.attrib["name"]: element for element in (await _node(it, path)).iter("interface")}
                assert (path == ROOT) == (OBJECT_MANAGER in interfaces)
                seen |= {name: _structure(one) for name, one in interfaces.items() if name.startswith("org.acmed1.")}
            assert seen == wanted

    asyncio.run(run())


def test_tree_can_be_walked(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.configure("7_a", ["a.example.com"])
            await it.caller.manager("ListJobs")
            assert [path async for path in _walk(it, "/")] == [
                "/", "/org", "/org/acmed1", "/org/acmed1/account", _ACCOUNT, "/org/acmed1/certificate",
                "/org/acmed1/certificate/_37_5fa", WWW, "/org/freedesktop", _LOG,
            ]  # fmt: skip

    asyncio.run(run())


def test_managed_objects(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            (objects,) = await it.caller.call(ROOT, OBJECT_MANAGER, "GetManagedObjects")
            assert {path: list(interfaces) for path, interfaces in objects.items()} == {
                WWW: [CERTIFICATE],
                _ACCOUNT: ["org.acmed1.Account"],
            }
            assert objects[WWW][CERTIFICATE]["State"].value == "valid"
            assert set(objects[WWW][CERTIFICATE]) == set(load()[CERTIFICATE].properties)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "interface", "member", "signature", "body", "error"),
    [
        ("/org/acmed1/nothing", MANAGER, "ListJobs", "", (), "UnknownObject"),
        ("/org/acmed1/job/_99", JOB, "Cancel", "", (), "UnknownObject"),
        (ROOT, "org.acmed1.Nothing", "ListJobs", "", (), "UnknownInterface"),
        (ROOT, CERTIFICATE, "Forget", "", (), "UnknownInterface"),
        (_ACCOUNT, OBJECT_MANAGER, "GetManagedObjects", "", (), "UnknownInterface"),
        ("/org", PROPERTIES, "GetAll", "s", (MANAGER,), "UnknownInterface"),
        (ROOT, MANAGER, "Nothing", "", (), "UnknownMethod"),
        (ROOT, MANAGER, "GetCertificate", "u", (1,), "InvalidArgs"),
        (ROOT, MANAGER, "GetCertificate", "", (), "InvalidArgs"),
        (ROOT, PROPERTIES, "Get", "ss", (MANAGER, "Nothing"), "UnknownProperty"),
        (ROOT, PROPERTIES, "Get", "ss", (OBJECT_MANAGER, "Nothing"), "UnknownProperty"),
        (ROOT, PROPERTIES, "GetAll", "s", (CERTIFICATE,), "UnknownInterface"),
        (ROOT, PROPERTIES, "Set", "ssv", (MANAGER, "Nothing", Variant("s", "")), "UnknownProperty"),
        (_LOG, PROPERTIES, "Set", "ssv", (_LOG_CONTROL, "LogLevel", Variant("u", 7)), "InvalidArgs"),
        (_LOG, PROPERTIES, "Set", "ssv", (_LOG_CONTROL, "LogLevel", Variant("s", "loud")), "InvalidArgs"),
        (_LOG, PROPERTIES, "Set", "ssv", (_LOG_CONTROL, "LogTarget", Variant("s", "")), "PropertyReadOnly"),
    ],
)  # fmt: skip
def test_what_is_not_there(
    tmp_path: Path, path: str, interface: str, member: str, signature: str, body: tuple[object, ...], error: str
) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            with pytest.raises(DBusError) as refused:
                await it.caller.call(path, interface, member, signature, *body)
            assert refused.value.name == f"org.freedesktop.DBus.Error.{error}"

    asyncio.run(run())


def test_properties(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            assert (await it.caller.call(ROOT, PROPERTIES, "Get", "ss", MANAGER, "Version"))[0].value
            before = await it.caller.properties(ROOT, MANAGER)
            assert before["NextRenewal"] > 0
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            after, values = await it.caller.properties(ROOT, MANAGER), await it.caller.properties()
            assert before["NextRenewal"] < after["NextRenewal"] == values["RenewAt"] < values["NotAfter"]
            (described,) = await it.caller.call(WWW, CERTIFICATE, "Describe")
            assert json.loads(described)["NotAfter"] == values["NotAfter"]
            changed = await it.caller.until("PropertiesChanged", CERTIFICATE)
            assert changed.body[1]["State"].value == "valid"
            assert "Name" not in changed.body[1]
            (described,) = await it.caller.call(_ACCOUNT, "org.acmed1.Account", "Describe")
            assert json.loads(described)["Directory"] == "https://ca.example/directory"

    asyncio.run(run())


def test_log_level(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            name = _LOG_CONTROL
            assert (await it.caller.properties(_LOG, name)) == {
                "LogLevel": "info", "LogTarget": "journal", "SyslogIdentifier": "acmed",
            }  # fmt: skip
            for level in ("warning", "info"):
                await it.caller.call(_LOG, PROPERTIES, "Set", "ssv", name, "LogLevel", Variant("s", level))
                assert (await it.caller.properties(_LOG, name))["LogLevel"] == level

    asyncio.run(run())


def test_peer(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            assert await it.caller.call("/anywhere", "org.freedesktop.DBus.Peer", "Ping") == []

    asyncio.run(run())


async def _node(it: Rig, path: str) -> ElementTree.Element:
    (text,) = await it.caller.call(path, "org.freedesktop.DBus.Introspectable", "Introspect")
    return ElementTree.fromstring(text)


async def _walk(it: Rig, path: str) -> AsyncIterator[str]:
    yield path
    for child in (await _node(it, path)).findall("node"):
        async for inner in _walk(it, f"{path.rstrip('/')}/{child.attrib['name']}"):
            yield inner


def _structure(element: ElementTree.Element) -> tuple[object, ...]:
    """An element without its white space."""
    return element.tag, tuple(sorted(element.attrib.items())), tuple(_children(element))


def _children(element: ElementTree.Element) -> Iterator[tuple[object, ...]]:
    return (_structure(child) for child in element)
