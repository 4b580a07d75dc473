# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `acmectl config check` finds on the host."""

import os
import subprocess
from pathlib import Path

import pytest

from acmed.config import Problem, delivery, sandbox
from acmed.config.check import check
from tests.unit.config.place import NGINX, STAGING, Place

GOOD = 'names = ["www.example.com"]\nservices = ["nginx"]\n'


SEALED = "c2VhbGVkIGJ5IHN5c3RlbWQt\nY3JlZHM=\n"


def _line(problem: Problem) -> tuple[str, int, str, str, bool]:
    return problem.path.name, problem.line, problem.message, problem.hint, problem.note


def _keys(tmp_path: Path, *accounts: str) -> Path:
    """What is /etc/credstore.encrypted, with keys of these accounts."""
    directory = tmp_path / "acmed.accounts"
    directory.mkdir()
    for account in accounts:
        (directory / account).write_text(SEALED)
    return tmp_path


def _certificate_pem(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=CA -keyout /dev/null -out"
    subprocess.run([*command.split(), path], check=True, capture_output=True)
    return path.read_text()


def test_good(tmp_path: Path) -> None:
    webroot = tmp_path / "www"
    webroot.mkdir()
    ca = tmp_path / "bundle.pem"
    ca.write_text(f"# Zertifizierungsstelle für Tests\n{_certificate_pem(tmp_path)}")
    ca.chmod(0o644)
    main = f'[http01]\nmode = "webroot"\nwebroot = "{webroot}"\n{STAGING}ca-file = "{ca}"\n'
    place = Place(tmp_path, main, NGINX + 'group = "root"\n')
    place.write("certificates.d/www.toml", GOOD)
    assert check(place.load(), _keys(tmp_path, "staging", "other")) == ()


def test_nothing_configured(tmp_path: Path) -> None:
    assert check(Place(tmp_path, "", "").load(), tmp_path / "nothing") == ()


@pytest.mark.parametrize(
    ("directory", "unit", "credential"),
    [
        ("acmed.accounts", "acme-keyd.service", "account"),
        ("acmed.next-accounts", "acme-keyd.service", "next"),
        ("acmed.bindings", "acme-keyd.service", "binding"),
        ("acmed.dns", "acme-dnsd.service", "tsig"),
        ("acmed.passphrases", "acme-store-file.service and acme-store-gpg.service", "passphrase"),
        ("acmed.pins", "acme-store-pkcs11.service", "pin"),
        ("acmed.ssh-keys", "acme-store-ssh.service", "sshkey"),
    ],
)
@pytest.mark.parametrize("content", [b'key "ns1" { };\n', b"\xff\xfe", b""])
def test_what_keeps_a_daemon_from_starting(
    tmp_path: Path, directory: str, unit: str, credential: str, content: bytes
) -> None:
    """systemd starts no unit one of whose credentials cannot be decrypted, whether anything needs that one or not."""
    (tmp_path / directory).mkdir()
    (tmp_path / directory / "good").write_text(SEALED)
    loaded = Place(tmp_path, "", "").load()
    assert check(loaded, tmp_path) == ()
    path = tmp_path / directory / "a b"
    path.write_bytes(content)
    [problem] = check(loaded, tmp_path)
    assert problem == Problem(
        path,
        0,
        f"is not sealed, and keeps {unit} from starting",
        f"move it away, or seal it: systemd-creds encrypt '--name={credential}_a b' --tpm2-pcrs=23 FILE '{path}'",
    )


def test_group(tmp_path: Path) -> None:
    place = Place(tmp_path, shipped=NGINX + 'group = "no-such-group"\n')
    assert check(place.load(), _keys(tmp_path, "staging")) == (), "no certificate uses it"
    place.write("certificates.d/www.toml", GOOD)
    place.write("certificates.d/www2.toml", GOOD)
    assert list(map(_line, check(place.load(), tmp_path))) == [
        (
            "shipped.toml",
            3,
            "there is no group 'no-such-group' here, and www, www2 would give it the private key",
            "install what makes the group, or remove 'nginx' from their 'services'",
            False,
        )
    ]


@pytest.mark.parametrize("name", ["acmed.toml", "acmed.toml.d/more.toml", "certificates.d/www.toml"])
def test_file_that_only_root_can_read(tmp_path: Path, name: str) -> None:
    """acme-keyd and the others have users of their own: for them it would not be there."""
    place = Place(tmp_path, "[defaults]\npreflight = false\n")
    place.write("acmed.toml.d/more.toml", "[http01]\n")
    place.write("certificates.d/www.toml", 'names = ["www.example.com"]\n')
    path = place.etc / name
    path.chmod(0o600)
    found = [problem for problem in check(place.load(), _keys(tmp_path)) if "readable" in problem.message]
    assert [(problem.path, problem.hint) for problem in found] == [(path, f"chmod a+r {path}; no secret belongs in it")]


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [
        (None, 0o644, "cannot be read: No such file or directory"),
        ("", 0o644, "has no certificates in PEM format in it"),
        ("nothing\n", 0o644, "has no certificates in PEM format that can be read"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644, "has no certificates in PEM format"),
        ("good", 0o600, "must be readable by all users (chmod a+r): acme-clientd has a user of its own"),
    ],
)
def test_ca_file(tmp_path: Path, content: str | None, mode: int, fault: str) -> None:
    ca = tmp_path / "bundle.pem"
    if content is not None:
        ca.write_text(_certificate_pem(tmp_path) if content == "good" else content)
        ca.chmod(mode)
    place = Place(tmp_path, f'{STAGING}ca-file = "{ca}"\n')
    [problem] = check(place.load(), _keys(tmp_path, "staging"))
    assert (problem.path, problem.line, problem.hint) == (place.etc / "acmed.toml", 3, "")
    assert problem.message.startswith(f"{ca} {fault}")


