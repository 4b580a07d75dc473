# SPDX-License-Identifier: LGPL-2.1-or-later
"""Globs: each "*" stays in its label."""

import pytest

from acmed.keyd.far.names import Glob
from acmed.names import Identifier, InvalidName


@pytest.mark.parametrize(
    ("glob", "allowed", "refused"),
    [
        ("www.example.com", ["www.example.com"], ["wwwxexample.com", "a.www.example.com", "*.example.com"]),
        ("WWW.example.com", ["www.example.com"], []),
        ("bücher.example", ["xn--bcher-kva.example"], []),
        ("*.example.com", ["a.example.com", "*.example.com"], ["example.com", "a.b.example.com", "*.b.example.com"]),
        ("**.example.com", ["a.example.com", "a.b.example.com", "*.b.example.com"], ["example.com", "a.example.org"]),
        ("www*.example.com", ["www.example.com", "www7.example.com"], ["www.a.example.com", "*.example.com"]),
        ("a.*.example.com", ["a.b.example.com"], ["a.example.com", "b.b.example.com", "a.b.c.example.com"]),
        ("**", ["example.com", "*.a.example"], []),
        ("*.com", ["example.com"], ["a.example.com"]),
    ],
)
def test_globs(glob: str, allowed: list[str], refused: list[str]) -> None:
    parsed = Glob.parse(glob)
    assert [name for name in allowed + refused if parsed.allows(Identifier("dns", name))] == allowed
    assert not parsed.allows(Identifier("ip", "192.0.2.1"))


def test_addresses() -> None:
    assert Glob.parse("2001:DB8::0:1").allows(Identifier("ip", "2001:db8::1"))
    assert not Glob.parse("192.0.2.1").allows(Identifier("dns", "192.0.2.1"))


@pytest.mark.parametrize(
    "glob", ["", "a.**.example", "**x.example", "*.bücher.example", "*..example", "*.[a]", "*.a\n"]
)
def test_what_is_no_glob(glob: str) -> None:
    with pytest.raises(InvalidName):
        Glob.parse(glob)
