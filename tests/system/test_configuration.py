# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mistakes in the configuration of the installed system: where, what, and what was meant; they stop nobody else."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.machine import Machine, Pebble
from tests.system.lease import state

GOOD = "configuration-good.example.com"
MAIN = "/etc/acmed/acmed.toml.d/configuration-test.toml"
BAD = "/etc/acmed/certificates.d/configuration-bad.toml"
COPIES = "/etc/configuration-copies"


@dataclass(frozen=True)
class Mistake:
    """A file with something wrong in it. The message and hint are parts of what is told; line is 0 for a whole file."""

    id: str
    path: str
    text: str
    line: int
    message: str
    hint: str = ""
    prepare: str = ""


MISTAKES = [
    Mistake("unknown-key", MAIN, '# Ours\nfirewal = "off"\n', 2, "unknown key 'firewal'", "did you mean 'firewall'?"),
    Mistake("wrong-value", MAIN, '[log-level]\nacmed = "debgu"\n', 2, "is 'debgu'", "did you mean 'debug'?"),
    Mistake("wrong-type", MAIN, "[http01]\nmode = 1\n", 2, "'mode' in [http01] must be a string, not an integer"),
    Mistake(
        "wrong-place", MAIN, '\n\nkey-type = "rsa-2048"\n', 3, "unknown key 'key-type'", "it belongs into [defaults]"
    ),
    Mistake("no-table", MAIN, "defaults = 1\n", 1, "'defaults' must be a table", "write a table, as in [defaults]"),
    Mistake("syntax", MAIN, "[http01]\nmode = standalone\n", 2, "not valid TOML"),
    Mistake("not-utf-8", MAIN, "# \udce4\n", 1, "it is not UTF-8", "save the file as UTF-8"),
    Mistake("key-twice", MAIN, '[http01]\nmode = "proxied"\nmode = "proxied"\n', 3, "not valid TOML"),
    Mistake("writable-by-others", MAIN, "", 0, "may be written by others than its owner", "chmod go-w", "chmod 666 $1"),
    Mistake("owner", MAIN, "", 0, "does not belong to root, and is ignored", "chown root", "chown www-data $1"),
    Mistake(
        "link", MAIN, "", 0, "is a symbolic link that leads out of /etc/acmed", "copy the file", "ln -sf /etc/passwd $1"
    ),
    Mistake(
        "account", MAIN, '[account.x]\ndirectory = "letsencript"\n', 2, "'letsencript'", "did you mean 'letsencrypt'?"
    ),
    Mistake("account-empty", MAIN, "[account.x]\n", 1, "'directory' is missing", 'directory = "letsencrypt-staging"'),
    Mistake("unit", MAIN, '[service.x]\nunits = ["nginx"]\n', 2, "no unit name", "did you mean 'nginx.service'?"),
    Mistake("file-kind", MAIN, '[service.x]\nfiles = { ful = "/etc/x" }\n', 2, "unknown key 'ful'", "fullchain"),
    Mistake("webroot", MAIN, '[http01]\nmode = "webroot"\n', 1, "'webroot' is missing", 'webroot = "/var/www/html"'),
    Mistake(
        "zone-without-quotes",
        MAIN,
        "[zone.example.com]\nttl = 5\n",
        1,
        "table in a table",
        'write [zone."example.com"]',
    ),
    Mistake("zone-method", MAIN, '[zone."example.com"]\nhook = "x"\n', 2, "has no meaning here", 'method = "hook"'),
    Mistake(
        "limit",
        MAIN,
        '[account.x]\ndirectory = "letsencrypt"\n[account.x.limits]\norders = "300"\n',
        4,
        "'orders' in [account.x.limits] is '300'",
    ),
    Mistake(
        "wildcard-by-http", BAD, 'names = ["*.example.com"]\nchallenge = "http-01"\n', 2, "by DNS alone", "[challenges]"
    ),
    Mistake(
        "challenge-of-another-name",
        BAD,
        'names = ["a.example.com"]\n[challenges]\n"b.example.com" = "dns-01"\n',
        3,
        "is none of 'names'",
        "did you mean 'a.example.com'?",
    ),
    Mistake("subject", BAD, 'names = ["a.example.com"]\nsubject = "O=x, C=GB"\n', 2, "must be a distinguished name"),
    Mistake("names-missing", BAD, 'account = "default"\n', 0, "'names' is missing", 'names = ["www.example.com"]'),
    Mistake("name", BAD, 'names = [\n"a.example.com",\n"a b.example.com" ]\n', 3, "'a b.example.com'"),
    Mistake(
        "service", BAD, 'names = ["a.example.com"]\nservices = ["ngnix"]\n', 2, "is no service", "did you mean 'nginx'?"
    ),
    Mistake(
        "no-account",
        BAD,
        'names = ["a.example.com"]\naccount = "defualt"\n',
        2,
        "is no account; known are default",
        "did you mean 'default'?",
    ),
    Mistake(
        "key-type",
        BAD,
        'names = ["a.example.com"]\nkey-type = "ecdsa-p265"\n',
        2,
        "'ecdsa-p265'",
        "did you mean 'ecdsa-p256'?",
    ),
]


