# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each kind of mistake, and the file, line, message and hint that it gives."""

import os
from pathlib import Path

import pytest

from acmed.config import Certificate
from acmed.config.document import MAX_SIZE
from tests.unit.config.place import NGINX, STAGING, Place

GOOD = 'names = ["www.example.com"]\n'
KEY_TYPES = "ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096"
CONTACT = "allowed are mail addresses and mailto: URLs with one address each"
UNIT = "which is no unit name; allowed are letters, digits and : _ . \\ - @"
UNITS = ".service, .socket, .target, .path, .timer, .mount, .automount, .swap, .slice, .scope, .device"
MODES = "0400, 0440, 0600, 0640: a private key is read by its group at most, and written by root"
OWN_MODES = "allowed are 0400, 0440, 0600, 0640, 0444, 0644: nobody but their owner may write them"
URL = "it must be a URL such as https://ca.example.com/directory, without user or password"
PROXY = "it must be a URL such as http://proxy.example.com:3128, without user or password"
LEVELS = "emerg, alert, crit, err, warning, notice, info, debug"

# acmed.toml, and line, message, hint
MAIN = [
    ('firewal = "off"', 1, "unknown key 'firewal'", "did you mean 'firewall'?"),
    ('firewall = "on"', 1, "'firewall' is 'on'; allowed are auto, off", ""),
    ("firewall = true", 1, "'firewall' must be a string, not a boolean", ""),
    ('\nkey-type = "rsa-2048"', 2, "unknown key 'key-type'", "it belongs into [defaults] of acmed.toml"),
    (
        "x = 1",
        1,
        "unknown key 'x'",
        "known here: firewall, defaults, log-level, http01, notify, account, service, zone",
    ),
    (
        '[defaults]\nfirewall = "off"',
        2,
        "unknown key 'firewall' in [defaults]",
        "it belongs into the lines above the first [table] of acmed.toml",
    ),
    ("defaults = 1", 1, "'defaults' must be a table, not an integer", "write a table, as in [defaults]"),
    ("[[http01]]", 1, "'http01' must be a table, not an array", "write a table, as in [http01]"),
    (
        "service = 1.5",
        1,
        "'service' must be a table, not a floating-point number",
        "write a table, as in [service.nginx]",
    ),
    (
        '[account]\ndirectory = "letsencrypt"',
        2,
        "'account.directory' must be a table, not a string",
        "write a table, as in [account.letsencrypt]",
    ),
    (
        "[service]\nunits = []",
        2,
        "'service.units' must be a table, not an array",
        "write a table, as in [service.nginx]",
    ),
    ("[defaults]\nkye-type = 1", 2, "unknown key 'kye-type' in [defaults]", "did you mean 'key-type'?"),
    (
        '[defaults]\nkey-type = "rsa-1024"',
        2,
        f"'key-type' in [defaults] is 'rsa-1024'; allowed are {KEY_TYPES}",
        "did you mean 'rsa-3072'?",
    ),
    ('[defaults]\nreuse-key = "yes"', 2, "'reuse-key' in [defaults] must be true or false, not a string", ""),
    (
        '[defaults]\naccount = "stagin"',
        2,
        "'account' in [defaults] is 'stagin', which is no account; known are staging",
        "did you mean 'staging'?",
    ),
    (
        '[defaults]\nservices = [\n"nginx",\n"ngnix" ]',
        4,
        "'services' in [defaults] has 'ngnix', which is no service; known are nginx",
        "did you mean 'nginx'?",
    ),
    ('[defaults]\nservices = ["nginx", "nginx"]', 2, "'services' in [defaults] has 'nginx' twice", ""),
    (
        '[defaults]\nservices = "nginx"',
        2,
        "'services' in [defaults] must be an array of strings such as [\"nginx\"], not a string",
        "",
    ),
    (
        "[defaults]\nservices = [1]",
        2,
        "'services' in [defaults] must be an array of strings, and has an integer in it",
        "",
    ),
    ('[log-level]\nacme-key = "info"', 2, "unknown key 'acme-key' in [log-level]", "did you mean 'acme-keyd'?"),
    ('[log-level]\nacmed = "verbose"', 2, f"'acmed' in [log-level] is 'verbose'; allowed are {LEVELS}", ""),
    (
        '[http01]\nmode = "standalon"',
        2,
        "'mode' in [http01] is 'standalon'; allowed are standalone, proxied, webroot",
        "did you mean 'standalone'?",
    ),
    (
        '\n[http01]\nmode = "webroot"',
        2,
        "'webroot' is missing in [http01]",
        'such as webroot = "/var/www/html", because mode is "webroot"',
    ),
    (
        '[http01]\nwebroot = "www"',
        2,
        "'webroot' in [http01] is 'www'; it must be an absolute path, beginning with '/'",
        "",
    ),
    (
        '[http01]\nwebroot = "/var/../x/"',
        2,
        "'webroot' in [http01] is '/var/../x/'; it must be written without '..', '.', '//' or a final '/': '/x'",
        "",
    ),
    ('[http01]\nwebroot = "/"', 2, "'webroot' in [http01] is '/'; it must be the document root of a web server", ""),
    ("[account.ca]\nproxy = 2024-01-01", 2, "'proxy' in [account.ca] must be a string, not a date or time", ""),
]

