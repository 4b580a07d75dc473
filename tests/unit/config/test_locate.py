# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys are found on their lines, whatever TOML allows around them."""

import random
import tomllib
from typing import Any

from acmed.config.locate import Key, locate

TEXT = '''\
# [not.a.table]
first = 1
"quoted key" = "# no comment" # comment [x]
text = """
[inside]
second = 2
"""
literal = \'\'\'
a = "b"\'\'\'
dotted.inner . key = true

[table]
list = [
  "one",   # "two",
  ["nested", 3],
  { a = 1, b = "]" },

  \'four\']
after = { x = [1, 2], y = "}" }
[ "odd.name" . sub ]
key = 2024-01-01T10:00:00Z
[[many]]
name = 1
[[many]]
name = "\\"[escaped]\\""
tail = """quoted ""\\""" """
end = 1'''

LINES: dict[Key, int] = {
    ("first",): 2,
    ("quoted key",): 3,
    ("text",): 4,
    ("literal",): 8,
    ("dotted",): 10,
    ("dotted", "inner"): 10,
    ("dotted", "inner", "key"): 10,
    ("table",): 12,
    ("table", "list"): 13,
    ("table", "list", 0): 14,
    ("table", "list", 1): 15,
    ("table", "list", 2): 16,
    ("table", "list", 3): 18,
    ("table", "after"): 19,
    ("odd.name",): 20,
    ("odd.name", "sub"): 20,
    ("odd.name", "sub", "key"): 21,
    ("many",): 22,
    ("many", "name"): 23,
    ("many", "tail"): 26,
    ("many", "end"): 27,
}


def test_lines() -> None:
    tomllib.loads(TEXT)
    assert locate(TEXT) == LINES


def test_all_keys_of_random_texts_are_found() -> None:
    generator = random.Random(8555)
    for _ in range(300):
        text, lines = _random_text(generator)
        tomllib.loads(text)
        assert locate(text) | lines == locate(text), text


def test_what_is_not_toml_does_no_harm() -> None:
    generator = random.Random(8738)
    for _ in range(2000):
        locate("".join(generator.choice("[]{}=\"'.,#\n\\ ab\u2028") for _ in range(generator.randrange(60))))


def _random_text(generator: random.Random) -> tuple[str, dict[Key, int]]:
    """A text, and where its tables and keys are."""
    lines: list[str] = []
    found: dict[Key, int] = {}
    for number in range(generator.randrange(4)):
        lines += generator.choice(([], ["", "# [comment]"]))
        table = (f"t{number}",)
        lines.append(f"[{table[0]}] # x = 1")
        found[table] = len(lines)
        for key in range(generator.randrange(4)):
            value = _random_value(generator, 0)
            found[(*table, f"k {key}")] = len(lines) + 1
            lines += f'"k {key}" = {value}'.split("\n")
    return "\n".join(lines), found


def _random_value(generator: random.Random, depth: int) -> Any:
    plain = ["1", "true", '"[x]"', "'#'", '"""\n[a]\nb = 1\n"""', "'''\n\"'''", '"\\"]"', "[]", "{}"]
    if depth > 2 or generator.random() < 0.6:
        return generator.choice(plain)
    inner = [_random_value(generator, depth + 1) for _ in range(generator.randrange(4))]
    return "[\n" + ", # ]\n".join(inner) + "\n]"