@dataclass
class Host:
    """The machine as its administrator knows it."""

    machine: Machine

    def acmectl(self, *words: str) -> tuple[int, str]:
        done = self.machine.run(["acmectl", *words], check=False)
        return done.returncode, done.stdout + done.stderr

    def check(self) -> list[dict[str, object]]:
        """What `acmectl config check` finds; its exit code says whether that is anything."""
        done = self.machine.run(["acmectl", "config", "check", "--json"], check=False)
        found: list[dict[str, object]] = json.loads(done.stdout)["problems"]
        assert done.returncode == (1 if [problem for problem in found if not problem["note"]] else 0)
        return found

    def check_over_the_bus(self) -> list[list[object]]:
        call = ["busctl", "--json=short", "call", "org.acmed1", "/org/acmed1", "org.acmed1.Manager"]
        problems: list[list[object]] = json.loads(self.machine.run([*call, "CheckConfiguration"]).stdout)["data"][0]
        return problems

    def write(self, path: str, text: str, prepare: str = "") -> None:
        """A file with any bytes in it (as surrogates), and what is done to it then ($1)."""
        self.machine.run(["sh", "-c", 'printf %b "$2" >"$1"; chmod 644 "$1"', "sh", path, escaped(text)])
        if prepare:
            self.machine.run(["sh", "-c", prepare, "sh", path])


def escaped(text: str) -> str:
    """For printf %b."""
    return "".join(f"\\0{byte:o}" for byte in text.encode(errors="surrogateescape"))


@pytest.fixture(scope="module")
def host(machine: Machine, pebble: Pebble, account: str) -> Iterator[Host]:
    """With a good certificate."""
    machine.run(["acmectl", "order", GOOD, "--account", account])
    yield Host(machine)
    machine.run(["rm", "-f", MAIN, BAD])
    machine.run(["acmectl", "forget", GOOD])


@pytest.fixture
def clean(host: Host) -> Iterator[Host]:
    """Nothing is wrong before, and nothing afterwards."""
    assert host.check() == []
    yield host
    host.machine.run(["rm", "-rf", MAIN, BAD])
    assert host.check() == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.id)
def test_mistake(clean: Host, mistake: Mistake) -> None:
    clean.write(mistake.path, mistake.text, mistake.prepare)
    [problem] = [one for one in clean.check() if one["file"] == mistake.path]
    message, hint = str(problem["message"]), str(problem["hint"] or "")
    assert problem["line"] == (mistake.line or None)
    assert mistake.message in message
    assert mistake.hint in hint
    where = f"{mistake.path}:{mistake.line}" if mistake.line else mistake.path
    assert f"{where}: {message}" in clean.acmectl("config", "check")[1]
    assert [mistake.path, mistake.line, message, hint] in clean.check_over_the_bus()
    assert f"{where}: {message}" in clean.machine.journal("acmed.service")
    assert "Traceback" not in clean.machine.journal("acmed.service")