# What follows [account.ca], and line, message, hint
ACCOUNT = [
    ("", 1, "'directory' is missing in [account.ca]", 'such as directory = "letsencrypt-staging"'),
    (
        'directory = "letsencript"',
        2,
        "'directory' in [account.ca] is 'letsencript'; allowed are letsencrypt, letsencrypt-staging and https URLs",
        "did you mean 'letsencrypt'?",
    ),
    (
        'directory = "http://ca.example/dir"',
        2,
        f"'directory' in [account.ca] is 'http://ca.example/dir'; {URL}",
        "",
    ),
    ('directory = "https://user:secret@ca.example/"', 2, f"'directory' in [account.ca] has an '@' in it; {URL}", ""),
    ('directory = "https://ca.example/a b"', 2, f"'directory' in [account.ca] is 'https://ca.example/a b'; {URL}", ""),
    (
        'directory = "https://ca.example:port/"',
        2,
        f"'directory' in [account.ca] is 'https://ca.example:port/'; {URL}",
        "",
    ),
    ('directory = "https://[::1/"', 2, f"'directory' in [account.ca] is 'https://[::1/'; {URL}", ""),
    (
        'directory = "https://ca.example/dir"\nuri = "https://other.example/1"',
        3,
        "'uri' in [account.ca] 'https://other.example/1' is not at the CA of 'directory', 'https://ca.example/dir'",
        "remove 'uri' where the account moves to another CA; it is found again",
    ),
    (
        'directory = "letsencrypt"\ncontact = [\n  "admin@example.com",\n  "+49 30 1234" ]',
        5,
        f"'contact' in [account.ca] has '+49 30 1234'; {CONTACT}",
        "",
    ),
    (
        'directory = "letsencrypt"\ncontact = ["mailto:a@b.example?subject=x"]',
        3,
        f"'contact' in [account.ca] has 'mailto:a@b.example?subject=x'; {CONTACT}",
        "",
    ),
    (
        'directory = "letsencrypt"\nca-file = "ca.pem"',
        3,
        "'ca-file' in [account.ca] is 'ca.pem'; it must be an absolute path, beginning with '/'",
        "",
    ),
    (
        'directory = "letsencrypt"\nproxy = "http://user:secret@proxy.example"',
        3,
        f"'proxy' in [account.ca] has an '@' in it; {PROXY}",
        "",
    ),
    ('directory = "letsencrypt"\nproxy = "socks://p"', 3, f"'proxy' in [account.ca] is 'socks://p'; {PROXY}", ""),
    ('directory = "letsencrypt"\nproxy = "http://p/x"', 3, f"'proxy' in [account.ca] is 'http://p/x'; {PROXY}", ""),
    ('directory = "letsencrypt"\nproxy = "http://p:0"', 3, f"'proxy' in [account.ca] is 'http://p:0'; {PROXY}", ""),
    (
        'directory = "letsencrypt"\ncontacts = []',
        3,
        "unknown key 'contacts' in [account.ca]",
        "did you mean 'contact'?",
    ),
]