def test_ca_file_that_is_a_directory(tmp_path: Path) -> None:
    place = Place(tmp_path, f'{STAGING}ca-file = "{tmp_path}"\n')
    [problem] = check(place.load(), _keys(tmp_path, "staging"))
    assert problem.message == f"{tmp_path} is not a plain file"


def test_account_without_a_key_at_a_private_ca(tmp_path: Path) -> None:
    """What makes the key would otherwise forget what authenticates the CA."""
    place = Place(tmp_path, f'{STAGING}ca-file = "{tmp_path}/my ca.pem"\n')
    *_, problem = check(place.load(), _keys(tmp_path))
    assert f" --directory letsencrypt-staging --ca-file '{tmp_path}/my ca.pem' --agree-tos\n" in problem.hint


def test_account_without_a_key(tmp_path: Path) -> None:
    place = Place(
        tmp_path, f"""{STAGING}contact = ["it's@example.com"]\n[account.ca]\ndirectory = "https://ca.example/?a&b"\n"""
    )
    keys = _keys(tmp_path) / "acmed.accounts"
    (keys / "ca").touch()
    hints = [
        "make an account with a new key, or bring the key along that it has:\n"
        f"acmectl account add {name} --directory {directory}{contact} --agree-tos\n"
        f"acmectl account import --name {name} --directory {directory} KEY"
        for name, directory, contact in (
            ("staging", "letsencrypt-staging", """ --contact 'it'"'"'s@example.com'"""),
            ("ca", "'https://ca.example/?a&b'", ""),
        )
    ]
    missing, empty, unsealed = map(_line, check(place.load(), tmp_path))
    assert missing == ("acmed.toml", 1, f"account 'staging' has no key: {keys}/staging is missing", hints[0], False)
    assert empty == ("acmed.toml", 4, f"account 'ca' has no key: {keys}/ca is empty", hints[1], False)
    assert unsealed[0] == "ca"
    assert len(check(place.load(), tmp_path / "nothing")) == 2


