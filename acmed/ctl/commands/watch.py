# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl watch"""

import asyncio
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from acmed.bus import Signal
from acmed.ctl import records, times
from acmed.ctl.client import ACCOUNT, CERTIFICATE, JOB, MANAGER, NAME, OBJECT_MANAGER, ROOT, Objects, plain
from acmed.ctl.exits import Exit
from acmed.ctl.following import progress
from acmed.ctl.following.listen import Listener
from acmed.ctl.output import Output, safe
from acmed.ctl.records import Job
from acmed.ctl.session import Session

_KINDS = {CERTIFICATE: "certificate", ACCOUNT: "account"}


async def watch(session: Session, _: Namespace) -> Exit:
    """Prints what happens until it is interrupted."""
    watcher = Watcher()
    listener = Listener(session.acmed.bus, NAME, lambda signal: _print(session.output, watcher.events(signal)))
    await listener.start(ROOT)
    _print(session.output, watcher.begin(await session.acmed.objects()))
    try:
        while True:
            await listener.wait()
    except asyncio.CancelledError:
        return Exit.DONE  # Ctrl-C is how it ends


@dataclass(frozen=True)
class Event:
    """Something that happened: as text, and as the JSON that acmectl(1) documents."""

    text: str
    json: dict[str, Any]


@dataclass
class Watcher:
    """Turns acmed's signals into events; it keeps what it must know of the objects for that."""

    jobs: dict[str, Job] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def begin(self, objects: Objects) -> Iterator[Event]:
        """Events for the jobs that run already."""
        self.names |= {certificate.path: certificate.name for certificate in objects.certificates}
        self.names |= {account.path: account.name for account in objects.accounts}
        for job in objects.jobs:
            if job.path not in self.jobs:
                self.jobs[job.path] = job
                yield _step(job)

    def events(self, signal: Signal) -> Iterator[Event]:
        """Events for one signal."""
        if signal.interface == MANAGER and signal.member == "JobNew":
            number, path, name = signal.body
            self.jobs[path] = replace(self.jobs.get(path, Job(path, number)), certificate=name)
            yield Event(f"job {number} {name}: started", {"event": "job-new", "job": number, "name": name})
        elif signal.interface == MANAGER and signal.member == "JobRemoved":
            number, path, name, result = signal.body
            self.jobs.pop(path, None)
            yield Event(
                f"job {number} {name}: {result}",
                {"event": "job-removed", "job": number, "name": name, "result": result},
            )
        elif signal.member == "PropertiesChanged":
            yield from self._changed(signal.path, signal.body[0], plain(signal.body[1]))
        elif signal.interface == OBJECT_MANAGER and signal.member == "InterfacesAdded":
            yield from self._added(*signal.body)
        elif signal.interface == OBJECT_MANAGER and signal.member == "InterfacesRemoved":
            yield from self._removed(*signal.body)

    def _changed(self, path: str, interface: str, values: dict[str, Any]) -> Iterator[Event]:
        if interface == JOB and path in self.jobs:
            before, self.jobs[path] = self.jobs[path], self.jobs[path].updated(values)
            if progress.step(before) != progress.step(self.jobs[path]):
                yield _step(self.jobs[path])
        elif interface in _KINDS and (words := describe(values)):
            kind, name = _KINDS[interface], self.names.get(path, path)
            yield Event(
                f"{kind} {name}: {', '.join(words)}",
                {"event": f"{kind}-changed", "name": name, "changed": sorted(values)},
            )

    def _added(self, path: str, interfaces: dict[str, Any]) -> Iterator[Event]:
        if JOB in interfaces:
            known, values = self.jobs.get(path), plain(interfaces[JOB])
            self.jobs[path] = known.updated(values) if known else Job.read(path, values)
        for interface in interfaces.keys() & _KINDS.keys():
            kind, name = _KINDS[interface], records.text(plain(interfaces[interface]), "Name") or path
            self.names[path] = name
            yield Event(f"{kind} {name}: added", {"event": f"{kind}-added", "name": name})

    def _removed(self, path: str, interfaces: list[str]) -> Iterator[Event]:
        for interface in set(interfaces) & _KINDS.keys():
            kind, name = _KINDS[interface], self.names.pop(path, path)
            yield Event(f"{kind} {name}: removed", {"event": f"{kind}-removed", "name": name})


def describe(values: dict[str, Any]) -> list[str]:
    """What is worth telling of a certificate's or an account's changed properties."""
    words = [word for word in (records.text(values, "State"), records.text(values, "URI")) if word]
    if not_after := records.number(values, "NotAfter"):
        words.append(f"valid until {times.local(not_after)}")
    if error := records.error(values, "LastError"):
        words.append(error.message)
    return words + [
        f"{service} has not got it yet" + (f": {message}" if message else "")
        for service, message in records.pairs(values, "Undelivered")
    ]


def _step(job: Job) -> Event:
    return Event(f"job {job.id} {progress.plain(job)}", {"event": "job-step", **job.json()})


def _print(output: Output, events: Iterator[Event]) -> None:
    for event in events:
        if output.json:
            output.document({"time": times.iso(int(time.time() * 1_000_000)), **event.json})
        else:
            output.line(f"{time.strftime('%H:%M:%S')} {safe(event.text)}")
