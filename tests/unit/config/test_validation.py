# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `acmectl config check` finds on the host about how names are validated: directories, zones, keys, programs."""

import os
from pathlib import Path

import pytest

from acmed.config import Problem
from acmed.config.check import check
from tests.unit.config.place import STAGING, Place

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="files must belong to root")
UPDATE = '[zone."example.com"]\nkey = "ns1"\n'
DOCUMENT_ROOT = "it is the web server's document root"

Found = tuple[str, int, str, str, bool]


class Host:
    """A configuration with its hooks and sealed keys: those of the account, and the TSIG key ns1, are there."""

    def __init__(self, root: Path, main: str, **certificates: str) -> None:
        self.place = Place(root, main + STAGING, "")
        self.sealed, self.hooks = root / "sealed", root / "hooks.d"
        self.hooks.mkdir(mode=0o755)
        for name in ("acmed.accounts/staging", "acmed.dns/ns1"):
            (self.sealed / name).parent.mkdir(parents=True)
            (self.sealed / name).write_text("c2VhbGVk")
        for name, text in certificates.items():
            self.place.write(f"certificates.d/{name}.toml", text)

    def found(self) -> list[Found]:
        loaded = self.place.load()
        assert loaded.problems == ()
        return list(map(_line, check(loaded, self.sealed, self.hooks)))

    def hook(self, name: str, mode: int = 0o755) -> Path:
        path = self.hooks / name
        path.write_text("#!/bin/sh\n")
        path.chmod(mode)
        return path


def _line(problem: Problem) -> Found:
    return problem.path.name, problem.line, problem.message, problem.hint, problem.note


def test_webroot(tmp_path: Path) -> None:
    webroot = tmp_path / "www"
    host = Host(tmp_path, f'[http01]\nmode = "webroot"\nwebroot = "{webroot}"\n')
    assert host.found() == [("acmed.toml", 3, f"the directory {webroot} is not there", DOCUMENT_ROOT, False)]
    webroot.write_text("")
    assert host.found() == [("acmed.toml", 3, f"{webroot} is not a directory", "", False)]
    webroot.unlink()
    webroot.mkdir()
    assert host.found() == []


def test_webroot_without_its_mode_is_a_note(tmp_path: Path) -> None:
    host = Host(tmp_path, '[http01]\nwebroot = "/var/www"\n')
    message = "'webroot' has no effect: the mode of [http01] is 'standalone'"
    assert host.found() == [("acmed.toml", 2, message, "", True)]


def test_webroot_with_fields(tmp_path: Path) -> None:
    """Of what http-01 may be used for, each directory is looked for."""
    main = f'[http01]\nmode = "webroot"\nwebroot = "{tmp_path}/{{zone}}/{{host}}"\n[http01.webroots]\n'
    main += f'"own.example.net" = "{tmp_path}"\n{UPDATE}'
    names = '"www.example.net", "there.example.net", "own.example.net", "in.example.com", "*.a.example.com"'
    host = Host(
        tmp_path,
        main,
        automatic=f"names = [{names}]",
        single='names = ["other.example.com"]\n[challenges]\n"other.example.com" = "http-01"',
        alpn='names = ["alpn.example.net"]\nchallenge = "tls-alpn-01"',
    )
    (tmp_path / "example.net/there").mkdir(parents=True)
    assert host.found() == [
        (
            "acmed.toml",
            3,
            f"the directory {tmp_path}/{path} is not there",
            f"it is the document root of {name}",
            False,
        )
        for path, name in (
            ("example.net/www", "www.example.net"),
            ("example.com/other", "other.example.com"),
        )
    ]


def test_webroots(tmp_path: Path) -> None:
    main = f'[http01.webroots]\n"a.example" = "{tmp_path}/a"\n"b.example" = "{tmp_path}"\n'
    host = Host(tmp_path, main, www='names = ["a.example"]')
    hint = "it is the document root of a.example"
    assert host.found() == [
        ("acmed.toml", 1, f"the directory {tmp_path}/a is not there", hint, False),
        ("acmed.toml", 1, "'webroots' has b.example, which no certificate is for", "", True),
    ]


def test_zone_of_files(tmp_path: Path) -> None:
    directory = tmp_path / "challenges"
    main = f'[zone.lan]\nmethod = "local"\ndirectory = "{directory}"\nreload = ["/bin/true"]\n'
    host = Host(tmp_path, main)
    missing = f"the directory {directory} is not there"
    assert host.found() == [("acmed.toml", 3, missing, f"mkdir -p {directory}", False)]
    directory.mkdir()
    assert host.found() == []