def test_keys_that_are_not_to_be_seen_are_a_note(tmp_path: Path) -> None:
    """As for a user without rights: here, because it is no directory."""
    for name in ("acmed.accounts", "acmed.bindings", "acmed.dns"):
        (tmp_path / name).write_text("")
    bound = 'eab-key-id = "kid-1"\n[zone."example.com"]\nkey = "ns"\n'
    messages = {
        "acmed.accounts": "whether each account has a key is not checked: Not a directory",
        "acmed.bindings": "whether each account with 'eab-key-id' has its HMAC key is not checked: Not a directory",
        "acmed.dns": "whether each [zone] has its key is not checked: Not a directory",
    }
    assert list(map(_line, check(Place(tmp_path, STAGING + bound).load(), tmp_path))) == [
        (name, 0, message, "check as root", True) for name, message in messages.items()
    ]


def _with_files(tmp_path: Path, files: str, *names: str) -> Place:
    place = Place(tmp_path, shipped=f"{NGINX}files = {{ {files} }}\n")
    for name in names:
        place.write(f"certificates.d/{name}.toml", GOOD)
    return place


def test_files_where_the_unit_may_write(tmp_path: Path) -> None:
    place = _with_files(tmp_path, 'combined = "/usr/bin/{name}.pem"', "www")
    for writable in ((Path("/usr"),), (Path("/nothing"), Path("/usr/bin")), (Path("/bin/"),), (Path("/"),), None):
        assert delivery.files(place.load(), writable) == []


def test_files_where_the_unit_may_not_write(tmp_path: Path) -> None:
    place = _with_files(tmp_path, 'combined = "/var/lib/apt/{name}.pem", cert = "/var/lib/dpkg/{name}"', "www", "www2")
    hint = (
        "write this to /etc/systemd/system/acme-privd.service.d/nginx.conf, then run:"
        " systemctl daemon-reload && systemctl try-restart acme-privd.service\n"
        "[Service]\n"
        "ReadWritePaths=-/var/lib/apt -/var/lib/dpkg"
    )
    message = "[service.nginx] has files in /var/lib/apt, /var/lib/dpkg, where acme-privd.service may not write"
    problems = delivery.files(place.load(), (Path("/var/lib/acme"), Path("/var/lib/ap")))
    assert list(map(_line, problems)) == [("shipped.toml", 3, message, hint, False)]
    assert str(problems[0]).splitlines()[-1] == "    ReadWritePaths=-/var/lib/apt -/var/lib/dpkg"
    assert delivery.files(_with_files(tmp_path / "unused", 'cert = "/var/lib/apt/x"').load(), ()) == []


@pytest.mark.parametrize(
    ("directory", "wide"),
    [
        ("/", True),
        ("/etc", True),
        ("/srv", True),
        ("/etc/", True),
        ("/etc/x/..", True),
        ("/usr/bin", True),
        ("/usr/lib/x/y", True),
        ("/bin", True),
        ("/boot/efi", True),
        ("/etc/ssl", True),
        ("/etc/ssl/certs", True),
        ("/etc/systemd/system", True),
        ("/var/lib", True),
        ("/var/www", True),
        ("/usr/local/etc", True),
        ("/usr/local/bin/x", True),
        ("/etc/ssl/private", False),
        ("/etc/nginx", False),
        ("/etc/nginx/tls", False),
        ("/srv/tls", False),
        ("/var/lib/haproxy", False),
        ("/usr/local/etc/nginx", False),
    ],
)
def test_directories_that_many_programs_share(directory: str, wide: bool) -> None:
    assert sandbox.is_shared(Path(directory)) is wide


def test_link_to_a_directory_that_many_programs_share(tmp_path: Path) -> None:
    (tmp_path / "tls").symlink_to("/etc")
    assert sandbox.is_shared(tmp_path / "tls")
    assert sandbox.is_shared(Path("/etc/../etc"))


