# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl's command line."""

import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acmed.config.model import DIRECTORIES, AccountKeyType, ChallengeType, KeyType
from acmed.ctl.commandline import arguments
from acmed.ctl.commandline.parser import parse
from acmed.names import Identifier

GENERAL = {"json": False, "no_ask_password": False, "verbose": False, "quiet": False, "color": "auto"}
WWW = Identifier("dns", "www.example.com")
ORDER: dict[str, Any] = {
    "names": [],
    "name": None,
    "csr": None,
    "account": None,
    "failover": None,
    "key_type": None,
    "service": None,
    "challenge": None,
    "profile": None,
    "must_staple": False,
    "common_name": None,
    "preferred_chain": None,
    "validity": None,
    "backdate": None,
}
REVOKE: dict[str, Any] = {
    "certificate": None,
    "file": None,
    "account": None,
    "reason": 0,
    "no_replace": False,
    "certificate_key": False,
}
RENEW: dict[str, Any] = {
    "certificates": [],
    "due": False,
    "all": False,
    "force": False,
    "new_key": False,
    "min_days": None,
}
ADD = {
    "account": "default",
    "contact": None,
    "agree_tos": True,
    "ca_file": None,
    "key_type": None,
    "eab_key_id": None,
    "eab_hmac_file": None,
    "eab_algorithm": "HS256",
}
IMPORT = {"name": "default", "directory": None, "contact": None, "agree_tos": False, "ca_file": None}
LE = DIRECTORIES["letsencrypt"]


