# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was measured, as Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.measure import Rest, Run
from bench.peers import ACMED, Peer

MANY = 50


@dataclass
class Results:
    """All that was measured of one client."""

    peer: Peer
    version: str
    one: list[Run] = field(default_factory=list)
    memory: list[Run] = field(default_factory=list)
    nothing_due: list[Run] = field(default_factory=list)
    rest: list[Rest] = field(default_factory=list)
    many: list[Run] = field(default_factory=list)
    many_count: int = 0
    """How many certificates each run of `many` ordered."""
    failed: int = 0
    """Runs that failed; each was tried again."""


@dataclass(frozen=True)
class Column:
    """A column with numbers. With `ratio`, another one says how many times acmed's number it is."""

    title: str
    number: Callable[[Results], float]
    show: Callable[[float], str]
    ratio: bool = True


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def mebibytes(value: float) -> str:
    return f"{value / 2**20:.1f} MiB"


def whole(value: float) -> str:
    return f"{value:.0f}"


def middle(runs: Sequence[Run], number: Callable[[Run], float]) -> float:
    """The median."""
    return median(map(number, runs))


def for_many(results: Results, number: Callable[[Run], float]) -> float:
    """The median, and for `MANY` certificates where fewer were ordered."""
    return middle(results.many, number) * MANY / results.many_count


def memory_for_many(results: Results) -> Sequence[Run]:
    """The runs in which the memory was looked at."""
    return results.many if results.many_count > 1 else results.memory


def counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


ONE = (
    Column("wall", lambda results: middle(results.one, lambda run: run.wall), seconds),
    Column("CPU", lambda results: middle(results.one, lambda run: run.cpu), seconds),
    Column("CPU, whole machine", lambda results: middle(results.one, lambda run: run.machine_cpu), seconds),
    Column("peak memory", lambda results: middle(results.memory, lambda run: run.memory), mebibytes),
    Column("signed requests", lambda results: middle(results.one, lambda run: run.posts), whole, ratio=False),
    Column("others", lambda results: middle(results.one, lambda run: run.gets), whole, ratio=False),
    Column("fastest", lambda results: min(run.wall for run in results.one), seconds, ratio=False),
    Column("slowest", lambda results: max(run.wall for run in results.one), seconds, ratio=False),
    Column("failed runs, all of them", lambda results: results.failed, whole, ratio=False),
)
NOTHING_DUE = (
    Column("wall", lambda results: middle(results.nothing_due, lambda run: run.wall), seconds),
    Column("CPU", lambda results: middle(results.nothing_due, lambda run: run.cpu), seconds),
    Column("CPU, whole machine", lambda results: middle(results.nothing_due, lambda run: run.machine_cpu), seconds),
    Column("requests", lambda results: middle(results.nothing_due, lambda run: run.requests), whole, ratio=False),
)
REST = (
    Column("running right after", lambda results: results.rest[-1].at_once, mebibytes, ratio=False),
    Column("gone after", lambda results: results.rest[-1].lasts, seconds, ratio=False),
    Column("resident when idle", lambda results: results.rest[-1].stays, mebibytes, ratio=False),
)
IN_ONE_GO = (
    Column("ordered", lambda results: results.many_count, whole, ratio=False),
    Column(f"wall for {MANY}", lambda results: for_many(results, lambda run: run.wall), seconds),
    Column(f"CPU for {MANY}", lambda results: for_many(results, lambda run: run.cpu), seconds),
    Column(f"CPU for {MANY}, whole machine", lambda results: for_many(results, lambda run: run.machine_cpu), seconds),
    Column("peak memory", lambda results: middle(memory_for_many(results), lambda run: run.memory), mebibytes),
)


def report(clients: Sequence[Results], machine: str, rounds: int, many_rounds: int) -> str:
    """The whole document. `machine` is a list of what it was measured on."""
    return f"""\
# acmed beside other ACME clients

Measured by `make bench`, in one machine and one run, the clients in turn in each round. In brackets: how many times
acmed's number. Numbers are medians of the rounds, where they do not say otherwise.

{machine}
- CA: Pebble in the same machine; it validates without its random sleep (PEBBLE_VA_NOSLEEP=1), asks for a pause of 1 s
  by Retry-After, rejects no nonce and reuses no authorization. Challenge http-01, on port 80; keys P-256.
- CPU: user and system time of all processes of the client. Whole machine: what systemd, the journal, D-Bus and the web
  server used besides, but not the CA.
- Peak memory: of all processes of the client together (PSS), looked at every 10 ms in runs that count for nothing else,
  for {MANY} certificates every 100 ms.

## One certificate, with an account that exists ({counted(rounds, "round")})

{table(clients, ONE)}

## A run with nothing due, {counted(rounds, "certificate")} ({counted(rounds, "round")})

{table(clients, NOTHING_DUE)}

## What stays running after a certificate was ordered

{table(clients, REST)}

## {MANY} certificates in one go ({counted(many_rounds, "round")})

{in_one_go(clients) if many_rounds else "Not measured."}

## How each client was used

{used(clients)}
"""


def in_one_go(clients: Sequence[Results]) -> str:
    """The table, and before it which numbers were not measured with all the certificates."""
    fewer = ", ".join(
        f"{results.peer.name} with {results.many_count}" for results in clients if results.many_count < MANY
    )
    note = f"Run with fewer, and the times multiplied: {fewer}." if fewer else f"All were run with {MANY}."
    return f"{note}\n\n{table(clients, IN_ONE_GO)}"


def table(clients: Sequence[Results], columns: Sequence[Column]) -> str:
    """A row for each client."""
    base = next((results for results in clients if results.peer is ACMED), None)
    rows = [["client", *(column.title for column in columns)], ["---", *("---:" for _ in columns)]]
    rows += [[results.peer.name, *(cell(column, results, base) for column in columns)] for results in clients]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(column: Column, results: Results, base: Results | None) -> str:
    """A number, and how many times acmed's it is."""
    number = column.number(results)
    if not column.ratio or base is None or results is base or not column.number(base):
        return column.show(number)
    return f"{column.show(number)} ({number / column.number(base):.2g}x)"


def used(clients: Sequence[Results]) -> str:
    """A line for each client."""
    return "\n".join(f"- {results.peer.name} {results.version}: {results.peer.how}" for results in clients)