def test_broken_files_never_stop_the_others(clean: Host) -> None:
    """Each kind of file is broken; what is good is renewed, by hand and by the timer's unit."""
    before = clean.machine.read(f"/var/lib/acme/{GOOD}/cert.pem")
    clean.write(MAIN, "this is not TOML\n")
    clean.write(BAD, "names = 1\n")
    path = f"/etc/acmed/certificates.d/{GOOD}.toml"
    good = clean.machine.read(path)
    clean.machine.write(path, good.replace(f'"{GOOD}"', f'"{GOOD}", "www.{GOOD}"'))
    status, words = clean.acmectl("renew", "--due")
    assert status == 0, words
    renewed = clean.machine.read(f"/var/lib/acme/{GOOD}/cert.pem")
    assert renewed != before
    clean.machine.write(path, good)
    clean.machine.run(["systemctl", "start", "acme-renew.service"])
    assert clean.machine.read(f"/var/lib/acme/{GOOD}/cert.pem") != renewed

    assert clean.acmectl("status", GOOD)[0] == 0
    status, words = clean.acmectl("status", "configuration-bad")
    assert status == 1
    assert "State: failing" in words
    assert f"{BAD}:1: 'names' must be an array of strings" in words
    status, words = clean.acmectl("order", "--name", "configuration-bad")
    assert status == 1
    assert f"{BAD}:1:" in words
    clean.machine.run(["rm", BAD])
    assert clean.acmectl("status", "configuration-bad")[0] == 4, "it is gone with its file"
    status, words = clean.acmectl("status")
    assert status == 1, "what a file that does not count would have asked for, no certificate can tell"
    assert "Configuration: 1 problem, 'acmectl config check' says what to do:" in words
    assert f"{MAIN}:1: not valid TOML" in words


@pytest.mark.parametrize(
    ("option", "wrong", "known"), [("--service", "ngnix", "nginx"), ("--account", "defualt", "default")]
)
def test_an_order_with_an_unknown_name_lists_the_known_ones(clean: Host, option: str, wrong: str, known: str) -> None:
    status, words = clean.acmectl("order", "configuration-unknown.example.com", option, wrong)
    assert status != 0
    assert f"'{wrong}'" in words
    assert known in words.replace(",", " ").replace("?", " ").replace("'", " ").replace(";", " ").split()
    assert "Traceback" not in words
    assert "configuration-unknown" not in clean.acmectl("list")[1]


@pytest.fixture
def copied(clean: Host) -> Iterator[Host]:
    """A service with files where acme-privd may not write."""
    machine = clean.machine
    machine.run(["mkdir", COPIES])
    clean.write(MAIN, f'[service.configuration]\nfiles = {{ combined = "{COPIES}/{{name}}.pem" }}\n')
    path = f"/etc/acmed/certificates.d/{GOOD}.toml"
    before = machine.read(path)
    machine.write(path, f'{before}services = ["configuration"]\n')
    yield clean
    machine.write(path, before)
    machine.run(["rm", "-rf", COPIES, "/etc/systemd/system/acme-privd.service.d"])
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "stop", "acme-privd.service"])


def test_the_drop_in_to_paste_makes_it_work(copied: Host) -> None:
    """While acme-privd runs, as it does for a while after each use."""
    machine = copied.machine
    status, words = copied.acmectl("renew", GOOD)
    assert status == 8, words
    assert state(machine, "acme-privd.service") == "active"
    [problem] = copied.check()
    assert (problem["file"], problem["line"]) == (MAIN, 2)
    assert f"[service.configuration] has files in {COPIES}" in str(problem["message"])
    what_to_do, *drop_in = str(problem["hint"]).split("\n")
    path, commands = what_to_do.removeprefix("write this to ").split(", then run: ")
    machine.write(path, "\n".join(drop_in) + "\n")
    machine.run(["sh", "-c", commands])
    assert copied.check() == []
    status, words = copied.acmectl("renew", GOOD)
    assert status == 0, words
    machine.run(["sh", "-c", f"cd /var/lib/acme/{GOOD}; cat privkey.pem fullchain.pem | cmp - {COPIES}/{GOOD}.pem"])


ACCOUNT = "configuration"
ACCOUNT_FILE = f"/etc/acmed/acmed.toml.d/account-{ACCOUNT}.toml"
SEALED = f"/etc/credstore.encrypted/acmed.accounts/{ACCOUNT}"


@pytest.fixture
def keyless(clean: Host, pebble: Pebble) -> Iterator[Host]:
    """An account that somebody configured by hand, without a key."""
    text = f'[account.{ACCOUNT}]\ndirectory = "{pebble.directory}"\nca-file = "{pebble.ca_file}"\n'
    clean.write(ACCOUNT_FILE, text)
    yield clean
    clean.machine.run(["rm", "-f", ACCOUNT_FILE, SEALED, f"/etc/acmed/ca/{ACCOUNT}.pem", "/root/KEY.pem"])
    clean.machine.run(["systemctl", "stop", "acme-keyd.service"])


