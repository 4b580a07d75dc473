# SPDX-License-Identifier: LGPL-2.1-or-later
"""Varlink interface files, and values held against their types (https://varlink.org/Interface-Definition)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+|#[^\n]*)|(?P<arrow>->)|(?P<array>\[\])|(?P<map>\[string\])"
    r"|(?P<word>[A-Za-z][A-Za-z0-9_.-]*)|(?P<mark>[():,?])"
)

# What a value of each kind is in Python.
_PYTHON: dict[str, type | tuple[type, ...]] = {
    "array": list,
    "bool": bool,
    "float": (int, float),
    "int": int,
    "map": dict,
    "object": dict,
    "string": str,
    "struct": dict,
}
_CONTAINERS = {"array", "map", "struct"}


class IdlError(Exception):
    """An interface file is not what the grammar allows."""


class TypeMismatch(Exception):
    """A value is not of the type that the interface gives; path names the field."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True)
class Type:
    """A type: a basic one, a named one, a struct, or an array, map or nullable of another."""

    kind: str
    name: str = ""
    of: "Type | None" = None
    fields: dict[str, "Type"] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A method's parameters and answer, both structs."""

    parameters: Type
    reply: Type


@dataclass
class Interface:
    """An interface file: its text, and what it declares."""

    name: str
    text: str
    types: dict[str, Type] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)
    errors: dict[str, Type] = field(default_factory=dict)

    def check(self, value: Any, declared: Type, path: str = "") -> None:
        """Raises TypeMismatch with the path of the first field that does not fit; unknown fields do not fit."""
        kind = declared.kind
        if kind == "maybe":
            if value is not None and declared.of:
                self.check(value, declared.of, path)
            return
        if kind == "named":
            self.check(value, self.types[declared.name], path)
            return
        if not isinstance(value, _PYTHON[kind]) or (isinstance(value, bool) and kind != "bool"):
            raise TypeMismatch(path)
        if kind in _CONTAINERS:
            for name, inner, item in self._children(value, declared, path):
                self.check(item, inner, name)

    def _children(self, value: Any, declared: Type, path: str) -> Iterator[tuple[str, Type, Any]]:
        prefix = f"{path}." if path else ""
        if declared.kind == "array" and declared.of:
            yield from ((f"{path}[{index}]", declared.of, item) for index, item in enumerate(value))
        elif declared.kind == "map" and declared.of:
            yield from ((f"{prefix}{key}", declared.of, item) for key, item in value.items())
        elif declared.kind == "struct":
            for key in value:
                if key not in declared.fields:
                    raise TypeMismatch(f"{prefix}{key}")
            yield from ((f"{prefix}{key}", inner, value.get(key)) for key, inner in declared.fields.items())


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if not found:
                line = text.count("\n", 0, position) + 1
                raise IdlError(f"line {line}: unexpected {text[position]!r}")
            if found.lastgroup != "space":
                self.tokens.append(found.group())
            position = found.end()
        self.position = 0

    def done(self) -> bool:
        return self.position == len(self.tokens)

    def take(self, expected: str | None = None) -> str:
        token = "" if self.done() else self.tokens[self.position]
        if not token or (expected is not None and token != expected):
            raise IdlError(f"expected {expected or 'a word'}, found {token or 'the end'}")
        self.position += 1
        return token

    def peek(self) -> str:
        return "" if self.done() else self.tokens[self.position]

    def type(self) -> Type:
        token = self.peek()
        if token == "?":
            self.take()
            return Type("maybe", of=self.type())
        if token == "[]":
            self.take()
            return Type("array", of=self.type())
        if token == "[string]":
            self.take()
            return Type("map", of=self.type())
        if token == "(":
            return self.struct()
        self.take()
        if token in ("bool", "int", "float", "string", "object"):
            return Type(token)
        return Type("named", name=token)

    def struct(self) -> Type:
        fields: dict[str, Type] = {}
        self.take("(")
        while self.peek() != ")":
            name = self.take()
            self.take(":")
            fields[name] = self.type()
            if self.peek() != ")":
                self.take(",")
        self.take(")")
        return Type("struct", fields=fields)


def parse(text: str) -> Interface:
    """Reads an interface file. Raises IdlError. Enums are not supported: strings document themselves here."""
    parser = _Parser(text)
    parser.take("interface")
    interface = Interface(parser.take(), text)
    while not parser.done():
        keyword, name = parser.take(), parser.take()
        if keyword == "type":
            interface.types[name] = parser.struct()
        elif keyword == "error":
            interface.errors[name] = parser.struct()
        elif keyword == "method":
            parameters = parser.struct()
            parser.take("->")
            interface.methods[name] = Method(parameters, parser.struct())
        else:
            raise IdlError(f"unexpected {keyword}")
    return interface


@cache
def load(name: str) -> Interface:
    """The interface that acmed/interfaces/NAME.varlink declares."""
    return parse(resources.files("acmed.interfaces").joinpath(f"{name}.varlink").read_text())
