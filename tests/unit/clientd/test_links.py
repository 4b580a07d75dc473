# SPDX-License-Identifier: LGPL-2.1-or-later
import time

import pytest

from acmed.clientd.ca.links import links
from acmed.clientd.ca.transport import Answer


def alternates(header: str | None) -> list[str]:
    headers = {} if header is None else {"link": header}
    return links(Answer("https://ca.example/cert/1", 200, headers, b""), "alternate")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, []),
        ("", []),
        ("<https://ca.example/2>;rel=alternate", ["https://ca.example/2"]),
        ('<https://ca.example/2>;rel="alternate"', ["https://ca.example/2"]),
        ('<https://ca.example/2> ; title="a, b" ; rel = "index ALTERNATE"', ["https://ca.example/2"]),
        ("</cert/1/1>;rel=alternate, </cert/1/2>; rel=alternate", ["https://ca.example/cert/1/1", "https://ca.example/cert/1/2"]),
        ("<2>;rel=alternate,<2>;rel=alternate", ["https://ca.example/cert/2"]),
        ('<https://ca.example/dir>;rel="index", <https://ca.example/2>;rel="alternate"', ["https://ca.example/2"]),
        ('<https://ca.example/2>;rel="alternates"', []),
        ('<https://ca.example/2>;relation="alternate"', []),
        ('<https://ca.example/2>;rel="up";x="rel=alternate"', []),
        ("<https://[/>;rel=alternate, <2>;rel=alternate", ["https://ca.example/cert/2"]),
        ("https://ca.example/2;rel=alternate", []),
    ],
)  # fmt: skip
def test_the_header_field(header: str | None, expected: list[str]) -> None:
    assert alternates(header) == expected


@pytest.mark.parametrize("header", ["<" * 60_000, "<>;" + " " * 60_000, "<a>;rel=" * 8_000, "<a>" + ";rel " * 12_000])
def test_a_long_one_costs_little(header: str) -> None:
    """Each of these is within what HTTP allows; a pattern that goes back and forth would take minutes."""
    begun = time.process_time()
    alternates(header)
    assert time.process_time() - begun < 5
