# SPDX-License-Identifier: LGPL-2.1-or-later
"""The package's files held against the units, and its exceptions against their reasons."""

import re
import subprocess
from fnmatch import fnmatch

import pytest

from tests.units.test_core_units import UNITS, read

DEBIAN = UNITS.parent / "debian"
SCRIPTS = ("config", "postinst", "prerm", "postrm")


def test_every_override_has_a_reason() -> None:
    lines = (DEBIAN / "acmed.lintian-overrides").read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        assert line.startswith("#") or above.startswith("# "), f"{line}: why?"


@pytest.mark.parametrize("name", SCRIPTS)
def test_maintainer_scripts(name: str) -> None:
    path = DEBIAN / name
    text = path.read_text()
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -e\n" in text
    assert name == "config" or "\n#DEBHELPER#\n" in text
    subprocess.run(["sh", "-n", path], check=True)


def test_units_are_enabled_and_stopped_by_their_names() -> None:
    rules, prerm = (DEBIAN / "rules").read_text(), (DEBIAN / "prerm").read_text()
    units = {path.name for path in UNITS.iterdir()}
    enabled = {name for name in units if name.endswith((".socket", ".timer")) and read(name)["WantedBy"]}
    assert set(re.findall(r"acme\S+\.(?:socket|timer)", rules)) == enabled
    stopped = set(re.findall(r"acme[\w@*.-]*\.(?:service|socket)", prerm))
    assert all(any(fnmatch(unit.replace("@.", "@80."), name) for unit in units) for name in stopped)
    services = {name.replace("@.", "@*.") for name in units if name.endswith(".service")}
    # It ends by itself, in no time.
    assert {name for name in stopped if name.endswith(".service")} == services - {"acme-credential-key.service"}