@pytest.mark.parametrize(
    ("line", "command", "values"),
    [
        ("list", "list", {}),
        ("--json list -q", "list", {"json": True, "quiet": True}),
        ("-v list --color never", "list", {"verbose": True, "color": "never"}),
        ("--color=always account --json list", "account-list", {"color": "always", "json": True}),
        ("account show", "account-show", {"account": None}),
        ("account show a", "account-show", {"account": "a"}),
        ("account add --directory letsencrypt --agree-tos", "account-add", {**ADD, "directory": LE}),
        ("account add --agree-tos", "account-add", ADD | {"directory": None}),
        (
            "account add b --directory https://ca.example:14000/dir --contact a@example.com "
            "--contact mailto:b@example.com --agree-tos --ca-file ca.pem --key-type rsa-2048",
            "account-add",
            {
                **ADD,
                "account": "b",
                "directory": "https://ca.example:14000/dir",
                "contact": ["mailto:a@example.com", "mailto:b@example.com"],
                "agree_tos": True,
                "ca_file": Path("ca.pem"),
                "key_type": "rsa-2048",
            },
        ),
        (
            "account add --directory letsencrypt --eab-key-id k --eab-hmac-file - --eab-algorithm HS512",
            "account-add",
            {
                **ADD,
                "directory": LE,
                "agree_tos": False,
                "eab_key_id": "k",
                "eab_hmac_file": Path("-"),
                "eab_algorithm": "HS512",
            },
        ),
        (
            "account import /etc/letsencrypt/accounts/a",
            "account-import",
            IMPORT | {"path": Path("/etc/letsencrypt/accounts/a")},
        ),
        (
            "account import --name b --directory letsencrypt --contact a@example.com --agree-tos --ca-file c.pem x.pem",
            "account-import",
            {
                "path": Path("x.pem"),
                "name": "b",
                "directory": LE,
                "contact": ["mailto:a@example.com"],
                "agree_tos": True,
                "ca_file": Path("c.pem"),
            },
        ),
        ("account log", "account-log", {"account": None, "since": None, "lines": 100}),
        (
            "account log a --since 2026-02-19T08:00:00+00:00 --lines 5",
            "account-log",
            {"account": "a", "since": 1771488000.0, "lines": 5},
        ),
        (
            "account update a --contact b@example.com",
            "account-update",
            {"account": "a", "contact": ["mailto:b@example.com"], "no_contact": False},
        ),
        (
            "account update --no-contact",
            "account-update",
            {"account": None, "contact": None, "no_contact": True},
        ),
        ("account rollover a --key-type rsa-2048", "account-rollover", {"account": "a", "key_type": "rsa-2048"}),
        ("account deactivate a", "account-deactivate", {"account": "a"}),
        (
            "order --name www --csr request.pem --failover b --failover c",
            "order",
            {**ORDER, "name": "www", "csr": Path("request.pem"), "failover": ["b", "c"]},
        ),
        (
            "order www.example.com --challenge dns-01 --profile shortlived --must-staple --common-name www.example.com"
            " --preferred-chain abc --validity 30 --backdate 12",
            "order",
            {
                **ORDER,
                "names": [WWW],
                "challenge": "dns-01",
                "profile": "shortlived",
                "must_staple": True,
                "common_name": "www.example.com",
                "preferred_chain": "abc",
                "validity": 30,
                "backdate": 12,
            },
        ),
        ("authorize www.example.com --account a", "authorize", {"names": [WWW], "account": "a"}),
        ("check www", "check", {"certificate": "www"}),
        ("dns show www --nsupdate", "dns-show", {"certificate": "www", "nsupdate": True}),
        ("restore www", "restore", {"certificate": "www"}),
        ("order www.example.com", "order", {**ORDER, "names": [WWW]}),
        ("order --name www", "order", {**ORDER, "name": "www"}),
        (
            "order WWW.Example.com. 192.0.2.1 --account a --key-type ecdsa-p384 --service nginx --service postfix",
            "order",
            {
                **ORDER,
                "names": [WWW, Identifier("ip", "192.0.2.1")],
                "account": "a",
                "key_type": "ecdsa-p384",
                "service": ["nginx", "postfix"],
            },
        ),
        ("status", "status", {"certificate": None}),
        ("status www", "status", {"certificate": "www"}),
        ("renew --due --no-ask-password", "renew", {**RENEW, "due": True, "no_ask_password": True}),
        ("renew --all --force", "renew", {**RENEW, "all": True, "force": True}),
        ("renew a b --new-key", "renew", {**RENEW, "certificates": ["a", "b"], "new_key": True}),
        ("renew --due --min-days 21", "renew", {**RENEW, "due": True, "min_days": 21}),
        ("renew a --min-days 0 --new-key", "renew", {**RENEW, "certificates": ["a"], "new_key": True, "min_days": 0}),
        ("revoke a", "revoke", {**REVOKE, "certificate": "a"}),
        ("revoke a --reason KEYcompromise", "revoke", {**REVOKE, "certificate": "a", "reason": 1}),
        ("revoke a --reason 5", "revoke", {**REVOKE, "certificate": "a", "reason": 5}),
        (
            "revoke a --no-replace --certificate-key",
            "revoke",
            {**REVOKE, "certificate": "a", "no_replace": True, "certificate_key": True},
        ),
        ("revoke --file a.pem --account b", "revoke", {**REVOKE, "file": Path("a.pem"), "account": "b"}),
        ("revoke --file a.pem --no-replace", "revoke", {**REVOKE, "file": Path("a.pem"), "no_replace": True}),
        ("forget a", "forget", {"certificate": "a"}),
        ("jobs", "jobs", {}),
        ("watch", "watch", {}),
        ("cancel 7", "cancel", {"job": 7}),
        ("config check", "config-check", {}),
        ("import lacme", "import-lacme", {"config": Path("/etc/lacme/lacme.conf"), "dry_run": False}),
        ("import lacme --config x.conf -n", "import-lacme", {"config": Path("x.conf"), "dry_run": True}),
    ],
)
def test_accepted(line: str, command: str, values: dict[str, Any]) -> None:
    given = vars(parse(line.split()))
    del given["parser"]
    assert given == GENERAL | {"command": command} | values


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "COMMAND"),
        ("account", "COMMAND"),
        ("nonsense", "invalid choice: 'nonsense'"),
        ("--nonsense list", "--nonsense"),
        ("--js list", "--js"),
        ("order", "give the NAMEs to order, or --name CERT"),
        ("order not_a_name", "'not_a_name' is not a DNS name"),
        ("order a.example.com --name A/B", "'A/B' is not a valid name"),
        ("order a.example.com --key-type dsa", "ecdsa-p384"),
        ("renew", "give certificates, or --due, or --all"),
        ("renew a --all", "give certificates, or --due, or --all"),
        ("renew --due --force", "not with --due"),
        ("renew a --force --min-days 21", "give one of them"),
        ("renew a --min-days=-1", "--force renews at any time"),
        ("renew a --min-days 36501", "is not a number of days from 1 to 36500"),
        ("renew a --min-days soon", "is not a number of days"),
        ("revoke", "CERT"),
        ("revoke a --reason 2", "keyCompromise (1)"),
        ("cancel x", "'x' is not the number of a job"),
        ("cancel 0", "'0' is not the number of a job"),
        ("account add --directory letsencrypt --eab-key-id k", "--eab-hmac-file go together"),
        ("account import", "PATH"),
        ("account log --since yesterday", "'yesterday' is neither a date and time"),
        ("account log --since 99999999999d", "is neither"),
        ("account log --lines 0", "from 1 to"),
        ("account update a", "give --contact, or --no-contact"),
        ("account update a --contact a@example.com --no-contact", "give --contact, or --no-contact"),
        ("order --csr a.pem", "--csr needs --name"),
        ("order a.example.com --name a --csr a.pem", "no NAMEs"),
        ("order --name a --csr a.pem --must-staple", "what the request of --csr says"),
        ("order a.example.com --challenge http", "http-01"),
        ("order a.example.com --validity 0", "from 1 to"),
        ("order a.example.com --backdate 0", "from 1 to 48"),
        ("order a.example.com --backdate 49", "from 1 to 48"),
        ("order a.example.com --backdate=-1", "from 1 to 48"),
        ("revoke a --file b.pem", "give a CERT, or --file"),
        ("revoke a --account b", "--account goes with --file"),
        ("revoke --file a.pem --certificate-key", "goes with a CERT"),
        ("authorize", "NAME"),
        ("dns", "COMMAND"),
        ("account add --directory http://ca.example/ --agree-tos", "neither an https URL nor one of letsencrypt"),
        ("account add --directory letsencrypt --agree-tos --contact nobody", "'nobody' is not a mail address"),
        ("list --color sometimes", "always"),
    ],
)
def test_refused(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(line.split())
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("take", "text"),
    [
        (arguments.name, "\udcff"),
        (arguments.identifier, "\udcff.example.com"),
        (arguments.contact, "a@\udcff"),
        (arguments.contact, "a@b,c@d"),
        (arguments.contact, "a@b\n"),
        (arguments.directory, "\udcff"),
        (arguments.job, "٣"),
        (arguments.job, "9" * 5000),
    ],
)
def test_odd_arguments(take: Callable[[str], object], text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        take(text)


def test_words_are_those_of_the_configuration() -> None:
    assert tuple(KeyType) == arguments.KEY_TYPES
    assert tuple(AccountKeyType) == arguments.ACCOUNT_KEY_TYPES
    assert tuple(DIRECTORIES) == arguments.DIRECTORIES
    assert tuple(ChallengeType) == arguments.CHALLENGES


def test_name_of_an_order() -> None:
    assert arguments.order_name(None, [Identifier("dns", "*.example.com"), WWW]) == "_.example.com"
    assert arguments.order_name("given", [WWW]) == "given"


def test_help_loads_no_bus() -> None:
    """The libraries that take long to load are not needed for a line of help."""
    program = "import sys; from acmed.ctl import main; print(sorted({'asyncio', 'dbus_next'} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