# What follows [service.web], and line, message, hint
SERVICE = [
    (
        'units = ["apache2"]',
        2,
        f"'units' in [service.web] has 'apache2', which is no unit name; it must end in one of {UNITS}",
        "did you mean 'apache2.service'?",
    ),
    (
        'units = ["a b.service"]',
        2,
        f"'units' in [service.web] has 'a b.service', {UNIT}",
        "",
    ),
    (
        'units = ["../x.service"]',
        2,
        f"'units' in [service.web] has '../x.service', {UNIT}",
        "",
    ),
    (
        'units = ["apache2@.service"]',
        2,
        "'units' in [service.web] has 'apache2@.service', which is a template; an instance is needed",
        "such as 'apache2@main.service'",
    ),
    ('units = ["a.service", "a.service"]', 2, "'units' in [service.web] has 'a.service' twice", ""),
    ('action = "kill"', 2, "'action' in [service.web] is 'kill'; allowed are reload, restart", ""),
    (
        'group = "www data"',
        2,
        "'group' in [service.web] is 'www data', which is no name of a group; numbers are not allowed",
        "",
    ),
    ('group = "33"', 2, "'group' in [service.web] is '33', which is no name of a group; numbers are not allowed", ""),
    ('mode = "0644"', 2, f"'mode' in [service.web] is '0644'; allowed are {MODES}", ""),
    ('mode = "0660"', 2, f"'mode' in [service.web] is '0660'; allowed are {MODES}", ""),
    ('mode = "rw"', 2, f"'mode' in [service.web] is 'rw'; allowed are {MODES}", ""),
    ("mode = 640", 2, "'mode' in [service.web] must be a string, not an integer", ""),
    (
        'group = "web"\nmode = "0600"',
        3,
        "'mode' in [service.web] '0600' keeps the key from the group 'web'; it must be 0440 or 0640",
        "",
    ),
    (
        'files = { pem = "/etc/x" }',
        2,
        "unknown key 'pem' in [service.web.files]",
        "known here: privkey, cert, chain, fullchain, combined",
    ),
    (
        'files = { fulchain = "/etc/x" }',
        2,
        "unknown key 'fulchain' in [service.web.files]",
        "did you mean 'fullchain'?",
    ),
    ("files = { cert = 1 }", 2, "'cert' in [service.web.files] must be a string, not an integer", ""),
    ('files = "x"', 2, "'files' in [service.web] must be a table, not a string", ""),
    (
        'files = { cert = "x/{name}.pem" }',
        2,
        "'cert' in [service.web.files] is 'x/{name}.pem'; it must be an absolute path, beginning with '/'",
        "",
    ),
    (
        'files = { cert = "/etc/{host}.pem" }',
        2,
        "'cert' in [service.web.files] is '/etc/{host}.pem'; the only thing in braces may be {name}, the "
        "certificate's name",
        "",
    ),
    (
        'files = { cert = "/etc/{name}/../x" }',
        2,
        "'cert' in [service.web.files] is '/etc/{name}/../x'; it must be written without '..', '.', '//' or a "
        "final '/': '/etc/x'",
        "",
    ),
    (
        'files = { cert = "/var/lib/acme/{name}.pem" }',
        2,
        "'cert' in [service.web.files] is '/var/lib/acme/{name}.pem'; it must not be in /var/lib/acme, which is "
        "acmed's own",
        "",
    ),
    (
        'files = { cert = "/a/x", chain = "/a/x" }',
        2,
        "'files' in [service.web] has the same path twice",
        "'combined' is the key and the full chain in one file",
    ),
    ("unit = []", 2, "unknown key 'unit' in [service.web]", "did you mean 'units'?"),
    (
        'hook = "/usr/bin/x"',
        2,
        "'hook' in [service.web] is '/usr/bin/x'; it must be the name of a file in /etc/acmed/hooks.d: letters, digits,"
        " '.', '_' and '-'",
        "",
    ),
]

