# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages and completions, held against what they describe."""

import re
import subprocess
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from acmed.bus.xml import load
from acmed.ctl.commandline import arguments
from acmed.ctl.commandline.parser import build
from acmed.ctl.exits import Exit

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted((CHECKOUT / "man").glob("*.[1-9]"))
POLICY = CHECKOUT / "polkit" / "org.acmed1.policy"
# Those that a person can type in a shell; COMMANDS of the page has them too.
FILES = ("man/acmectl.1", "completions/bash/acmectl", "completions/zsh/_acmectl")


def text(path: str) -> str:
    """A file, with roff's hyphens as they are read."""
    return (CHECKOUT / path).read_text().replace("\\-", "-")


def table_rows(page: str) -> list[list[str]]:
    """The rows of the first tbl(1) table of a page, without its heading; a T{ block is its words."""
    body = re.search(r"^\.TS\n(?:.*\n)*?.*\.\n((?:.*\n)*?)\.TE$", page, re.MULTILINE)
    assert body, "no table"
    joined = re.sub(
        r"T\{\n((?:.*\n)*?)T\}",
        lambda block: block[1].replace(".na\n", "").replace(".nh\n", "").replace("\n", " ").strip(),
        body[1],
    )
    return [line.split("\t") for line in joined.splitlines()[1:]]


def permissions() -> list[tuple[str, str, set[str]]]:
    """Method, action and details of each row of org.acmed1(5)."""
    rows = table_rows(text("man/org.acmed1.5"))
    return [
        (method.split(" ")[0], action, set(details.replace(",", " ").split()) - {"-"})
        for method, action, details in rows
    ]


def members() -> Iterator[tuple[str, str, str]]:
    """Interface, kind and name of each member of the XML file."""
    for name, interface in load().items():
        for method in interface.methods:
            yield name, "method", method
        for signal in interface.signals:
            yield name, "signal", signal
        for item in interface.properties:
            yield name, "property", item


def parsers(parser: ArgumentParser) -> Iterator[ArgumentParser]:
    """A parser and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_has_no_warning(page: Path) -> None:
    command = ["groff", "-t", "-man", "-ww", "-Tutf8", "-Kutf8", str(page)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""


def test_pages_are_there() -> None:
    assert {"acmectl.1", "org.acmed1.5"} <= {page.name for page in PAGES}


def section(page: str, interface: str) -> str:
    """The part of org.acmed1(5) about an interface."""
    titles = {"Manager": "THE MANAGER", "Certificate": "CERTIFICATES", "Account": "ACCOUNTS", "Job": "JOBS"}
    return page.partition(f"\n.SH {titles[interface.rpartition('.')[2]]}\n")[2].partition("\n.SH ")[0]


@pytest.mark.parametrize(("interface", "kind", "name"), list(members()), ids=":".join)
def test_member_is_documented(interface: str, kind: str, name: str) -> None:
    about = section(text("man/org.acmed1.5"), interface)
    declared = load()[interface]
    match kind:
        case "method":
            found = re.search(
                rf"^\\fB{name}\\fR\((.*?)\)(?: \\\(-> \((.*)\))?$", about.replace("\\(->", "\\(->"), re.MULTILINE
            )
            assert found, f"{name} has no paragraph"
            assert signature(found[1]) == declared.methods[name].signature
            assert signature(found[2] or "") == declared.methods[name].answer
        case "signal":
            found = re.search(rf"^\\fB{name}\\fR\((.*)\)$", about, re.MULTILINE)
            assert found, f"{name} has no paragraph"
            assert signature(found[1]) == declared.signals[name]
        case _:
            found = re.search(rf"\\fB{name}\\fR \((\(?[a-z]\S*)\)[,\n]", about)
            assert found, f"{name} has no paragraph"
            assert found[1] == declared.properties[name].signature


def signature(arguments: str) -> str:
    """The types alone of arguments as the page has them."""
    return "".join(argument.split(" ")[0] for argument in arguments.split(", ") if argument)


def test_nothing_else_is_documented() -> None:
    page = text("man/org.acmed1.5")
    for interface in load().values():
        declared = {*interface.methods, *interface.signals, *interface.properties}
        assert set(re.findall(r"^\\fB([A-Z]\w+)\\fR", section(page, interface.name), re.MULTILINE)) <= declared


def test_each_method_has_its_row() -> None:
    rows = {method for method, _, _ in permissions()}
    assert rows == {f"{interface.rpartition('.')[2]}.{name}" for interface, kind, name in members() if kind == "method"}


def test_actions_are_those_of_the_policy() -> None:
    actions = {action.attrib["id"] for action in ElementTree.parse(POLICY).iter("action")}
    assert {action for _, action, _ in permissions()} - {"-"} == actions


def test_details_are_known() -> None:
    known = {"certificate", "identifiers", "account", "directory", "key-type", "services", "profile", "reason", "force"}
    assert set().union(*(details for _, _, details in permissions())) == known


def test_reads_have_no_details() -> None:
    assert all(not details for _, action, details in permissions() if action == "-")


@pytest.mark.parametrize("path", FILES)
def test_each_option_is_there(path: str) -> None:
    options = {option for parser in parsers(build()) for action in parser._actions for option in action.option_strings}
    assert "--directory" in options
    there = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", re.sub(r"\\f[BIR]", "", text(path))))
    assert options - there == set()


@pytest.mark.parametrize("path", FILES)
def test_each_command_is_there(path: str) -> None:
    commands = {parser.prog.split()[-1] for parser in parsers(build())} - {"acmectl"}
    assert {"order", "add", "check"} <= commands
    assert commands - set(re.findall(r"[a-z]+", text(path))) == set()


@pytest.mark.parametrize("path", FILES)
def test_each_word_of_a_choice_is_there(path: str) -> None:
    for word in (
        *arguments.ACCOUNT_KEY_TYPES,
        *arguments.DIRECTORIES,
        *arguments.REASONS,
        *arguments.CHALLENGES,
        *arguments.EAB_ALGORITHMS,
    ):
        assert word in text(path)


def test_each_exit_code_is_documented() -> None:
    rows = table_rows(text("man/acmectl.1").replace(".TS\nlb lx.\n", ".TS\nlb lx.\nCode\tMeaning\n"))
    assert {int(row[0]) for row in rows} == set(Exit)


def test_each_error_is_documented() -> None:
    """Each name of org.acmed1's errors that stands in the code is in the page."""
    names = {
        name
        for path in (CHECKOUT / "acmed").rglob("*.py")
        for name in re.findall(r"(?:_OWN \+ \"|org\.acmed1\.Error\.)([A-Z]\w+)", path.read_text())
    }
    assert "NotDue" in names
    assert names - set(re.findall(r"org\.acmed1\.Error\.(\w+)", text("man/org.acmed1.5"))) == set()
