# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a CA has made, counted in its log."""

import contextlib
from collections.abc import Iterator

from tests.machine import Pebble


def orders(pebble: Pebble) -> int:
    """How many, for anybody."""
    return pebble.machine.journal(f"{pebble.name}.service").count("Added order ")


def certificates(pebble: Pebble) -> int:
    """How many, for anybody."""
    return pebble.machine.journal(f"{pebble.name}.service").count("Issued certificate ")


@contextlib.contextmanager
def once(pebble: Pebble) -> Iterator[None]:
    """What is ordered inside costs one order and one certificate, however often it is begun anew."""
    before = orders(pebble), certificates(pebble)
    yield
    assert (orders(pebble), certificates(pebble)) == (before[0] + 1, before[1] + 1)
