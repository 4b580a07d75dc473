# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL at each step that an installation makes in the file system: all of a set is there, or nothing of it. The same
for putting it back, for archiving it, and for making the request.
"""

import os
import signal
import sys
from collections.abc import Callable

import pytest

from acmed.privd import files, verifier
from acmed.privd.installed import archive, install, restore, sets
from acmed.privd.requests import prepare, request
from tests.unit.privd.rig import NAME, Rig, issue

pytestmark = pytest.mark.slow

# Audit events (docs.python.org/3/library/audit_events.html) of what changes a file or a directory.
CHANGES = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.symlink", "os.chmod", "os.chown")
LEAST, MOST = 15, 200
FEWEST = 5


def killed(work: Callable[[], object], number: int) -> bool:
    """Does it in a process of its own, which is killed before its change of this number; whether it came to that."""
    child = os.fork()
    if not child:
        left = number

        def count(event: str, _: object) -> None:
            nonlocal left
            if event in CHANGES:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def published(rig: Rig) -> dict[str, bytes]:
    return rig.published() if (rig.places.certificates / NAME).exists() else {}


class Installation:
    """One that is killed before its change of each number, if it has so many; then another try."""

    def __init__(self, rig: Rig, renewal: bool) -> None:
        self.renewal = renewal
        if renewal:
            rig.order(job=1)
        self.before = published(rig)
        made = rig.request(job=2)
        self.text = issue(made["csr"])
        self.request = made["request"]
        material = request.read(rig.places, NAME)
        assert material
        self.material = material
        self.verified = rig.run(lambda _: verifier.verify(rig.places, NAME, material.request, self.text))

    def killed(self, rig: Rig, number: int) -> bool:
        configuration = rig.places.configuration()
        certificate = configuration.certificates[NAME]
        material, verified = self.material, self.verified
        was_killed = killed(lambda: install.install(rig.places, configuration, certificate, material, verified), number)
        found = published(rig)
        if found != self.before:
            assert (found["privkey.pem"], found["fullchain.pem"]) == (material.private_key, self.text.encode())
            assert found["fullchain.pem"] == found["cert.pem"] + found["chain.pem"]

        rig.install(self.request, self.text, job=2)
        found = published(rig)
        assert (found["privkey.pem"], found["fullchain.pem"]) == (material.private_key, self.text.encode())
        assert len(list(rig.places.certificates.iterdir())) == 2, "the link, and what it points to"
        assert len(list(rig.places.sets(NAME).iterdir())) == (2 if self.renewal else 1)
        return was_killed


class Restoration:
    """A file is put back."""

    def __init__(self, rig: Rig) -> None:
        rig.order()
        self.whole = published(rig)
        (rig.places.certificates / NAME / "chain.pem").unlink()
        self.damaged = published(rig)

    def killed(self, rig: Rig, number: int) -> bool:
        configuration = rig.places.configuration()
        certificate = configuration.certificates[NAME]
        was_killed = killed(lambda: restore.restore(rig.places, configuration, certificate), number)
        assert published(rig) in (self.damaged, self.whole)
        restore.restore(rig.places, configuration, certificate)
        assert published(rig) == self.whole
        rig.order(job=2)
        assert len(list(rig.places.certificates.iterdir())) == 2, "the link, and what it points to"
        return was_killed


class Archiving:
    """Of one of two sets with the same key, and so of both."""

    def __init__(self, rig: Rig) -> None:
        rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nreuse-key = true')
        rig.order(job=1)
        self.fingerprint = rig.order(job=2)["fingerprint"]
        self.before = published(rig)

    def killed(self, rig: Rig, number: int) -> bool:
        key = self.before["privkey.pem"]
        was_killed = killed(lambda: archive.archive(rig.places, NAME, self.fingerprint), number)
        archive.archive(rig.places, NAME, self.fingerprint)
        assert published(rig) == self.before
        assert sets.kept(rig.places, NAME) == []
        assert len(archive.kept(rig.places, NAME)) == 2
        assert not rig.places.pending(NAME).exists()
        assert len([path for path in rig.places.state.rglob("privkey.pem") if path.read_bytes() == key]) == 3
        rig.order(job=3)
        assert published(rig)["privkey.pem"] != key
        return was_killed


class Requesting:
    """Another request in the place of one that is pending."""

    def __init__(self, rig: Rig) -> None:
        self.before = rig.request(job=1)["csr"]

    def killed(self, rig: Rig, number: int) -> bool:
        certificate = rig.places.configuration().certificates[NAME]
        wish = prepare.Wish(2, "main", new_key=True)
        was_killed = killed(lambda: prepare.prepare(rig.places, certificate, wish, None), number)
        made = rig.request(job=2, new_key=True)
        assert made["csr"] != self.before
        assert [path.name for path in rig.places.pending(NAME).parent.iterdir()] == [NAME]
        rig.install(made["request"], issue(made["csr"]), job=2)
        return was_killed


Work = Installation | Restoration | Archiving | Requesting


def each_change(work: Work, rig: Rig, least: int) -> None:
    """Kills it before each of its changes, which are more than so many; each time in a copy of what rig has."""
    for number in range(MOST):
        copy = rig.copy(rig.directory.with_name(f"{rig.directory.name}-{number}"))
        was_killed = work.killed(copy, number)
        files.remove_tree(copy.directory)
        if not was_killed:
            assert number > least
            return
    raise AssertionError(f"more than {MOST} changes")


@pytest.mark.parametrize("renewal", [False, True], ids=["first", "renewal"])
def test_killed_at_each_change(rig: Rig, renewal: bool) -> None:
    each_change(Installation(rig, renewal), rig, LEAST)


@pytest.mark.parametrize("work", [Restoration, Archiving, Requesting])
def test_other_work_that_is_killed_at_each_change(rig: Rig, work: type[Restoration | Archiving | Requesting]) -> None:
    each_change(work(rig), rig, FEWEST)