def commands_for_a_key(host: Host) -> tuple[str, str]:
    """What `config check` prints for the account: what makes a new key, and what brings one along."""
    [problem] = host.check()
    assert (problem["file"], problem["line"]) == (ACCOUNT_FILE, 1)
    assert f"account '{ACCOUNT}' has no key: {SEALED} is missing" in str(problem["message"])
    _, add, bring = str(problem["hint"]).split("\n")
    return add, bring


def test_the_command_for_a_missing_key_makes_one(keyless: Host) -> None:
    add, _ = commands_for_a_key(keyless)
    keyless.machine.run(shlex.split(add))
    assert keyless.check() == []
    order_with_it(keyless, "new")


def test_the_command_for_a_missing_key_brings_one_along(keyless: Host) -> None:
    _, bring = commands_for_a_key(keyless)
    machine = keyless.machine
    make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "/root/KEY.pem"]
    machine.run(make)
    bring = bring.replace(" KEY", " /root/KEY.pem")
    result = machine.run(shlex.split(bring), check=False)
    assert result.returncode != 0, "the CA does not know the key"
    assert "--agree-tos" in result.stderr
    machine.run([*shlex.split(bring), "--agree-tos"])
    assert keyless.check() == []
    sealed = f"systemd-creds decrypt --name=account_{ACCOUNT} {SEALED} - | openssl pkey -pubout"
    given = "openssl pkey -in /root/KEY.pem -pubout"
    assert machine.run(["sh", "-c", sealed]).stdout == machine.run(["sh", "-c", given]).stdout
    order_with_it(keyless, "brought")


def order_with_it(host: Host, what: str) -> None:
    name = f"configuration-{what}.example.com"
    status, words = host.acmectl("order", name, "--account", ACCOUNT)
    assert status == 0, words
    assert host.acmectl("forget", name)[0] == 0


TSIG = "/etc/credstore.encrypted/acmed.dns/configuration"
HOOK = "/etc/acmed/hooks.d/configuration"
RECORDS = "/var/lib/configuration-records"


@pytest.fixture
def zones(clean: Host) -> Iterator[Host]:
    """A zone of each method, and nothing on the host of what they need."""
    text = f"""[zone."a.example"]
key = "configuration"
[zone."b.example"]
method = "local"
directory = "{RECORDS}"
reload = ["/bin/true", "{{zone}}"]
[zone."c.example"]
method = "hook"
hook = "configuration"
"""
    clean.write(MAIN, text)
    yield clean
    clean.machine.run(["rm", "-rf", MAIN, TSIG, HOOK, RECORDS, "/root/KEY.conf"])


def test_what_zones_need_is_told_until_it_is_there(zones: Host) -> None:
    machine = zones.machine
    missing = {
        2: f"zone a.example has no key 'configuration': {TSIG} is missing",
        5: f"the directory {RECORDS} is not there",
        9: f"{HOOK} is not there",
    }
    problems = {problem["line"]: problem for problem in zones.check()}
    assert {line: problem["message"] for line, problem in problems.items()} == missing
    seal = str(problems[2]["hint"]).splitlines()[1]
    machine.write("/root/KEY.conf", 'key "configuration" { algorithm hmac-sha256; secret "c2VjcmV0"; };\n')
    machine.run(["sh", "-c", f"cd /root && {seal}"])
    machine.run(["sh", "-c", str(problems[5]["hint"])])
    machine.write(HOOK, "#!/bin/sh\n")
    machine.run(["chmod", "644", HOOK])
    [problem] = zones.check()
    assert problem["message"] == f"{HOOK} is not executable"
    machine.run(shlex.split(str(problem["hint"])))
    assert zones.check() == []
    sealed = machine.run(["systemd-creds", "decrypt", "--name=tsig_configuration", TSIG, "-"]).stdout
    assert sealed == machine.read("/root/KEY.conf")


def test_a_zone_without_a_key_is_noted_and_no_failure(clean: Host) -> None:
    clean.write(MAIN, '[zone."a.example"]\n')
    [problem] = clean.check()
    assert problem["note"]
    assert "has no 'key'" in str(problem["message"])
    assert clean.acmectl("config", "check")[0] == 0