def test_what_is_in_a_home(tmp_path: Path) -> None:
    main = '[http01]\nmode = "webroot"\nwebroot = "/home/www"\n'
    host = Host(tmp_path, main, www='names = ["www.example.com"]\nkey-file = "/root/www.key"')
    unit = "which acme-privd.service does not see"
    directory, key = "use a directory such as /srv/NAME", "keep it in a directory such as /etc/ssl/private"
    assert host.found() == [
        ("acmed.toml", 3, f"/home/www is in /home, {unit}", directory, False),
        ("www.toml", 2, f"the key /root/www.key is in /root, {unit}", key, False),
    ]


def test_zone_without_a_key_is_a_note(tmp_path: Path) -> None:
    host = Host(tmp_path, '[zone."example.com"]\n')
    message = "[zone.\"example.com\"] has no 'key': its server must allow updates by this host's address"
    hint = "an address can be forged; make a key with tsig-keygen(8) where you can"
    assert host.found() == [("acmed.toml", 1, message, hint, True)]


def test_key_of_a_zone(tmp_path: Path) -> None:
    host = Host(tmp_path, UPDATE)
    assert host.found() == []
    path = host.sealed / "acmed.dns/ns1"
    command = f"systemd-creds encrypt --name=tsig_ns1 --tpm2-pcrs=23 KEY.conf {path}"
    hint = f"seal the file with the key, as tsig-keygen(8) writes it:\n{command}"
    path.write_text("")
    expected = ("acmed.toml", 2, f"zone example.com has no key 'ns1': {path} is empty", hint, False)
    empty, unsealed = host.found()
    assert (empty, unsealed[0]) == (expected, "ns1")
    path.unlink()
    assert host.found() == [(*expected[:2], f"zone example.com has no key 'ns1': {path} is missing", *expected[3:])]


def test_key_of_a_binding(tmp_path: Path) -> None:
    """It is needed until the account is registered."""
    main = '[account.ca]\ndirectory = "https://ca.example/dir"\neab-key-id = "kid 1"\n'.replace(" 1", "$1")
    host = Host(tmp_path, main)
    (host.sealed / "acmed.accounts/ca").write_text("c2VhbGVk")
    path = host.sealed / "acmed.bindings/ca"
    options = "--directory https://ca.example/dir --eab-key-id 'kid$1' --eab-hmac-file FILE --eab-algorithm HS256"
    hint = f"register it with the key that the CA gave:\nacmectl account add ca {options} --agree-tos"
    message = f"account 'ca' has no HMAC key for its binding: {path} is missing"
    assert host.found() == [("acmed.toml", 3, message, hint, False)]
    path.parent.mkdir()
    path.write_text("c2VhbGVk")
    assert host.found() == []
    path.unlink()
    host.place.write("acmed.toml.d/account-ca.toml", '[account.ca]\nuri = "https://ca.example/1"\n')
    assert host.found() == []


@ROOT_ONLY
def test_provided_key(tmp_path: Path) -> None:
    path = tmp_path / "www.key"
    host = Host(tmp_path, "", www=f'names = ["www.example.com"]\nkey-file = "{path}"')
    assert host.found() == [("www.toml", 2, f"the key {path} is not there", "", False)]
    path.write_text("key")
    path.chmod(0o644)
    message = f"the key {path} may be read by all, or written by others than root"
    assert host.found() == [("www.toml", 2, message, f"chmod 0600 {path}", False)]
    path.chmod(0o640)
    assert host.found() == []
    os.chown(path, 65534, 65534)
    assert host.found() == [("www.toml", 2, f"the key {path} does not belong to root", f"chown root {path}", False)]


@ROOT_ONLY
@pytest.mark.parametrize(
    ("mode", "fault", "hint"),
    [
        (0o744, "is not executable", "chmod 755 {}"),
        (0o775, "may be written by others than root", "chmod go-w {}"),
        (0o755, "", ""),
    ],
)
def test_hooks(tmp_path: Path, mode: int, fault: str, hint: str) -> None:
    main = '[zone.lan]\nmethod = "hook"\nhook = "provider"\n[notify]\nhook = "tell"\n'
    host = Host(tmp_path, main)
    missing = [("acmed.toml", 3, "provider"), ("acmed.toml", 5, "tell")]
    assert host.found() == [(*where, f"{host.hooks}/{name} is not there", "", False) for *where, name in missing]
    host.hook("tell")
    path = host.hook("provider", mode)
    assert host.found() == ([("acmed.toml", 3, f"{path} {fault}", hint.format(path), False)] if fault else [])