# A certificate's file after its names, and line, message, hint
OWN_FILES = [
    ('owner = "0"', 2, "'owner' is '0', which is no name of a user; numbers are not allowed", ""),
    ('owner = "www:www"', 2, "'owner' is 'www:www', which is no name of a user; numbers are not allowed", ""),
    ('group = ""', 2, "'group' is '', which is no name of a group; numbers are not allowed", ""),
    ('mode = "0664"', 2, f"'mode' is '0664'; {OWN_MODES}", ""),
    ('mode = "0755"', 2, f"'mode' is '0755'; {OWN_MODES}", ""),
    ('mode = "4644"', 2, f"'mode' is '4644'; {OWN_MODES}", ""),
    ("mode = 640", 2, "'mode' must be a string, not an integer", ""),
    (
        'group = "tls"\nmode = "0600"',
        3,
        "'mode' '0600' keeps the key from the group 'tls'; it must be 0440 or 0640",
        "",
    ),
    ('[files]\ncrt = "/etc/x"', 3, "unknown key 'crt' in [files]", "did you mean 'cert'?"),
    ('files = { cert = "x" }', 2, "'cert' in [files] is 'x'; it must be an absolute path, beginning with '/'", ""),
    (
        'csr = true\nfiles = { cert = "/etc/x", privkey = "/etc/y", combined = "/etc/z" }',
        3,
        "'files' has privkey and combined beside csr = true: the key is elsewhere",
        "remove them",
    ),
]

# A certificate's file, and line, message, hint
CERTIFICATE = [
    ("", 0, "'names' is missing", 'such as names = ["www.example.com"]'),
    ("names = []", 1, "'names' has 0 names; a certificate has at least 1 and at most 100", ""),
    (
        "names = [" + ", ".join(f'"h{n}.example.com"' for n in range(101)) + "]",
        1,
        "'names' has 101 names; a certificate has at least 1 and at most 100",
        "",
    ),
    (
        'names = [\n  "www.example.com",\n  "www_.example..com",\n]',
        3,
        "'www_.example..com' is not a DNS name that a CA issues for",
        "",
    ),
    (
        'names = "www.example.com"',
        1,
        "'names' must be an array of strings such as [\"www.example.com\"], not a string",
        "",
    ),
    (
        f'names = ["{"a" * 2000}.example.com"]',
        1,
        f"'{'a' * 80}…' is too long for a DNS name",
        "",
    ),
    ('names = ["a.example", "b.example", "a.example"]', 1, "'names' has 'a.example' twice", ""),
    (
        'names = [\n"bücher.example",\n"XN--BCHER-KVA.example."\n]',
        3,
        "'names' has 'XN--BCHER-KVA.example.' and 'bücher.example', which are the same name",
        "",
    ),
    (
        'names = ["2001:db8::1",\n"2001:DB8:0::1"]',
        2,
        "'names' has '2001:DB8:0::1' and '2001:db8::1', which are the same name",
        "",
    ),
    (
        'names = ["*.example.com",\n"www.example.com"]',
        2,
        "'names' has 'www.example.com', which '*.example.com' covers",
        "remove one of the two",
    ),
    (f'{GOOD}kye-type = "rsa-2048"', 2, "unknown key 'kye-type'", "did you mean 'key-type'?"),
    (f"{GOOD}key_type = 1", 2, "unknown key 'key_type'", "did you mean 'key-type'?"),
    (f'{GOOD}units = ["x"]', 2, "unknown key 'units'", "it belongs into [service.NAME] of acmed.toml"),
    (f'{GOOD}key-type = "ecdsa"', 2, f"'key-type' is 'ecdsa'; allowed are {KEY_TYPES}", "did you mean 'ecdsa-p384'?"),
    (f"{GOOD}reuse-key = 1", 2, "'reuse-key' must be true or false, not an integer", ""),
    (
        f'{GOOD}account = "production"',
        2,
        "'account' is 'production', which is no account; known are staging",
        "",
    ),
    (
        f'{GOOD}services = ["nginx", "apache"]',
        2,
        "'services' has 'apache', which is no service; known are nginx",
        "",
    ),
    (f"{GOOD}reuse-key = yes", 2, "not valid TOML: 'yes' is no value", "write true or false, or text between quotes"),
    (f'{GOOD}\nnames = ["x.example"]\n', 3, "not valid TOML: 'names' is there twice", "keep one of them"),
    (
        f'{GOOD}services = [\n"nginx"\n',
        3,
        "not valid TOML: a list does not end",
        "the ']' at its end is missing, or a comma between two values",
    ),
    (f"{GOOD}x = {'[' * 20000}{']' * 20000}", 0, "not valid TOML: it is nested too deeply", ""),
    (b'# gr\xfcn\nnames = ["www.example.com"]', 1, "not valid TOML: it is not UTF-8", "save the file as UTF-8"),
    (GOOD + "#" * MAX_SIZE, 0, "is larger than 256 KiB, and is ignored", ""),
]


