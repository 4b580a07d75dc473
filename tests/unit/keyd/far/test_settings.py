# SPDX-License-Identifier: LGPL-2.1-or-later
"""keyd.toml: what it says, and what is wrong in it."""

import grp
import pwd
from pathlib import Path

import pytest

from acmed.config.keysource import KeySource, Kind
from acmed.config.model import DIRECTORIES
from acmed.keyd.far.settings import Source, key_source, load
from acmed.specifiers import UnknownSpecifier, expand

KEY = '[key]\nsource = "file:/k"\n'


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "keyd.toml"
    path.write_text(text)
    path.chmod(0o644)
    return [str(problem).removeprefix(f"{path}:") for problem in load(path)[1]]


def test_everything(tmp_path: Path) -> None:
    text = """
        log-file = "/var/log/keyd"
        [key.one]
        source = "file:/one.pem"
        passphrase-file = "/pass"
        uri = "https://ca.example/acct/1"
        [key.two]
        source = "gpg:/two.gpg"
        key-command = ["gpg2", "--homedir", "/x y"]
        passphrase-file = "/two"
        [key.three]
        source = "pkcs11:token=a%20token;object=x?module-path=/x.so"
        pin-file = "/pin"
        [client.www]
        key = "one"
        directories = ["letsencrypt-staging", "https://ca.example/dir"]
        names = ["www.example.com", "*.example.org"]
        operations = ["order", "revoke"]
        signatures = 60
        [client.hidden]
        key = "one"
        hide-jwk = true
    """
    assert problems(tmp_path, text) == []
    found, _ = load(tmp_path / "keyd.toml")
    assert found.log_file == Path("/var/log/keyd")
    uri = "https://ca.example/acct/1"
    one, two, three = found.keys.values()
    assert one == Source("one", KeySource(Kind.FILE, "/one.pem"), passphrase_file=Path("/pass"), uri=uri)
    assert (two.key, two.command) == (KeySource(Kind.GPG, "/two.gpg"), ("gpg2", "--homedir", "/x y"))
    assert three.key == KeySource(Kind.PKCS11, "pkcs11:token=a%20token;object=x?module-path=/x.so")
    assert (three.pin_file, one.command) == (Path("/pin"), ("gpg", "--quiet"))
    www = found.clients["www"]
    assert (www.key, www.signatures, www.hide_jwk, www.operations) == (
        "one",
        60,
        False,
        frozenset({"order", "revoke"}),
    )
    assert www.directories == (DIRECTORIES["letsencrypt-staging"], "https://ca.example/dir")
    assert [glob.text for glob in www.names] == ["www.example.com", "*.example.org"]
    assert found.clients["hidden"].hide_jwk


def test_relative_to_the_directory_of_the_command_line() -> None:
    here = Path("/home/jane")
    for text, place in (
        ("key", "/home/jane/key"),
        ("../key", "/home/key"),
        ("/x/key", "/x/key"),
        ("./k", "/home/jane/k"),
    ):
        assert key_source(f"gpg:{text}", here) == KeySource(Kind.GPG, place)