@ROOT_ONLY
def test_hook_that_others_could_put_there(tmp_path: Path) -> None:
    host = Host(tmp_path, '[notify]\nhook = "tell"\n')
    path = host.hook("tell")
    os.chown(path, 65534, 65534)
    assert host.found() == [("acmed.toml", 2, f"{path} does not belong to root", f"chown root {path}", False)]
    os.chown(path, 0, 0)
    host.hooks.chmod(0o777)
    message = f"{path} can be replaced by others than root, who may write {host.hooks}"
    hint = f"chown root {host.hooks}; chmod go-w {host.hooks}"
    assert host.found() == [("acmed.toml", 2, message, hint, False)]
    path.unlink()
    path.symlink_to("/bin/true")
    message = f"{path} is a symbolic link"
    assert host.found() == [("acmed.toml", 2, message, "copy the program there", False)]


@ROOT_ONLY
def test_program_that_others_could_put_there(tmp_path: Path) -> None:
    """He who has a directory above, or the one that a link leads to, has as much of a say."""
    directory, behind = tmp_path / "above" / "bin", tmp_path / "behind"
    for path in (directory, behind):
        path.mkdir(parents=True)
    (behind / "reload").touch(0o755)
    (directory / "reload").symlink_to(behind / "reload")
    main = f'[zone.lan]\nmethod = "local"\ndirectory = "{tmp_path}"\nreload = ["{directory}/reload", "{{zone}}"]\n'
    host = Host(tmp_path, main)
    assert host.found() == []
    for theirs in (directory.parent, behind):
        os.chown(theirs, 65534, 0)
        message = f"{directory}/reload can be replaced by others than root, who may write {theirs}"
        assert host.found() == [("acmed.toml", 4, message, f"chown root {theirs}; chmod go-w {theirs}", False)]
        os.chown(theirs, 0, 0)


def test_program_that_is_not_there(tmp_path: Path) -> None:
    main = f'[zone.lan]\nmethod = "local"\ndirectory = "{tmp_path}"\nreload = ["/nothing/x", "{{zone}}"]\n'
    assert Host(tmp_path, main).found() == [("acmed.toml", 4, "/nothing/x is not there", "", False)]


def test_mail_without_a_mail_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path, '[notify]\nmail = "root"\n')
    monkeypatch.setattr("acmed.config.executables._SENDMAIL", tmp_path / "sendmail")
    message = f"no mail can be sent: there is no {tmp_path}/sendmail"
    assert host.found() == [("acmed.toml", 2, message, "install a mail server", False)]
    (tmp_path / "sendmail").write_text("")
    (tmp_path / "sendmail").chmod(0o755)
    assert host.found() == []


@pytest.mark.parametrize(
    "text",
    [
        'names = ["*.example.com"]',
        'names = ["*.example.com"]\nchallenge = "dns-account-01"',
        'names = ["*.example.com", "b.example"]\n[challenges]\n"*.example.com" = "dns-01"',
    ],
)
def test_wildcard_without_a_zone(tmp_path: Path, text: str) -> None:
    message = "*.example.com can be validated by DNS alone, and no [zone] of acmed.toml is example.com or above it"
    host = Host(tmp_path, "", www=text)
    hint = 'add [zone."example.com"], or the zone that it is in; see acmed.toml(5)'
    assert host.found() == [("www.toml", 1, message, hint, False)]
    host.place.write("acmed.toml", '[zone."example.net"]\nkey = "ns1"\n' + STAGING)
    hint = "needed unless _acme-challenge.example.com is a CNAME into a [zone] that there is"
    assert host.found() == [("www.toml", 1, message, hint, True)]
    host.place.write("acmed.toml", '[zone.com]\nkey = "ns1"\n' + STAGING)
    assert host.found() == []


def test_names_that_take_no_record_of_ours(tmp_path: Path) -> None:
    persist = 'names = ["*.example.com"]\nchallenge = "dns-persist-01"'
    assert Host(tmp_path / "a", "", a=persist, b=persist.replace("dns-persist-01", "none")).found() == []


def test_authorized_wildcard_without_a_zone(tmp_path: Path) -> None:
    host = Host(tmp_path, "")
    host.place.write("acmed.toml", STAGING + 'authorize = ["www.example.com", "*.example.net"]\n')
    message = "*.example.net can be validated by DNS alone, and no [zone] of acmed.toml is example.net or above it"
    assert [(line, text) for _, line, text, _, _ in host.found()] == [(3, message)]
