# SPDX-License-Identifier: LGPL-2.1-or-later
"""Object paths, and the interface file against what refers to it."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from acmed.bus.xml import load
from acmed.manager import authority
from acmed.manager.errors import _TRANSLATIONS, INTERFACES
from acmed.manager.objects import objectpaths
from acmed.varlink import load as load_varlink

_CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("name", "encoded"),
    [("www.example.com", "www_2eexample_2ecom"), ("7up", "_37up"), ("a7", "a7"), ("_.x", "_5f_2ex"), ("a-b", "a_2db")],
)
def test_object_paths_are_systemds(name: str, encoded: str) -> None:
    assert objectpaths.certificate(name) == f"/org/acmed1/certificate/{encoded}"


def test_each_action_is_in_the_policy_and_no_other() -> None:
    policy = ElementTree.parse(_CHECKOUT / "polkit" / "org.acmed1.policy")
    actions = {
        value
        for name, value in vars(authority).items()
        if name.isupper() and isinstance(value, str) and value.startswith("org.acmed1.")
    }
    assert {action.attrib["id"] for action in policy.iter("action")} == actions
    for action in policy.iter("action"):
        assert [note.text for note in action.iter("annotate")] == ["unix-user:acmed"]
        defaults = [action.findtext(f"defaults/allow_{who}") for who in ("any", "inactive", "active")]
        never = action.attrib["id"] in (authority.REVOKE, authority.MANAGE_ACCOUNTS)
        assert defaults == ["auth_admin", "auth_admin", "auth_admin" if never else "auth_admin_keep"]


def test_bus_policy_allows_each_interface_and_no_other() -> None:
    policy = ElementTree.parse(_CHECKOUT / "dbus" / "org.acmed1.conf")
    (default,) = [item for item in policy.iter("policy") if item.get("context") == "default"]
    allowed = {item.attrib["send_interface"] for item in default.iter("allow")}
    assert {name for name in allowed if name.startswith("org.acmed1.")} == set(load())
    members = {
        item.get("send_member") for item in default.iter("allow") if "Properties" in item.attrib["send_interface"]
    }
    assert members == {"Get", "GetAll"}


def test_each_error_of_the_other_daemons_has_a_translation() -> None:
    declared = {(name, kind) for name in INTERFACES for kind in load_varlink(name).errors}
    assert set(_TRANSLATIONS) == {kind for _, kind in declared} - {"Acme", "NextKeyRefused"}


def test_names_on_the_bus_are_well_formed() -> None:
    for interface in load().values():
        for member in (*interface.methods, *interface.signals, *interface.properties):
            assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", member)
