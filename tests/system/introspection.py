# SPDX-License-Identifier: LGPL-2.1-or-later
"""Introspection data (D-Bus specification) as plain values, so that two of them can be compared."""

from typing import Any
from xml.etree import ElementTree

Interface = dict[str, Any]


def interfaces(xml: str) -> dict[str, Interface]:
    """Everything that is told of each interface: members, arguments in their order, access and annotations."""
    return {item.attrib["name"]: _interface(item) for item in ElementTree.fromstring(xml).findall("interface")}


def children(xml: str) -> list[str]:
    """The names of the objects right below."""
    return [node.attrib["name"] for node in ElementTree.fromstring(xml).findall("node")]


def _interface(element: ElementTree.Element) -> Interface:
    return {
        "annotations": _annotations(element),
        "methods": {
            method.attrib["name"]: {
                "arguments": [dict(argument.attrib) for argument in method.findall("arg")],
                "annotations": _annotations(method),
            }
            for method in element.findall("method")
        },
        "signals": {
            item.attrib["name"]: {
                "arguments": [dict(argument.attrib) for argument in item.findall("arg")],
                "annotations": _annotations(item),
            }
            for item in element.findall("signal")
        },
        "properties": {
            item.attrib["name"]: {**item.attrib, "annotations": _annotations(item)}
            for item in element.findall("property")
        },
    }


def _annotations(element: ElementTree.Element) -> dict[str, str]:
    return {note.attrib["name"]: note.attrib["value"] for note in element.findall("annotation")}
