# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of notify."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from acmed.config.model import Action
from acmed.ctl.importing.report import Fate
from tests.unit.ctl.importing.lacme import Lacme, fates


@pytest.fixture
def lacme() -> Iterator[Lacme]:
    """Where all may read lacme's files."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Lacme(Path(directory))


@pytest.mark.parametrize(
    ("command", "units", "action"),
    [
        ("/bin/systemctl reload nginx", ["nginx.service"], Action.RELOAD),
        ("systemctl --quiet restart postfix@-.service", ["postfix@-.service"], Action.RESTART),
        ("systemctl try-reload-or-restart a b.socket", ["a.service", "b.socket"], Action.RELOAD),
        (
            "systemctl reload nginx && systemctl reload-or-restart 'dovecot' ;",
            ["nginx.service", "dovecot.service"],
            "r",
        ),
        ("/usr/sbin/service apache2 force-reload", ["apache2.service"], Action.RELOAD),
        ("systemctl try-restart php8.2-fpm", ["php8.2-fpm.service"], Action.RESTART),
    ],
)
def test_units(lacme: Lacme, command: str, units: list[str], action: str) -> None:
    lacme.certificates(f"notify = {command}")
    assert fates(lacme.plan())["notify"][0] is Fate.KEPT
    configuration = lacme.run()
    assert configuration.certificates["www"].services == ("lacme-www",)
    service = configuration.services["lacme-www"]
    assert (service.units, service.action[0], service.hook) == (tuple(units), action[0], None)
    assert not (lacme.etc / "hooks.d").exists()


@pytest.mark.parametrize(
    "command",
    [
        "systemctl reload nginx || true",
        "systemctl reload nginx && systemctl restart postfix",
        "systemctl reload nginx >/dev/null",
        "systemctl start nginx",
        "systemctl reload $UNIT",
        "systemctl reload 'ngin*'",
        "systemctl reload",
        "systemctl reload nginx --now",
        "X=1 systemctl reload nginx",
        "systemctl 'reload nginx",
        "service nginx reload extra",
        'cat /etc/x/y.pem >/etc/z && /usr/local/sbin/tell "it\'s done"',
        "&& systemctl reload nginx",
        "systemctl reload nginx &",
    ],
)
def test_hook(lacme: Lacme, command: str) -> None:
    lacme.certificates(f"notify = {command}")
    plan = lacme.plan()
    assert fates(plan)["notify"][0] is Fate.CHANGED
    assert not [task for task in plan.report.tasks if "CREDENTIALS" in task]
    assert any(f"which was: {command}" in task for task in plan.report.tasks)
    assert not [problem for problem in plan.problems if "hooks.d" in problem.message]
    service = lacme.run().services["lacme-www"]
    assert (service.units, service.hook) == ((), "lacme-www")
    path = lacme.etc / "hooks.d/lacme-www"
    assert path.stat().st_mode & 0o777 == 0o755
    assert path.read_text().splitlines()[::2] == ["#!/bin/sh", command]


@pytest.mark.parametrize(("closed", "mode"), [("lacme-certs.conf", 0o600), ("lacme-certs.conf", 0o640), (".", 0o750)])
def test_a_hook_that_may_have_a_secret(lacme: Lacme, closed: str, mode: int) -> None:
    """What not all could read in lacme's file, they cannot read in the hook; until it has been looked at, it fails."""
    lacme.certificates("notify = curl -H 'Authorization: Bearer s3cret' https://example.com/")
    (lacme.directory / "lacme" / closed).chmod(mode)
    path = lacme.etc / "hooks.d/lacme-www"
    plan = lacme.plan()
    tasks = [task for task in plan.report.tasks if "$CREDENTIALS_DIRECTORY/hook" in task]
    assert len(tasks) == 1
    assert f"so {path} has the mode 0700" in tasks[0]
    assert "--name=hook FILE /etc/credstore.encrypted/acmed.hooks/lacme-www" in tasks[0]
    if os.geteuid() == 0:
        assert [one.message for one in plan.problems if "hooks.d" in one.message] == [f"{path} is not executable"]
    lacme.run()
    assert path.stat().st_mode & 0o777 == 0o700


def test_none(lacme: Lacme) -> None:
    lacme.certificates("notify =")
    assert lacme.run().services == {}
