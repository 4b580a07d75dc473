# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the key stores say about their units is what the units do."""

from acmed.config.keysource import Kind
from acmed.store import file
from tests.units.test_core_units import SERVICES, last, read, words


def test_each_kind_has_a_unit() -> None:
    stores = {name for name in SERVICES if name.startswith("acme-store-")}
    assert stores == {f"acme-store-{kind}.service" for kind in Kind}
    for kind in Kind:
        assert read(f"acme-store-{kind}.service")["ExecStart"] == [f"/usr/bin/python3 -I -m acmed.store {kind}"]


def test_a_key_where_the_unit_does_not_see_it_is_told_so() -> None:
    unit = read("acme-store-file.service")
    hidden = {path.lstrip("-") for path in words(unit, "InaccessiblePaths")}
    assert (last(unit, "ProtectHome"), last(unit, "PrivateTmp"), last(unit, "TemporaryFileSystem")) == (
        "yes",
        "yes",
        "/run:ro",
    )
    hidden = {path for path in hidden if not path.startswith("/dev/")}
    assert set(file._HIDDEN) == hidden | {"/dev", "/home", "/root", "/run", "/tmp", "/var/tmp"}