def test_files_where_nobody_should_let_the_unit_write(tmp_path: Path) -> None:
    place = _with_files(tmp_path, 'cert = "/etc/{name}.pem", chain = "/var/lib/dpkg/{name}"', "www")
    said = "where acme-privd.service may not write"
    narrow, wide = (_line(problem) for problem in delivery.files(place.load(), ()))
    assert narrow[2:4] == (
        f"[service.nginx] has files in /var/lib/dpkg, {said}",
        "write this to /etc/systemd/system/acme-privd.service.d/nginx.conf, then run:"
        " systemctl daemon-reload && systemctl try-restart acme-privd.service\n"
        "[Service]\nReadWritePaths=-/var/lib/dpkg",
    )
    assert wide[2:4] == (
        f"[service.nginx] has files in /etc, {said}, and is not to be let: many programs have their files there",
        "use a directory for certificates alone, such as /etc/NAME",
    )
    each = _with_files(tmp_path / "each", 'cert = "/etc/{name}/x.pem", chain = "/etc/apt/{name}.pem"', "ssl.d", "apt")
    [problem] = [one for one in delivery.files(each.load(), ()) if "\n" in one.hint]
    assert problem.hint.endswith("ReadWritePaths=-/etc/apt -/etc/ssl.d"), "not all of /etc for the names of directories"


def test_drop_in_is_enough(tmp_path: Path) -> None:
    """What the hint says to paste, read as systemd would, makes the problem go away; also for odd paths."""
    directory = tmp_path / "a b%c'd"
    (directory / "www").mkdir(parents=True)
    written = str(directory).replace("%", "%%")
    place = _with_files(tmp_path, f'cert = "{written}/{{name}}/x.pem", key = 1'.removesuffix(", key = 1"), "www")
    [problem] = [p for p in delivery.files(place.load(), ()) if "\n" in p.hint]
    units = tmp_path / "root/systemd/system"
    (units / f"{sandbox.UNIT}.d").mkdir(parents=True)
    (units / sandbox.UNIT).write_text("[Service]\nReadWritePaths=/var/lib/acme\n")
    (units / f"{sandbox.UNIT}.d/nginx.conf").write_text(problem.hint.split("\n", 1)[1])
    writable = sandbox.from_files((tmp_path / "root",))
    assert writable == (Path("/var/lib/acme"), directory)
    assert [p for p in delivery.files(place.load(), writable) if "\n" in p.hint] == []


def test_directory_of_files(tmp_path: Path) -> None:
    missing, other, plain = tmp_path / "missing", tmp_path / "other", tmp_path / "plain"
    other.mkdir()
    plain.write_text("")
    if os.geteuid() == 0:
        os.chown(other, 65534, 65534)
    files = f'cert = "{missing}/x", chain = "{other}/x", fullchain = "{plain}/x", combined = "/usr/bin"'
    owner = other.stat().st_uid
    override = "where acme-privd.service may not write: it has no right to override"
    assert [_line(problem)[2:4] for problem in delivery.files(_with_files(tmp_path, files, "www").load(), None)] == [
        (f"the directory {missing} is not there", f"mkdir -p {missing} && systemctl try-restart {sandbox.UNIT}"),
        (f"{other} belongs to user {owner}, {override}", f"chown root {other}"),
        (f"{plain} is not a directory", ""),
        ("/usr/bin is a directory, and must be the path of a file", "such as /usr/bin/{name}.pem"),
    ]


def test_files_where_the_unit_does_not_look(tmp_path: Path) -> None:
    place = _with_files(tmp_path, 'cert = "/var/tmp/{name}.pem", chain = "/var/tmpx/{name}.pem"')
    message = "/var/tmp/{name}.pem is in /var/tmp, which acme-privd.service does not see"
    expected = ("shipped.toml", 3, message, "use a directory such as /etc/NAME", False)
    assert list(map(_line, check(place.load(), _keys(tmp_path, "staging")))) == [expected]


def test_file_of_two_certificates(tmp_path: Path) -> None:
    place = _with_files(tmp_path, 'cert = "/usr/bin/x.pem", chain = "/usr/bin/{name}.pem"', "one", "two")
    message = "/usr/bin/x.pem is written for certificate one (service nginx) and certificate two (service nginx)"
    expected = [("shipped.toml", 3, message, "put {name} into the path", False)]
    assert list(map(_line, delivery.files(place.load(), None))) == expected