@pytest.mark.parametrize(("text", "line", "message", "hint"), MAIN)
def test_acmed_toml(tmp_path: Path, text: str, line: int, message: str, hint: str) -> None:
    place = Place(tmp_path, text + "\n" + STAGING)
    problems = place.problems()
    expected = ("acmed.toml", line, message, hint)
    assert expected in problems
    # An account without a directory is not what this is about.
    assert [problem for problem in problems if "'directory' is missing" not in problem[2]] == [expected]
    assert "staging" in place.load().configuration.accounts


@pytest.mark.parametrize(("text", "line", "message", "hint"), ACCOUNT)
def test_account(tmp_path: Path, text: str, line: int, message: str, hint: str) -> None:
    place = Place(tmp_path, f"[account.ca]\n{text}\n{STAGING}")
    assert place.problems() == [("acmed.toml", line, message, hint)]
    assert list(place.load().configuration.accounts) == ["staging"]
    assert "secret" not in str(place.load().problems)


@pytest.mark.parametrize(("text", "line", "message", "hint"), SERVICE)
def test_service(tmp_path: Path, text: str, line: int, message: str, hint: str) -> None:
    place = Place(tmp_path, f"[service.web]\n{text}\n")
    assert place.problems() == [("acmed.toml", line, message, hint)]
    assert list(place.load().configuration.services) == ["nginx"]


@pytest.mark.parametrize(("text", "line", "message", "hint"), CERTIFICATE)
def test_certificate(tmp_path: Path, text: str | bytes, line: int, message: str, hint: str) -> None:
    place = Place(tmp_path)
    for name in ("before", "last"):
        place.write(f"certificates.d/{name}.toml", GOOD)
    path = place.write("certificates.d/bad.toml", text)
    assert place.problems() == [("certificates.d/bad.toml", line, message, hint)]
    configuration = place.load().configuration
    assert list(configuration.certificates) == ["before", "last"]
    assert list(configuration.broken) == ["bad"]
    assert [problem.path for problem in configuration.broken["bad"]] == [path]


@pytest.mark.parametrize(("text", "line", "message", "hint"), OWN_FILES)
def test_a_certificates_own_files(tmp_path: Path, text: str, line: int, message: str, hint: str) -> None:
    place = Place(tmp_path)
    place.write("certificates.d/www.toml", GOOD + text)
    assert place.problems() == [("certificates.d/www.toml", line, message, hint)]


def test_first_certificate_without_an_account_tells_how_to_make_one(tmp_path: Path) -> None:
    place = Place(tmp_path, "")
    place.write("certificates.d/www.toml", GOOD)
    command = "acmectl account add --directory letsencrypt-staging --contact admin@example.com --agree-tos"
    assert place.problems() == [("certificates.d/www.toml", 0, "there is no account yet", f"run: {command}")]


def test_certificate_with_a_choice_of_accounts(tmp_path: Path) -> None:
    place = Place(tmp_path, f'{STAGING}[account.production]\ndirectory = "letsencrypt"\n')
    place.write("certificates.d/www.toml", GOOD)
    hint = 'known are production, staging: add account = "NAME" here, or in [defaults] of acmed.toml'
    message = "no account is given, and there is no default one"
    assert place.problems() == [("certificates.d/www.toml", 0, message, hint)]


