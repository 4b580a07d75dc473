# SPDX-License-Identifier: LGPL-2.1-or-later
"""Interface files (D-Bus specification, Introspection Data Format), as data classes.

dbus/org.acmed1.xml is the single source of names and types: calls are dispatched from it, and Introspect answers it.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

_CHECKOUT = Path(__file__).resolve().parents[2] / "dbus"
_INSTALLED = Path("/usr/share/dbus-1/interfaces")
_EMITS_CHANGED = "org.freedesktop.DBus.Property.EmitsChangedSignal"


@dataclass(frozen=True)
class Method:
    """signature is of the arguments that go in, answer of those that come out."""

    signature: str
    answer: str


@dataclass(frozen=True)
class Property:
    """access: read, write or readwrite. emits, the EmitsChangedSignal annotation: true, invalidates, const or false."""

    signature: str
    access: str
    emits: str


@dataclass(frozen=True)
class Interface:
    """One interface; text is its element as XML. signals: signatures by name."""

    name: str
    text: str
    methods: dict[str, Method] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)


@cache
def load(name: str = "org.acmed1") -> dict[str, Interface]:
    """The interfaces in the file of a name, by theirs. Raises FileNotFoundError: the package is incomplete."""
    # A checkout comes first: its code and its file belong together, whatever else is installed.
    path = next((path for base in (_CHECKOUT, _INSTALLED) if (path := base / f"{name}.xml").exists()), None)
    if path is None:
        raise FileNotFoundError(f"{_INSTALLED / name}.xml is missing: acmed is not installed completely")
    return parse(path.read_text())


def parse(text: str) -> dict[str, Interface]:
    """The interfaces in a node element."""
    return {element.attrib["name"]: _interface(element) for element in ElementTree.fromstring(text).iter("interface")}


def _interface(element: ElementTree.Element) -> Interface:
    interface = Interface(element.attrib["name"], ElementTree.tostring(element, encoding="unicode").strip())
    for method in element.iter("method"):
        interface.methods[method.attrib["name"]] = Method(_signature(method, "in"), _signature(method, "out"))
    for signal in element.iter("signal"):
        interface.signals[signal.attrib["name"]] = "".join(arg.attrib["type"] for arg in signal.iter("arg"))
    for item in element.iter("property"):
        annotations = {note.attrib["name"]: note.attrib["value"] for note in item.iter("annotation")}
        interface.properties[item.attrib["name"]] = Property(
            item.attrib["type"], item.attrib["access"], annotations.get(_EMITS_CHANGED, "true")
        )
    return interface


def _signature(method: ElementTree.Element, direction: str) -> str:
    return "".join(arg.attrib["type"] for arg in method.iter("arg") if arg.attrib.get("direction", "in") == direction)