def test_defaults(tmp_path: Path) -> None:
    """Let's Encrypt, orders, and no name."""
    assert problems(tmp_path, KEY) == []
    policy = load(tmp_path / "keyd.toml")[0].clients[""]
    assert set(policy.directories) == set(DIRECTORIES.values())
    assert (policy.names, policy.signatures) == ((), 1000)
    assert policy.operations == {"order"}
    assert problems(tmp_path, "") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[polcy]", "1: unknown key 'polcy' (did you mean 'policy'?)"),
        ('[key]\nsorce = "file:/k"', "2: unknown key 'sorce' in [key]"),
        ("[key]\nuri = 1", "2: 'uri' in [key] must be a string"),
        ('[key]\nuri = "https://ca/1"', "1: 'source' is missing in [key]"),
        ('[key]\nsource = "/k"', "2: 'source' in [key] is '/k'; it must be file:PATH, gpg:PATH or pkcs11:URI"),
        ('[key]\nsource = "file:k"', "2: 'source' in [key] is 'file:k'; behind 'file:' it must be an absolute path"),
        ('[key]\nsource = "file:"', "2: 'source' in [key] is 'file:'; behind 'file:' it must be an absolute path"),
        (
            '[key]\nsource = "unix:/k"',
            "2: 'source' in [key] is 'unix:/k'; it must be file:PATH, gpg:PATH or pkcs11:URI",
        ),
        (KEY + 'pin-file = "/p"', "3: 'pin-file' in [key] has no meaning for a 'source' that begins with 'file:'"),
        (
            KEY + 'key-command = ["gpg"]',
            "3: 'key-command' in [key] has no meaning for a 'source' that begins with 'file",
        ),
        ('[key]\nsource = "gpg:/k"\nkey-command = []', "3: 'key-command' in [key] must be a program and its arguments"),
        ('[key]\nsource = "gpg:/k"\nkey-command = ["\\t"]', "3: 'key-command' in [key] must be a program and its"),
        ('[key]\nsource = "gpg:/k"\nkey-command = "gpg"', "3: 'key-command' in [key] must be an array"),
        ('[key]\nsource = "file:%q"', "2: 'source' in [key] is 'file:%q': '%q' is no specifier"),
        (KEY + 'uri = "http://ca/1"', "3: 'uri' in [key] is 'http://ca/1'; it must be the account's URL"),
        (KEY + "[key.two]\nsource = 1", "'source'"),
        (KEY + '[policy]\nnames = ["a..b"]', "4: 'names' in [policy] has a name that cannot be used: 'a..b'"),
        (KEY + '[policy]\nnames = "a"', "4: 'names' in [policy] must be an array"),
        (KEY + '[policy]\noperations = ["ordr"]', "4: 'operations' in [policy] has 'ordr'"),
        (KEY + '[policy]\ndirectories = ["letsencrypt", "x"]', "4: 'directories' in [policy] has 'x'"),
        (KEY + "[policy]\nsignatures = 0", "4: 'signatures' in [policy] is 0"),
        (KEY + '[policy]\nkey = "two"', "4: 'key' in [policy] is 'two', which is no usable key; there are default"),
        (KEY + "[policy]\nhide-jwk = true", "4: 'hide-jwk' in [policy] needs the account's URL"),
        (KEY + "[policy]\n[client.a]", "there are both [policy] and [client.NAME]"),
        (KEY + '[client."a/b"]', "has the name 'a/b'"),
        (KEY + "[client]\na = 1", "has 'a' beside tables"),
        ('[key.a]\nsource = "file:/a"\n[key.b]\nsource = "file:/b"\n[policy]', "5: 'key' is missing in [policy]"),
        ('[key.a]\nsource = "file:/a"\n[key.b]\nsource = "file:/b"', "there are several keys"),
        ('log-file = "log"', "1: 'log-file' is 'log'; it must be an absolute path"),
        ('log-file = "%x/log"', "1: 'log-file' is '%x/log'; '%x' is no specifier"),
        ("key = 1", "1: 'key' must be a table"),
        ("x", "1: not valid TOML"),
    ],
)
def test_problems(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in problem for problem in problems(tmp_path, text)), problems(tmp_path, text)


@pytest.mark.parametrize("word", ["newAccount", "read", "update", "deactivate", "keyChange"])
def test_a_hidden_key_and_the_account(tmp_path: Path, word: str) -> None:
    text = f'{KEY}uri = "https://acme-v02.api.letsencrypt.org/1"\n[policy]\nhide-jwk = true\noperations = ["{word}"]'
    assert any(f"cannot go with {word}" in problem for problem in problems(tmp_path, text))


def test_a_file_that_others_may_write(tmp_path: Path) -> None:
    path = tmp_path / "keyd.toml"
    path.write_text(KEY)
    path.chmod(0o666)
    assert "may be written by others" in str(load(path)[1])


def test_specifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    monkeypatch.setenv("HOME", "/home/jane")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    assert expand("%C %E %T %h %U %%C") == "/home/jane/.cache /home/jane/.config /tmp /home/jane 12345 %C"
    for text in ("%t", "%", "%S", "a%\n"):
        with pytest.raises(UnknownSpecifier):
            expand(text)
    for name, value in (
        ("XDG_CACHE_HOME", "/c"),
        ("XDG_CONFIG_HOME", "/e"),
        ("XDG_RUNTIME_DIR", "/t"),
        ("TMPDIR", "/T"),
    ):
        monkeypatch.setenv(name, value)
    assert expand("%C%E%t%T") == "/c/e/t/T"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    with pytest.raises(UnknownSpecifier):
        expand("%t")
    monkeypatch.setattr("os.geteuid", lambda: pwd.getpwnam("daemon").pw_uid)
    monkeypatch.setattr("os.getegid", lambda: grp.getgrnam("games").gr_gid)
    assert expand("%u %g") == "daemon games"
    assert expand("%U %G") == f"{pwd.getpwnam('daemon').pw_uid} {grp.getgrnam('games').gr_gid}"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert expand("%C %E %t %T %U %u") == "/var/cache /etc /run /T 0 root"
