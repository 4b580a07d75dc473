# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts whose key is on another host: at an acme-keyd, or an unmodified lacme-accountd, that ssh starts there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.farhost import KEYD, KNOWN_HOSTS, PORT, Hosts, User, hosts, policy
from tests.system.timer import run_timer

ALL = 'operations = ["order", "newAccount"]'


@pytest.fixture(scope="module")
def both(debs: list[Path]) -> Iterator[Hosts]:
    with hosts(debs) as both:
        yield both


@pytest.fixture(scope="module")
def signer(both: Hosts) -> User:
    """Has an acme-keyd for three hosts, which are three accounts here; each has an ssh key, and a policy."""
    user = both.far.user("signer")
    user.make_key("ec")
    small = 'operations = ["order"]\nsignatures = 3'
    user.write(
        user.config,
        KEYD
        + policy("*.www.example.com", more=ALL, head="[client.www]")
        + policy("mail.example.com", more=ALL, head="[client.mail]")
        + policy("small.example.com", more=small, head="[client.small]"),
    )
    for client in ("www", "mail", "small"):
        identity = both.far.identity(client)
        user.authorize(identity, f"acme-keyd --stdio --client {client}")
        both.configure(client, f'key = "ssh:signer@127.0.0.1:{PORT}"')
        both.seal(client, identity)
        if client != "small":
            both.register(client)
    both.configure("small", f'key = "ssh:signer@127.0.0.1:{PORT}"', f'uri = "{account_uri(both, "www")}"')
    return user


def account_uri(both: Hosts, account: str) -> str:
    uri: str = both.ctl.json("account", "show", account)["uri"]
    return uri


def test_an_order_and_its_renewal_by_the_timer(both: Hosts, signer: User) -> None:
    name = "a.www.example.com"
    both.order("www", name)
    first = both.installed(name).serial
    both.make_due("www", name)
    run_timer(both.machine)
    both.machine.wait_until("its renewal", lambda: both.installed(name).serial != first)
    assert signer.signed("finalize") >= 2
    assert {str(entry["peer_uid"]) for entry in signer.log()} == {signer.run("id -u").strip()}


def test_each_host_has_its_own_names(both: Hosts, signer: User) -> None:
    both.order("mail", "mail.example.com")
    refused = both.ctl.error("order", "mail.example.com", "--name", "stolen", "--account", "www", code=1)
    assert "KeyUnavailable" in refused
    rule = "Refused to sign newOrder for account default: mail.example.com is none of the names"
    assert rule in refused
    assert rule in both.ctl.text("account", "log", "www")
    assert "b.www.example.com is none of the names" in both.ctl.error(
        "order", "b.www.example.com", "--account", "mail", code=1
    )


def test_no_host_has_the_account(both: Hosts, signer: User) -> None:
    assert (
        "account update needs update"
        in both.ctl.run("account", "update", "www", "--contact", "evil@example.net", code=1).stderr
    )
    assert "account deactivation needs deactivate" in both.ctl.run("account", "deactivate", "small", code=1).stderr
    assert "is the administrator's" in both.ctl.run("account", "rollover", "www", code=1).stderr
    assert "account update needs update" in both.ctl.text("account", "log", "www")
    assert "account deactivation needs deactivate" in both.ctl.text("account", "log", "small")


def test_an_hour_has_so_many_signatures(both: Hosts, signer: User) -> None:
    said = both.ctl.error("order", "small.example.com", "--account", "small", code=1)
    assert "there were 3 signatures in the last hour" in said
    assert "there were 3 signatures in the last hour" in both.ctl.text("account", "log", "small")


def test_another_host_is_not_believed(both: Hosts, signer: User) -> None:
    """What fails is done when the right one is there again, with the order that there is."""
    name, known = "c.www.example.com", both.machine.read(KNOWN_HOSTS)
    both.machine.run(["systemctl", "stop", "acme-store-ssh.service"])
    both.machine.write(KNOWN_HOSTS, "")
    said = both.ctl.error("order", name, "--account", "www", code=1)
    assert "KeyUnavailable" in said
    assert f"is not in {KNOWN_HOSTS}: put it there" in said
    other = both.machine.read(f"{both.far.identity('other')}.pub")
    both.machine.write(KNOWN_HOSTS, f"[127.0.0.1]:{PORT} {other}")
    assert f"is not the one in {KNOWN_HOSTS}" in both.ctl.error("renew", name, code=1)
    both.machine.write(KNOWN_HOSTS, known)
    both.ctl.run("renew", name)
    both.installed(name).check(name)


def test_nobody_lets_it_in(both: Hosts, signer: User) -> None:
    name = "d.www.example.com"
    both.machine.run(["systemctl", "stop", "acme-store-ssh.service"])
    keys = signer.run("cat ~/.ssh/authorized_keys; rm ~/.ssh/authorized_keys")
    assert "does not take our key" in both.ctl.error("order", name, "--account", "www", code=1)
    both.far.stop()
    assert "Connection refused" in both.ctl.error("renew", name, code=1)
    both.far.start()
    signer.write(f"{signer.home}/.ssh/authorized_keys", keys)
    both.ctl.run("renew", name)


@pytest.mark.parametrize("hidden", [False, True], ids=["shown", "hidden"])
def test_lacme_accountd(both: Hosts, hidden: bool) -> None:
    """Its user may do what he likes, so key-command is what is started; RSA is all that it can."""
    account = "hidden" if hidden else "shown"
    user, name = both.far.user(account), f"{account}.example.org"
    user.make_key("rsa")
    identity = both.far.identity(account)
    user.authorize(identity)
    both.seal(account, identity)
    config = f"{user.home}/accountd.conf"
    lines = [
        f'key = "ssh:{account}@127.0.0.1:{PORT}"',
        f'key-command = ["lacme-accountd", "--stdio", "--config={config}"]',
    ]
    user.write(config, f"privkey = file:{user.home}/account.key\n")
    both.configure(account, *lines)
    uri = both.register(account)
    if hidden:
        user.write(config, f"privkey = file:{user.home}/account.key\nkeyid = {uri}\n")
        both.machine.run(["systemctl", "stop", "acme-store-ssh.service"])
    both.order(account, name)
