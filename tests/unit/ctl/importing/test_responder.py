# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of [webserver]."""

from pathlib import Path

import pytest

from acmed.config.model import Http01Mode
from acmed.ctl.importing.report import Fate
from tests.unit.ctl.importing.lacme import Lacme, fates


@pytest.fixture
def lacme(tmp_path: Path) -> Lacme:
    return Lacme(tmp_path)


@pytest.mark.parametrize(
    ("listen", "mode"),
    [
        (None, Http01Mode.PROXIED),
        ("/run/lacme-www.socket", Http01Mode.PROXIED),
        ("127.0.0.1:8080", Http01Mode.PROXIED),
        ("[::1]:8080, /run/x", Http01Mode.PROXIED),
        ("0.0.0.0:80 [::]:80", Http01Mode.STANDALONE),
        ("192.0.2.1", Http01Mode.STANDALONE),
        ("/run/x,[2001:db8::1]", Http01Mode.STANDALONE),
    ],
)
def test_listen(lacme: Lacme, listen: str | None, mode: Http01Mode) -> None:
    lacme.main(f"[webserver]\nlisten = {listen}\n" if listen else "")
    tasks = lacme.plan().report.tasks
    assert any("/run/acmed/http01.sock" in task for task in tasks) == (mode is Http01Mode.PROXIED)
    assert lacme.run().http01.mode is mode


def test_listening_nowhere(lacme: Lacme) -> None:
    lacme.main("[webserver]\nlisten =\n")
    assert fates(lacme.plan())["listen"][0] is Fate.DROPPED
    assert not (lacme.run().http01.webroot)


@pytest.mark.parametrize(("word", "firewall"), [("Yes", True), ("yes", True), ("No", False), ("x", False)])
def test_iptables(lacme: Lacme, word: str, firewall: bool) -> None:
    lacme.main(f"[webserver]\nlisten = [::]:80\niptables = {word}\n")
    assert fates(lacme.plan())["iptables"][0] is Fate.KEPT
    assert lacme.run().firewall is firewall


def test_firewall_that_nobody_said_anything_about(lacme: Lacme) -> None:
    lacme.main("[webserver]\nlisten = [::]:80\n")
    assert any('firewall = "off"' in note for note in lacme.plan().report.notes)
    assert lacme.run().firewall


def test_challenge_directory(lacme: Lacme) -> None:
    lacme.main("[webserver]\nchallenge-directory = /var/www/acme-challenge/\nlisten = [::]:80\niptables = Yes\n")
    plan = lacme.plan()
    found = fates(plan)
    assert (found["challenge-directory"][0], found["listen"][0], found["iptables"][0]) == (
        Fate.CHANGED,
        Fate.DROPPED,
        Fate.DROPPED,
    )
    assert any("alias /var/www/acme-challenge/.well-known/acme-challenge/;" in task for task in plan.report.tasks)
    http01 = lacme.run().http01
    assert (http01.mode, http01.webroot) == (Http01Mode.WEBROOT, "/var/www/acme-challenge")


def test_challenge_directory_below_a_document_root(lacme: Lacme) -> None:
    lacme.main("[webserver]\nchallenge-directory = %C/100%%/.well-known/acme-challenge\n")
    assert fates(lacme.plan())["challenge-directory"][0] is Fate.KEPT
    assert lacme.run().http01.webroot == "/var/cache/100%"


@pytest.mark.parametrize(
    ("value", "message"), [("www", "is relative"), ("%x", "no specifier"), ("/srv/{x}", "in braces")]
)
def test_bad_challenge_directory(lacme: Lacme, value: str, message: str) -> None:
    lacme.main(f"[webserver]\nchallenge-directory = {value}\n")
    assert any(message in error for error in lacme.plan().report.errors)


def test_what_has_no_equivalent(lacme: Lacme) -> None:
    lacme.main("[webserver]\nuser = a\ngroup = b\ncommand = c\nchallenge-directory =\niptables = Yes\n")
    found = fates(lacme.plan())
    for key in ("user", "group", "command", "challenge-directory", "iptables"):
        assert found[key][0] is Fate.DROPPED
