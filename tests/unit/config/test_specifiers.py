# SPDX-License-Identifier: LGPL-2.1-or-later
"""What %-specifiers stand for in the host's configuration: the same whoever reads it, in each path and nowhere else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from acmed.config import Configuration
from acmed.config.keysource import KeySource, Kind
from acmed.specifiers import OF_ROOT, UnknownSpecifier, expand, expand_as_root
from tests.unit.config.place import Place

OF_ALL = {
    "%C": "/var/cache",
    "%E": "/etc",
    "%t": "/run",
    "%T": "/tmp",
    "%h": "/root",
    "%u": "root",
    "%U": "0",
    "%g": "root",
    "%G": "0",
    "%%": "%",
}
PATTERN = "/a%%%T/%u-%U-%g-%G%C%E%t%h/b"
MEANT = "/a%/tmp/root-0-root-0/var/cache/etc/run/root/b"
WORDS = " ".join(OF_ALL)

WWW = 'names = ["www.example.com"]\n'
STAGING = '[account.staging]\ndirectory = "letsencrypt-staging"\n'
LOCAL = '[zone."example.com"]\nmethod = "local"\n'

Meaning = Callable[[Configuration], object]

# In acmed.toml, with PATH for a path: the key, what is read, and what that is.
MAIN: list[tuple[str, str, Meaning, object]] = [
    (f'{STAGING}ca-file = "PATH"', "ca-file", lambda it: it.accounts["staging"].ca_file, Path(MEANT)),
    (f'{STAGING}key = "file:PATH"', "key", lambda it: it.accounts["staging"].key, KeySource(Kind.FILE, MEANT)),
    (f'{STAGING}key = "gpg:PATH"', "key", lambda it: it.accounts["staging"].key, KeySource(Kind.GPG, MEANT)),
    (f'{STAGING}key = "unix:PATH"', "key", lambda it: it.accounts["staging"].key, KeySource(Kind.UNIX, MEANT)),
    (
        '[http01]\nmode = "webroot"\nwebroot = "PATH/{host}"',
        "webroot",
        lambda it: it.http01.directory("a.example"),
        Path(MEANT, "a"),
    ),
    (
        '[http01]\nwebroots = { "a.example" = "PATH" }',
        "a.example",
        lambda it: it.http01.directory("a.example"),
        Path(MEANT),
    ),
    (
        f'{LOCAL}reload = ["/x"]\ndirectory = "PATH"',
        "directory",
        lambda it: it.zones["example.com"].directory,
        Path(MEANT),
    ),
    (
        f'{LOCAL}directory = "/x"\nreload = ["PATH", "%i"]',
        "reload",
        lambda it: it.zones["example.com"].reload,
        (MEANT, "%i"),
    ),
    (
        '[service.a]\nfiles = { cert = "PATH/{name}" }',
        "files",
        lambda it: it.services["a"].targets("www")["cert"],
        Path(MEANT, "www"),
    ),
    (
        f'{STAGING}[defaults]\ntrust-anchors = "PATH"',
        "trust-anchors",
        lambda it: it.certificates["www"].trust_anchors,
        Path(MEANT),
    ),
]
# Likewise in the file of a certificate.
CERTIFICATE: list[tuple[str, Meaning, Path]] = [
    ('key-file = "PATH"', lambda it: it.certificates["www"].key_file, Path(MEANT)),
    ('trust-anchors = "PATH"', lambda it: it.certificates["www"].trust_anchors, Path(MEANT)),
    ('files = { cert = "PATH/{name}" }', lambda it: it.certificates["www"].files["cert"], Path(MEANT, "www")),
]
IDS = [text.splitlines()[-1] for text, *_ in MAIN]


def test_each_has_its_meaning() -> None:
    assert {f"%{letter}": value for letter, value in OF_ROOT.items()} == OF_ALL
    for specifier, value in OF_ALL.items():
        assert expand_as_root(f"a{specifier}b") == f"a{value}b"
    assert expand_as_root("%%C%%%C") == "%C%/var/cache"


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HOME", "TMPDIR"])
def test_whoever_reads_it(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A daemon has a user of its own, and may have such a variable."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setenv(variable, "/somewhere/else")
    assert expand_as_root(PATTERN) == MEANT
    if variable != "TMPDIR":
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        with pytest.raises(UnknownSpecifier):
            expand("%t")


def test_root_sees_the_same_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meanings of keyd.toml for root, and those of acmed.toml."""
    for variable in ("TMPDIR", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getegid", lambda: 0)
    assert expand(PATTERN) == expand_as_root(PATTERN)


@pytest.mark.parametrize(("text", "_", "meaning", "expected"), MAIN, ids=IDS)
def test_paths_of_acmed_toml(tmp_path: Path, text: str, _: str, meaning: Meaning, expected: object) -> None:
    place = Place(tmp_path, text.replace("PATH", PATTERN), "")
    if "defaults" in text:
        place.write("certificates.d/www.toml", WWW)
    loaded = place.load()
    assert loaded.problems == ()
    assert meaning(loaded.configuration) == expected


@pytest.mark.parametrize(("text", "meaning", "expected"), CERTIFICATE, ids=[text for text, *_ in CERTIFICATE])
def test_paths_of_a_certificate(tmp_path: Path, text: str, meaning: Meaning, expected: Path) -> None:
    place = Place(tmp_path)
    place.write("certificates.d/www.toml", f"{WWW}{text.replace('PATH', PATTERN)}\n")
    loaded = place.load()
    assert loaded.problems == ()
    assert meaning(loaded.configuration) == expected


@pytest.mark.parametrize("bad", ["%i", "%n", "%H", "%D", "%"])
@pytest.mark.parametrize(("text", "key"), [(text, key) for text, key, *_ in MAIN], ids=IDS)
def test_another_letter_is_a_mistake(tmp_path: Path, text: str, key: str, bad: str) -> None:
    written = text.replace("PATH/{host}", "PATH").replace("PATH/{name}", "PATH").replace("PATH", f"/x/{bad}")
    problem = Place(tmp_path, written, "").problems()[0]
    line = next(number for number, one in enumerate(written.splitlines(), 1) if f"/x/{bad}" in one)
    assert problem[:2] == ("acmed.toml", line)
    assert key in problem[2]
    assert f"'{bad}' is no specifier; there are {WORDS}, where %% is a percent sign" in problem[2]


def test_another_letter_in_the_file_of_a_certificate(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("certificates.d/www.toml", f'{WWW}\nkey-file = "/etc/%s.pem"\n')
    message = f"'key-file' is '/etc/%s.pem'; '%s' is no specifier; there are {WORDS}, where %% is a percent sign"
    assert place.problems() == [("certificates.d/www.toml", 3, message, "")]


def test_what_is_no_path_has_none(tmp_path: Path) -> None:
    uri = "pkcs11:token=my%20token;object=acme?module-path=/usr/lib/module.so"
    far = '[account.far]\ndirectory = "letsencrypt"\nkey = "ssh:a@b.example"\nkey-command = ["%h/keyd", "%i"]\n'
    loaded = Place(tmp_path, f'{STAGING}key = "{uri}"\n{far}').load()
    assert loaded.problems == ()
    assert loaded.configuration.accounts["staging"].key == KeySource(Kind.PKCS11, uri)
    assert loaded.configuration.accounts["far"].key_command == ("%h/keyd", "%i")


def test_a_path_is_held_against_what_it_may_be_once_it_is_whole(tmp_path: Path) -> None:
    place = Place(tmp_path, '[service.a]\nfiles = { cert = "%t/acmed/x" }\n[http01]\nwebroot = "%h/../www"\n', "")
    first, second = place.problems()
    assert first[2].endswith("it must not be in /run/acmed, which is acmed's own")
    assert second[2].endswith("it must be written without '..', '.', '//' or a final '/': '/www'")