def test_broken_account_and_service_are_named_where_they_are_used(tmp_path: Path) -> None:
    place = Place(tmp_path, "[account.ca]\ndirectory = 1\n[service.web]\nmode = 1\n")
    place.write("certificates.d/www.toml", GOOD + 'account = "ca"\nservices = ["web"]')
    assert place.problems()[-2:] == [
        ("certificates.d/www.toml", 2, "'account' is 'ca', and [account.ca] has a problem of its own", ""),
        ("certificates.d/www.toml", 3, "'services' has 'web', and [service.web] has a problem of its own", ""),
    ]


def test_only_account_is_not_chosen_beside_a_broken_one(tmp_path: Path) -> None:
    place = Place(tmp_path, STAGING + "[account.production]\n")
    place.write("certificates.d/www.toml", GOOD)
    assert place.load().configuration.default_account is None
    assert place.problems()[-1][2] == "no account is given, and there is no default one"


def test_broken_default_stops_only_those_that_rely_on_it(tmp_path: Path) -> None:
    place = Place(tmp_path, f'[defaults]\nkey-type = "rsa-1"\n{STAGING}')
    place.write("certificates.d/relies.toml", GOOD)
    place.write("certificates.d/own.toml", GOOD + 'key-type = "rsa-2048"')
    configuration = place.load().configuration
    assert list(configuration.certificates) == ["own"]
    where = f"{place.etc / 'acmed.toml'} line 2"
    message = f"'key-type' is not given here, and the one in [defaults] has a problem ({where})"
    assert [problem.message for problem in configuration.broken["relies"]] == [message]


def test_firewall_is_left_alone_where_the_key_is_broken(tmp_path: Path) -> None:
    assert Place(tmp_path / "a", 'firewall = "of"').load().configuration.firewall is False
    assert Place(tmp_path / "b", 'firewall = "auto"').load().configuration.firewall is True
    assert Place(tmp_path / "c", "").load().configuration.firewall is True


def test_two_groups_for_one_key(tmp_path: Path) -> None:
    groups = "".join(f'[service.{name}]\ngroup = "{name}-users"\n' for name in ("mail", "chat"))
    place = Place(tmp_path, STAGING + groups)
    place.write("certificates.d/www.toml", GOOD + 'services = [\n"nginx", "mail", "chat"]')
    message = "'services' give the private key to two groups: mail wants mail-users and chat wants chat-users"
    hint = "make a group with both users in it and set it as 'group' here, or order a certificate for each"
    assert place.problems() == [("certificates.d/www.toml", 2, message, hint)]
    place.write("certificates.d/www.toml", GOOD + 'services = ["mail", "chat"]\ngroup = "both"\n')
    assert place.problems() == []


@pytest.mark.parametrize("name", ["Upper.toml", "two..dots.toml", "a.toml.toml", "-x.toml", "blank .toml"])
def test_file_that_is_not_named_like_a_certificate(tmp_path: Path, name: str) -> None:
    place = Place(tmp_path)
    place.write(f"certificates.d/{name}", GOOD)
    [problem] = place.load().problems
    assert problem.path == place.etc / "certificates.d" / name
    assert problem.message.startswith("the file's name is a certificate's name: ")
    assert problem.hint == "rename the file"
    assert not place.load().configuration.broken


@pytest.mark.parametrize(("kind", "allowed"), [("account", "directory"), ("service", "units")])
def test_table_with_a_name_that_is_none(tmp_path: Path, kind: str, allowed: str) -> None:
    value = '"letsencrypt"' if kind == "account" else "[]"
    place = Place(tmp_path, f'[{kind}."Not\\u001b good"]\n{allowed} = {value}')
    [(file, line, message, hint)] = place.problems()
    assert (file, line, hint) == ("acmed.toml", 1, "rename the table")
    assert message.startswith("'Not\\x1b good' is not a valid name here: use a-z")


