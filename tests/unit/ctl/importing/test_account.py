# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of [client] and [accountd]: which CA, and where the key is."""

import grp
import pwd
from pathlib import Path

import pytest

from acmed.config import Account
from acmed.ctl.importing import ssh
from acmed.ctl.importing.report import Fate
from acmed.ctl.importing.tiny import BadSource
from tests.unit.ctl.importing.lacme import Lacme, fates

LE = "https://acme-v02.api.letsencrypt.org/directory"


@pytest.fixture
def lacme(tmp_path: Path) -> Lacme:
    return Lacme(tmp_path)


def account(lacme: Lacme, text: str | None = None) -> Account:
    if text is not None:
        lacme.write("lacme.conf", text)
    return lacme.run().accounts["lacme"]


def test_file(lacme: Lacme) -> None:
    found = account(lacme)
    assert str(found.key) == f"file:{lacme.directory}/lacme/account.key"
    assert (found.directory, found.key_command, found.uri) == (LE, (), None)


def test_the_accounts_file_is_one_that_acmed_writes_to(lacme: Lacme) -> None:
    """account add adds the account's URL to it, and wants nothing else in it."""
    lacme.run()
    text = (lacme.etc / "acmed.toml.d/account-lacme.toml").read_text()
    assert text.startswith("# From ")
    assert [line for line in text.splitlines() if line.startswith("[")] == ["[account.lacme]"]
    assert 'directory = "letsencrypt"' in text


@pytest.mark.parametrize(
    ("server", "directory"),
    [
        ("https://acme-staging-v02.api.letsencrypt.org/directory", "letsencrypt-staging"),
        ("https://ca.example:14000/dir", "https://ca.example:14000/dir"),
    ],
)
def test_server(lacme: Lacme, server: str, directory: str) -> None:
    lacme.main(f"[client]\nserver = {server}")
    assert account(lacme).directory == server
    assert f'directory = "{directory}"' in (lacme.etc / "acmed.toml.d/account-lacme.toml").read_text()


def test_plain_http(lacme: Lacme) -> None:
    lacme.main("[client]\nserver = http://ca.example/dir")
    assert "acmed speaks https alone" in lacme.plan().report.errors[0]


def test_what_has_no_equivalent(lacme: Lacme) -> None:
    keys = ("user", "group", "command", "timeout", "SSL_version", "SSL_cipher_list", "socket")
    lacme.main("[client]\nSSL_verify = No\n" + "".join(f"{key} = x\n" for key in keys))
    found = fates(lacme.plan())
    assert all(found[key][0] is Fate.DROPPED for key in (*keys, "SSL_verify"))


