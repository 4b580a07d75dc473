# SPDX-License-Identifier: LGPL-2.1-or-later
"""The order in which things are measured: in each round every client in turn, so that none gets all the quiet time."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.measure import Bench, Rest, Run, RunFailed
from bench.peers import Peer
from bench.report import MANY, Results
from tests.machine import Machine

ATTEMPTS = 10
MEMORY_ROUNDS = 3
OFTEN = 0.01  # seconds between two looks at the memory
SOMETIMES = 0.1  # the same, in a run whose time is measured

Step = Callable[[Results, str], Run | Rest | None]
"""Measures something, adds it to the results and answers with it; the text is part of a name that is used once."""


class Rounds:
    """Measures the clients, and fills in their results."""

    def __init__(self, machine: Machine, clients: Sequence[Results]) -> None:
        self._machine = machine
        self._clients = clients
        self._bench = Bench(machine)
        self._issued: dict[str, list[str]] = {results.peer.name: [] for results in clients}

    def one(self, rounds: int) -> None:
        """One certificate; then a run with nothing due: there are as many certificates as there were rounds."""
        self._each("one", rounds, self._one)
        self._each("nothing-due", rounds, self._nothing_due)
        self._each("memory", MEMORY_ROUNDS, self._memory)
        self._each("rest", 1, self._rest)

    def many(self, rounds: int) -> None:
        """Many certificates in one go."""
        self._each("many", rounds, self._many, attempts=1)

    def _each(self, what: str, rounds: int, step: Step, attempts: int = ATTEMPTS) -> None:
        for number in range(rounds):
            for results in self._clients:
                with self._web_server(results.peer):
                    measured = self._try(results, step, f"{what}-{number}", attempts)
                print(
                    f"{what} {number + 1}/{rounds}, {results.peer.name}: {measured or 'as one'}",
                    file=sys.stderr,
                    flush=True,
                )

    def _try(self, results: Results, step: Step, tag: str, attempts: int) -> Run | Rest | None:
        """Do a step, again if need be: some clients fail at random."""
        for attempt in range(1, attempts):
            try:
                return step(results, f"{tag}-{attempt}")
            except RunFailed as error:
                results.failed += 1
                print(f"{results.peer.name} failed: {error}", file=sys.stderr, flush=True)
        return step(results, f"{tag}-{attempts}")

    @contextmanager
    def _web_server(self, peer: Peer) -> Iterator[None]:
        """nginx, for a client that needs it."""
        if peer.webroot:
            self._machine.run(["systemctl", "start", "nginx.service"])
        yield
        if peer.webroot:
            self._machine.run(["systemctl", "stop", "nginx.service"])

    def _one(self, results: Results, tag: str) -> Run:
        run = self._order(results.peer, tag)
        results.one.append(run)
        return run

    def _memory(self, results: Results, tag: str) -> Run:
        run = self._order(results.peer, tag, look_every=OFTEN)
        results.memory.append(run)
        return run

    def _rest(self, results: Results, tag: str) -> Rest:
        rest = self._bench.rest(results.peer.order, [f"{tag}.{results.peer.name}.bench.example"])
        results.rest.append(rest)
        return rest

    def _nothing_due(self, results: Results, _: str) -> Run:
        run = self._bench.run(results.peer, results.peer.nothing_due, self._issued[results.peer.name])
        results.nothing_due.append(run)
        return run

    def _many(self, results: Results, tag: str) -> Run | None:
        peer = results.peer
        results.many_count = min(peer.most, MANY)
        if peer.most == 1:
            results.many = results.one
            return None
        names = [f"{tag}-{number}.{peer.name}.bench.example" for number in range(results.many_count)]
        run = self._bench.run(peer, peer.order_many or peer.order, names, look_every=SOMETIMES)
        self._bench.check(peer, names)
        results.many.append(run)
        return run

    def _order(self, peer: Peer, tag: str, look_every: float = 0) -> Run:
        name = f"{tag}.{peer.name}.bench.example"
        run = self._bench.run(peer, peer.order, [name], look_every)
        self._bench.check(peer, [name])
        self._issued[peer.name].append(name)
        return run
