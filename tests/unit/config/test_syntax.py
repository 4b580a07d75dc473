# SPDX-License-Identifier: LGPL-2.1-or-later
"""Texts that are no TOML: what is said does not take a Python programmer."""

from pathlib import Path

import pytest

from tests.unit.config.place import Place

TWICE = '[http01]\nmode = "webroot"\n\n[http01]\nwebroot = "/srv"\n'


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (TWICE, 4, "[http01] is there twice", "put all of it below the one in line 1"),
        ("[account.x]\n[account]\nx.y = 1\n", 3, "[account.x] is there twice", "put all of it below the one in line 1"),
        ('[zone."a.example"]\n[zone."a.example"]\n', 2, '[zone."a.example"] is there twice', "the one in line 1"),
        ('firewall = "off"\nfirewall = "auto"\n', 2, "'firewall' is there twice", "keep one of them"),
        ("x = 1\nx = [\n1\n]\n", 4, "a key is there twice", "keep one of them"),
        ("account = default\n", 1, "'default' is no value", 'text needs quotes: "default"'),
        ("names = [www.example.com]\n", 1, "'www.example.com' is no value", 'text needs quotes: "www.example.com"'),
        ("mode = 0640 # of the key\n", 1, "'0640' is no value", 'text needs quotes: "0640"'),
        ("x = 192.0.2.1\n", 1, "'192.0.2.1' is no value", 'text needs quotes: "192.0.2.1"'),
        ("x = C:\\new\n", 1, "'C:\\\\new' is no value", "text needs quotes"),
        ("reuse-key = True\n", 1, "'True' is no value", "write true or false, or text between quotes"),
        ("x = “off”\n", 1, "'“off”' has quotation marks that TOML does not know", "use straight ones"),
        ("account =\n", 1, "a value is missing", 'such as "text"'),
        ('x = "a" y = "b"\n', 1, "there is more in the line than a key and its value", "each key has a line"),
        ('x = "a\n', 1, "a text does not end in its line", "the quote at its end is missing"),
        ('x = ["a"\n', 1, "a list does not end", "the ']' at its end is missing"),
        ('x = { a = "b"\n', 1, "a table in a line does not end", "the '}' at its end is missing"),
        ('x = """a\n', 1, "a text does not end", "the quotes at its end are missing"),
        ("x = 'a\n", 1, "a text does not end", "the quote at its end is missing"),
        ("[http01\n", 1, "the name of a table does not end", "write it as [name]"),
        ('firewall: "off"\n', 1, "there is no '=' behind a key", 'write it as key = "text"'),
        ('= "off"\n', 1, "neither a key nor a table", "or as [table]"),
        ('x = "\\d"\n', 1, "a '\\' in a text", "write it twice"),
        ('x = "\x01"\n', 1, "Illegal character '\\x01'", ""),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, line: int, message: str, hint: str) -> None:
    [(path, where, said, to_do)] = Place(tmp_path, text).problems()
    assert (path, where, said) == ("acmed.toml", line, f"not valid TOML: {message}")
    assert to_do.startswith(hint) or (hint and to_do.endswith(hint))
    assert bool(to_do) is bool(hint)