def test_default_accountd_configuration(lacme: Lacme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """%E of the user that lacme-accountd runs as."""
    here = pwd.struct_passwd(("jane", "x", 4242, 4242, "", str(tmp_path / "home"), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: here)
    monkeypatch.setattr(grp, "getgrnam", lambda name: grp.struct_group((name, "x", 77, [])))
    (tmp_path / "home/.config/lacme").mkdir(parents=True)
    config = tmp_path / "home/.config/lacme/lacme-accountd.conf"
    config.write_text("privkey = file:%h/%u-%U-%g-%G-%%.key\nkeyid = https://acme-v02.api.letsencrypt.org/acct/1\n")
    found = account(lacme, "[accountd]\nuser = jane\ngroup = keys\n")
    assert found.key
    assert found.key.place == f"{tmp_path}/home/jane-4242-keys-77-%.key"
    assert found.uri == "https://acme-v02.api.letsencrypt.org/acct/1"
    config.write_text("privkey = file:%t/x\n")
    with pytest.raises(BadSource, match=r"lacme-accountd\.conf:1: privkey has '%t' in it"):
        lacme.plan()


@pytest.mark.parametrize(
    ("accountd", "place"),
    [
        ("privkey = file:/etc/a.key", "/etc/a.key"),
        ("command = lacme-accountd --privkey=file:/etc/b.key -q", "/etc/b.key"),
        ("command = lacme-accountd --privkey file:%E/c.key", "/etc/c.key"),
        ("command = lacme-accountd --privkey file:/x\nprivkey = file:/etc/d.key", "/etc/d.key"),
        ("privkey = file:etc/relative.key", "/etc/relative.key"),
    ],
)
def test_privkey(lacme: Lacme, accountd: str, place: str) -> None:
    lacme.main(accountd=accountd)
    key = account(lacme).key
    assert key
    assert key.place == place


@pytest.mark.parametrize(
    ("gpg", "command"),
    [
        ("", ("gpg", "--quiet")),
        ("gpg = gpg --quiet", ("gpg", "--quiet")),
        ("gpg = gpg2 --batch --no-tty", ("gpg2", "--batch", "--no-tty")),
    ],
)
def test_gpg(lacme: Lacme, gpg: str, command: tuple[str, ...]) -> None:
    lacme.write("accountd.conf", f"privkey = gpg:/etc/acme/key.gpg\n{gpg}\n")
    found = account(lacme)
    assert (str(found.key), found.key_command) == ("gpg:/etc/acme/key.gpg", command)
    assert ("key-command" in (lacme.etc / "acmed.toml.d/account-lacme.toml").read_text()) == ("gpg2" in gpg)


def test_socket(lacme: Lacme) -> None:
    assert str(account(lacme, "[client]\n").key) == "unix:/run/S.lacme"


def test_named_socket(lacme: Lacme) -> None:
    assert str(account(lacme, "[client]\nsocket = %t/lacme/100%%.sock\n").key) == "unix:/run/lacme/100%.sock"


def test_ssh(lacme: Lacme) -> None:
    lacme.main("", "command = ssh -T -i /root/.ssh/lacme -p 2222 acme@signer.example lacme-accountd")
    found = account(lacme)
    assert str(found.key) == "ssh:acme@signer.example:2222"
    config = f"--config={lacme.directory}/lacme/accountd.conf"
    assert found.key_command == ("lacme-accountd", "--stdio", config, "--quiet")
    note = next(note for note in lacme_notes(lacme) if "/root/.ssh/lacme" in note)
    assert "ssh-keygen -F '[signer.example]:2222'" in note


def lacme_notes(lacme: Lacme) -> list[str]:
    return lacme.plan().report.notes


def test_ssh_with_options_that_are_left_out(lacme: Lacme) -> None:
    lacme.write("lacme.conf", "[accountd]\nquiet = no\ncommand = ssh -F /x -o ProxyJump=j signer lacme-accountd\n")
    fate, text = fates(lacme.plan())["command"]
    assert fate is Fate.CHANGED
    assert "-F /x -o ProxyJump=j" in text
    assert account(lacme).key_command == ("lacme-accountd", "--stdio")


@pytest.mark.parametrize(
    ("accountd", "message"),
    [
        ("command = sudo -u a lacme-accountd", "is neither lacme-accountd nor ssh"),
        ("command =", "is neither lacme-accountd nor ssh"),
        ("command = ssh", "names no host"),
        ("command = ssh -p", "option -p without a value"),
        ("command = ssh -p 99999 x y", "it must be ssh:"),
    ],
)
def test_command_that_nobody_understands(lacme: Lacme, accountd: str, message: str) -> None:
    lacme.main(accountd=accountd)
    (error,) = lacme.plan().report.errors
    assert message in error
    assert "lacme.conf:4: [accountd] command" in error


@pytest.mark.parametrize(
    ("accountd", "config", "message"),
    [
        ("", "", r"accountd\.conf has no 'privkey'"),
        ("", "privkey = pkcs11:x", "takes file:PATH and gpg:PATH"),
        ("", "privkey = file:", "takes file:PATH and gpg:PATH"),
        ("", "[x]\n", r"lacme-accountd has no section \[x\]"),
        ("", "privky = file:/x", r"accountd\.conf:1: lacme has no setting privky"),
        ("user = no-such-user", "privkey = file:/x", "there is no user 'no-such-user'"),
        ("user = daemon\ngroup = no-such-group", "privkey = file:/x", "there is no group 'no-such-group'"),
        ("command = lacme-accountd --nonsense", "privkey = file:/x", "has no option '--nonsense'"),
        ("config = /nonexistent", "privkey = file:/x", "/nonexistent: No such file"),
        ("", "privkey = file:/%x", "'%x' in it"),
    ],
)
def test_what_lacme_accountd_would_not_start_with(lacme: Lacme, accountd: str, config: str, message: str) -> None:
    lacme.main(accountd=accountd)
    lacme.write("accountd.conf", config)
    with pytest.raises(BadSource, match=message):
        lacme.plan()


@pytest.mark.parametrize(
    ("words", "place", "command"),
    [
        ("host x", "host", ["x"]),
        ("-T user@host -- x --y", "user@host", ["x", "--y"]),
        ("-l a b@host x", "a@host", ["x"]),
        ("b@host -l a x", "b@host", ["x"]),
        ("-oUser=a -o Port=22 host", "a@host:22", []),
        ("-Tp2222 host x -p 1", "host:2222", ["x", "-p", "1"]),
        ("ssh://a@host:99 x", "a@host:99", ["x"]),
        ("a@2001:db8::1 x", "a@[2001:db8::1]", ["x"]),
    ],
)
def test_words_of_ssh(words: str, place: str, command: list[str]) -> None:
    call = ssh.understand(words.split())
    assert (call.place, call.command) == (place, command)