def test_unit_files(tmp_path: Path) -> None:
    """The first file of a name counts, drop-ins in the order of their names; an empty assignment forgets the others."""
    low, high = tmp_path / "low/systemd/system", tmp_path / "high/systemd/system"
    search = (tmp_path / "high", tmp_path / "low")
    assert sandbox.from_files(search) is None
    for path, text in (
        (
            low / sandbox.UNIT,
            "[Unit]\nReadWritePaths=/not\n[Service]\nReadWritePaths=/a -/b\nReadWritePaths = +/c \\\n /d\n",
        ),
        (low / "service.d/20-x.conf", "[Service]\nReadWritePaths=/hidden\n"),
        (low / "acme-.service.d/20-x.conf", "[Service]\n# ReadWritePaths=/comment\nReadWritePaths=/all-acme\n"),
        (low / f"{sandbox.UNIT}.d/10-x.conf", "[Service]\nReadWritePaths=/hidden\n"),
        (high / f"{sandbox.UNIT}.d/10-x.conf", '[Service]\nReadWritePaths="-/with blank" /e%%f\n'),
        (high / f"{sandbox.UNIT}.d/readme", "[Service]\nReadWritePaths=/no\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    expected = ("/a", "/b", "/c", "/d", "/with blank", "/e%f", "/all-acme")
    assert sandbox.from_files(search) == tuple(map(Path, expected))
    (high / f"{sandbox.UNIT}.d/15-reset.conf").write_text("[Service]\nReadWritePaths=\n")
    assert sandbox.from_files(search) == (Path("/all-acme"),)


def test_printed_problem() -> None:
    path = Path("/etc/acmed/acmed.toml")
    assert str(Problem(path, 3, "wrong")) == "/etc/acmed/acmed.toml:3: wrong"
    assert str(Problem(path, 0, "wrong", "do this")) == "/etc/acmed/acmed.toml: wrong (do this)"
    assert str(Problem(path, 1, "seen", note=True)) == "/etc/acmed/acmed.toml:1: note: seen"
    assert (
        str(Problem(path, 1, "wrong", "paste:\n[x]\ny")) == "/etc/acmed/acmed.toml:1: wrong\n    paste:\n    [x]\n    y"
    )


def _own(tmp_path: Path, text: str) -> Place:
    place = Place(tmp_path)
    place.write("certificates.d/www.toml", f"{GOOD}{text}")
    return place


def test_own_files(tmp_path: Path) -> None:
    """A certificate's: as those of a service."""
    text = 'files = { cert = "/var/lib/dpkg/{name}.pem", chain = "/srv/nothing/x", fullchain = "/var/tmp/x" }\n'
    place = _own(tmp_path, text)
    hint = (
        "write this to /etc/systemd/system/acme-privd.service.d/certificate-www.conf, then run:"
        " systemctl daemon-reload && systemctl try-restart acme-privd.service\n"
        "[Service]\n"
        "ReadWritePaths=-/srv/nothing -/var/lib/dpkg"
    )
    made = "mkdir -p /srv/nothing && systemctl try-restart acme-privd.service"
    shared = (
        "certificate www has files in /var/tmp, where acme-privd.service may not write, and is not to be let:"
        " many programs have their files there"
    )
    message = "certificate www has files in /srv/nothing, /var/lib/dpkg, where acme-privd.service may not write"
    assert list(map(_line, delivery.files(place.load(), ()))) == [
        ("www.toml", 3, "the directory /srv/nothing is not there", made, False),
        ("www.toml", 3, message, hint, False),
        ("www.toml", 3, shared, "use a directory for certificates alone, such as /etc/NAME", False),
    ]
    message = "/var/tmp/x is in /var/tmp, which acme-privd.service does not see"
    expected = ("www.toml", 3, message, "use a directory such as /etc/NAME", False)
    assert list(map(_line, delivery.hidden(place.load()))) == [expected]


def test_own_file_that_is_a_services_too(tmp_path: Path) -> None:
    place = _with_files(tmp_path, 'cert = "/usr/bin/{name}.pem"', "www", "www2")
    place.write("certificates.d/www2.toml", 'names = ["x.example.com"]\n[files]\nchain = "/usr/bin/www.pem"\n')
    message = "/usr/bin/www.pem is written for certificate www (service nginx) and certificate www2"
    expected = [("www2.toml", 2, message, "put {name} into the path", False)]
    assert list(map(_line, delivery.files(place.load(), None))) == expected


def test_own_owner_and_group(tmp_path: Path) -> None:
    place = _own(tmp_path, 'owner = "nosuchuser"\ngroup = "nosuchgroup"\n')
    keys = _keys(tmp_path, "staging")
    assert list(map(_line, check(place.load(), keys))) == [
        ("www.toml", 3, "there is no user 'nosuchuser' here", "install what makes the user", False),
        ("www.toml", 4, "there is no group 'nosuchgroup' here", "install what makes the group", False),
    ]
    place.write("certificates.d/www.toml", f'{GOOD}owner = "nobody"\ngroup = "root"\n')
    assert check(place.load(), keys) == ()


def test_hook_of_a_service(tmp_path: Path) -> None:
    place = Place(tmp_path, shipped=f'{NGINX}hook = "push"\n')
    [problem] = check(place.load(), _keys(tmp_path, "staging"), tmp_path)
    assert _line(problem) == ("shipped.toml", 3, f"{tmp_path}/push is not there", "", False)


def test_mode_does_not_take_the_key_from_a_service(tmp_path: Path) -> None:
    """Whose group it is for: its next reload would fail. A provided key has a mode of its own."""
    place = Place(tmp_path, f'{STAGING}[service.web]\ngroup = "www-data"\n')
    key = '\nkey-file = "/etc/ssl/private/x.pem"'
    for name, more in (("taken", ""), ("provided", key)):
        place.write(
            f"certificates.d/{name}.toml", f'names = ["{name}.example.com"]\nservices = ["web"]\nmode = "0600"{more}'
        )
    loaded = place.load()
    assert list(loaded.configuration.certificates) == ["provided"]
    [problem] = loaded.problems
    assert (problem.path.name, problem.line) == ("taken.toml", 3)
    assert problem.message == "'mode' '0600' keeps the key from the group 'www-data'; it must be 0440 or 0640"


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("etc", 0o700),
        ("etc/acmed.toml.d", 0o700),
        ("etc/certificates.d", 0o750),
        ("etc/certificates.d", 0o711),
        ("etc/certificates.d", 0o744),
        ("etc/ca", 0o700),
        ("usr", 0o750),
        ("usr/services.d", 0o700),
    ],
)
def test_directory_that_is_closed_to_the_daemons(tmp_path: Path, name: str, mode: int) -> None:
    loaded, path = Place(tmp_path, "", "").load(), tmp_path / name
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    message = "is closed to acmed's daemons, which have users of their own: nothing in it counts"
    hint = f"chmod a+rx {path}; no secret belongs in it"
    assert check(loaded, tmp_path / "nothing") == (Problem(path, 0, message, hint),)
    path.chmod(0o755)
    assert check(loaded, tmp_path / "nothing") == ()


def test_directory_that_may_be_entered_and_not_listed(tmp_path: Path) -> None:
    loaded = Place(tmp_path, "", "").load()
    loaded.etc.chmod(0o711)
    assert check(loaded, tmp_path / "nothing") == ()


def test_directory_that_nobody_can_read_is_told_once(tmp_path: Path) -> None:
    place = Place(tmp_path, "", "")
    path = place.etc / "certificates.d"
    path.rmdir()
    path.write_text("")
    path.chmod(0o700)
    loaded = place.load()
    assert [problem.path for problem in (*loaded.problems, *check(loaded, tmp_path / "nothing"))] == [path]