def test_services_d_has_services_only(tmp_path: Path) -> None:
    place = Place(tmp_path, shipped='firewall = "off"\n' + NGINX)
    hint = "it belongs into the lines above the first [table] of acmed.toml"
    assert place.problems() == [("services.d/shipped.toml", 1, "unknown key 'firewall'", hint)]
    assert place.load().configuration.firewall


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (place.etc / "acmed.toml").unlink()
    (place.etc / "acmed.toml.d").rmdir()
    (place.usr / "services.d/shipped.toml").unlink()
    (place.usr / "services.d").rmdir()
    loaded = place.load()
    assert loaded.problems == ()
    assert not loaded.configuration.accounts
    assert not loaded.configuration.services


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in ("www.toml~", "www.toml.dpkg-old", ".www.toml", "README"):
        place.write(f"certificates.d/{name}", "no toml")
    assert place.problems() == []


def test_symbolic_links(tmp_path: Path) -> None:
    place = Place(tmp_path)
    outside = tmp_path / "outside.toml"
    outside.write_text(GOOD)
    place.write("inside", GOOD)
    for name, target in (("out", outside), ("in", "../inside"), ("dangling", "../nothing"), ("self", "self.toml")):
        (place.etc / f"certificates.d/{name}.toml").symlink_to(target)
    configuration = place.load().configuration
    assert list(configuration.certificates) == ["in"]
    assert [message for _, _, message, _ in place.problems()] == [
        f"is a symbolic link to {place.etc / 'nothing'}, which is not there",
        f"is a symbolic link that leads out of {place.etc}, and is ignored",
        f"is a symbolic link to {place.etc / 'certificates.d/self.toml'}, which is not there",
    ]


@pytest.mark.parametrize("name", ["certificates.d/www.toml", "acmed.toml", "acmed.toml.d/x.toml"])
def test_file_that_others_could_write(tmp_path: Path, name: str) -> None:
    place = Place(tmp_path)
    path = place.write(name, "")
    path.chmod(0o664)
    [problem] = place.load().problems
    assert problem.path == path
    assert problem.message == "may be written by others than its owner, and is ignored"
    assert problem.hint == f"chmod go-w {path}"


def test_file_of_another_user(tmp_path: Path) -> None:
    """etc belongs to us; where we are root, the file is given away, else a file of another user is looked at."""
    place = Place(tmp_path)
    path = place.write("certificates.d/www.toml", GOOD)
    if os.geteuid() != 0:
        assert list(place.load().configuration.certificates) == ["www"]
        return
    os.chown(path, 65534, 65534)
    message = "does not belong to root, and is ignored"
    assert place.problems() == [("certificates.d/www.toml", 0, message, f"chown root {path}")]
    os.chown(place.etc, 65534, 65534)
    assert place.problems() == []


def test_what_is_no_plain_file_does_not_hang(tmp_path: Path) -> None:
    place = Place(tmp_path)
    os.mkfifo(place.etc / "certificates.d/fifo.toml")
    (place.etc / "certificates.d/directory.toml").mkdir()
    assert place.problems() == [
        ("certificates.d/directory.toml", 0, "cannot be read: Is a directory", ""),
        ("certificates.d/fifo.toml", 0, "is not a plain file, and is ignored", ""),
    ]


def test_directory_that_is_a_file(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (place.etc / "certificates.d").rmdir()
    place.write("certificates.d", "")
    assert place.problems() == [("certificates.d", 0, "cannot be read: Not a directory", "")]


def test_broken_acmed_toml_leaves_the_drop_ins_and_certificates(tmp_path: Path) -> None:
    place = Place(tmp_path, 'firewall = "off\n')
    place.write("acmed.toml.d/account-staging.toml", STAGING)
    place.write("certificates.d/www.toml", GOOD)
    [problem] = place.load().problems
    assert (problem.path.name, problem.line) == ("acmed.toml", 1)
    assert problem.message.startswith("not valid TOML: ")
    [certificate] = place.load().configuration.certificates.values()
    assert isinstance(certificate, Certificate)
