# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines with the package installed, for all tests of this folder; their journals are shown when a test fails."""

import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from types import FrameType

import pytest

from tests.machine import Machine, Pebble, package
from tests.system.acmectl import Acmectl
from tests.system.busctl import Caller
from tests.system.lease import Lease, pending_challenge
from tests.system.network import Stranger, stranger

JOURNAL_LINES = 150


def pytest_configure() -> None:
    """SIGTERM ends the run as Ctrl-C does, and not only the test that happens to run."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: FrameType | None) -> None:
    pytest.exit(f"ended by {signal.Signals(number).name}", 128 + number)


@pytest.fixture(scope="session")
def debs() -> list[Path]:
    """The packages of the working tree."""
    return package.build_deb()


@pytest.fixture(scope="session")
def machine(debs: list[Path]) -> Iterator[Machine]:
    """A Debian 13 with acmed."""
    yield from _installed("trixie", debs)


@pytest.fixture(scope="session")
def bookworm(debs: list[Path]) -> Iterator[Machine]:
    """A Debian 12 with acmed."""
    yield from _installed("bookworm", debs)


@pytest.fixture
def root(machine: Machine) -> Caller:
    return Caller(machine)


@pytest.fixture
def ctl(machine: Machine) -> Acmectl:
    return Acmectl(machine)


@pytest.fixture
def lease(machine: Machine) -> Iterator[Lease]:
    """One for port 80, which is not taken yet, and a token."""
    with pending_challenge(machine):
        yield Lease(machine)


@pytest.fixture
def ca(machine: Machine) -> Iterator[Stranger]:
    """A stranger's host, from which a CA would validate."""
    with stranger(machine) as ca:
        yield ca


@pytest.fixture(scope="session")
def pebble(machine: Machine) -> Iterator[Pebble]:
    """An ACME server in `machine`."""
    with Pebble(machine) as pebble:
        yield pebble


@pytest.fixture(scope="session")
def account(machine: Machine, pebble: Pebble) -> str:
    """The name of an account at `pebble`, which is the default account of `machine`."""
    add_account(machine, pebble)
    return "default"


def add_account(machine: Machine, pebble: Pebble) -> None:
    """What an administrator types first; again, after the CA was started anew."""
    options = ["--directory", pebble.directory, "--ca-file", pebble.ca_file, "--contact", "admin@example.com"]
    machine.run(["acmectl", "account", "add", *options, "--agree-tos"])


def _installed(release: str, debs: list[Path]) -> Iterator[Machine]:
    with Machine(release) as machine:
        package.install_at_rest(machine, debs)
        yield machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.system)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the end of the journal of each machine that a failed test used."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            if isinstance(value, Machine) and value.pid:
                report.sections.append((f"journal of {name}", value.journal(lines=JOURNAL_LINES)))
    return report
