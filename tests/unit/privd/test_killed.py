# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGKILL at each step that an installation makes in the file system: all of a set is there, or nothing of it."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from acmed.privd import files, install, request
from tests.unit.privd.rig import NAME, Rig, issue

# Audit events (docs.python.org/3/library/audit_events.html) of what changes a file or a directory.
CHANGES = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.symlink", "os.chmod", "os.chown")
LEAST, MOST = 15, 200


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


def install_and_kill(directory: Path, number: int, renewal: bool) -> bool:
    """One installation that is killed before its change of this number, if it has so many; then another try."""
    rig = Rig(directory)
    if renewal:
        rig.order(job=1)
    before = published(rig)
    made = rig.request(job=2)
    text = issue(made["csr"])
    material = request.read(rig.places, NAME)
    assert material
    verified = rig.run(lambda _: install.verify(rig.places, NAME, material.request, text))
    configuration = rig.places.configuration()
    certificate = configuration.certificates[NAME]

    was_killed = killed(lambda: install.install(rig.places, configuration, certificate, material, verified), number)
    found = published(rig)
    if found != before:
        assert (found["privkey.pem"], found["fullchain.pem"]) == (material.private_key, text.encode())
        assert found["fullchain.pem"] == found["cert.pem"] + found["chain.pem"]

    rig.install(made["request"], text, job=2)
    found = published(rig)
    assert (found["privkey.pem"], found["fullchain.pem"]) == (material.private_key, text.encode())
    assert len(list(rig.places.certificates.iterdir())) == 2, "the link, and what it points to"
    assert len(list(rig.places.sets(NAME).iterdir())) == (2 if renewal else 1)
    return was_killed


def published(rig: Rig) -> dict[str, bytes]:
    return rig.published() if (rig.places.certificates / NAME).exists() else {}


@pytest.mark.parametrize("renewal", [False, True], ids=["first", "renewal"])
def test_killed_at_each_change(tmp_path: Path, renewal: bool) -> None:
    for number in range(MOST):
        directory = tmp_path / str(number)
        directory.mkdir()
        if not install_and_kill(directory, number, renewal):
            assert number > LEAST
            return
        files.remove_tree(directory)
    raise AssertionError(f"more than {MOST} changes")
