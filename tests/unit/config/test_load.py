# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a good configuration means, how files are laid over each other, and that nothing makes load() fail."""

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from acmed.config import Account, Certificate, Http01, Service, load, schema
from acmed.config.model import (
    Action,
    ChallengeType,
    Deadlines,
    ExternalBinding,
    Http01Mode,
    KeyType,
    Limits,
    Notify,
    Propagation,
    Rate,
    Zone,
    ZoneMethod,
)
from acmed.names import Identifier
from tests.unit.config.place import NGINX, STAGING, Place

ROOT = Path(__file__).parents[3]

FULL = """
firewall = "off"

[defaults]
account = "own"
key-type = "ecdsa-p384"
reuse-key = true
services = ["nginx"]

[log-level]
acme-keyd = "debug"

[http01]
mode = "webroot"
webroot = "/var/www/html"

[account.own]
directory = "https://ca.example:14000/dir"
contact = ["admin@example.com", "mailto:ops@bücher.example"]
uri = "https://ca.example:14000/acct/1"
ca-file = "/etc/acmed/ca/own.pem"
proxy = "http://proxy.example:3128/"

[account.production]
directory = "letsencrypt"

[service.own]
units = ["own@a.service", "other.socket"]
action = "restart"
group = "Debian-exim"
mode = "0440"
files = { combined = "/etc/own/{name}/all.pem" }
"""


def test_all_of_it(tmp_path: Path) -> None:
    place = Place(tmp_path, FULL)
    path = place.write("certificates.d/www.toml", 'names = ["WWW.Bücher.example.", "192.0.2.1", "2001:DB8::0"]')
    other = place.write(
        "certificates.d/other.toml",
        'names = ["*.example.com"]\naccount = "production"\nkey-type = "rsa-2048"\nreuse-key = false\nservices = []',
    )
    loaded = place.load()
    assert loaded.problems == ()
    configuration = loaded.configuration
    assert configuration.default_account == "own"
    assert configuration.firewall is False
    assert configuration.log_level("acme-keyd") == "debug"
    assert configuration.log_level("acmed") == "info"
    assert configuration.http01 == Http01(Http01Mode.WEBROOT, "/var/www/html")
    assert configuration.accounts["own"] == Account(
        "own",
        "https://ca.example:14000/dir",
        ("mailto:admin@example.com", "mailto:ops@xn--bcher-kva.example"),
        "https://ca.example:14000/acct/1",
        Path("/etc/acmed/ca/own.pem"),
        "http://proxy.example:3128",
    )
    assert configuration.accounts["production"].directory == "https://acme-v02.api.letsencrypt.org/directory"
    assert configuration.services["own"] == Service(
        "own",
        ("own@a.service", "other.socket"),
        Action.RESTART,
        "Debian-exim",
        0o440,
        {"combined": "/etc/own/{name}/all.pem"},
    )
    assert configuration.services["own"].targets("www") == {"combined": Path("/etc/own/www/all.pem")}
    assert configuration.certificates == {
        "other": Certificate(
            "other", other, (Identifier("dns", "*.example.com"),), "production", KeyType.RSA_2048, False, ()
        ),
        "www": Certificate(
            "www",
            path,
            (
                Identifier("dns", "www.xn--bcher-kva.example"),
                Identifier("ip", "192.0.2.1"),
                Identifier("ip", "2001:db8::"),
            ),
            "own",
            KeyType.ECDSA_P384,
            True,
            ("nginx",),
        ),
    }


ACME = """
[defaults]
account = "own"
failover = ["other"]
challenge = "dns-01"
preflight = false
profile = "shortlived"
must-staple = true
renew-before = 0.5
preferred-chain = "ISRG Root X1"
validity-days = 7
backdate-hours = 12

[http01]
webroot = "/srv/{zone}/{host}/{fqdn}"
webroots = { "Bücher.example" = "/srv/books", "2001:DB8::1" = "/srv/v6" }

[notify]
hook = "tell"
mail = "root@bücher.example"

[account.own]
directory = "letsencrypt"
eab-key-id = "kid-1"
eab-algorithm = "HS384"
authorize = ["a.example.com", "*.B.example"]
[account.own.limits]
orders = "20/1d"
failures = "none"
[account.own.deadlines]
finalize = 3600

[account.other]
directory = "https://ca.example/dir"
eab-key-id = "kid-2"
limits = { certificates = "1/90s" }

[zone."Example.COM."]
server = "NS1.example.net."
port = 5353
key = "ns1"
ttl = 0
timeout = 600
propagation = 120
[zone.lan]
server = "2001:DB8::35"
propagation = "skip"
[zone."bücher.example"]
method = "local"
directory = "/var/lib/bind/challenges"
reload = ["/usr/sbin/rndc", "reload", "{zone}", "in {zone}"]
[zone."_acme-challenge.example.org"]
method = "hook"
hook = "provider.sh"
timeout = 90
"""


def test_all_that_acme_has(tmp_path: Path) -> None:
    loaded = Place(tmp_path, ACME, "").load()
    assert loaded.problems == ()
    configuration = loaded.configuration
    assert configuration.notify == Notify("tell", "root@xn--bcher-kva.example")
    assert configuration.http01 == Http01(
        Http01Mode.STANDALONE,
        "/srv/{zone}/{host}/{fqdn}",
        {"xn--bcher-kva.example": "/srv/books", "2001:db8::1": "/srv/v6"},
    )
    own, other = configuration.accounts["own"], configuration.accounts["other"]
    assert own.external == ExternalBinding("kid-1", "HS384")
    assert own.authorize == (Identifier("dns", "a.example.com"), Identifier("dns", "*.b.example"))
    week = 7 * 86400
    assert own.limits == Limits(Rate(20, 86400), Rate(50, week), Rate(5, week), None)
    assert own.deadlines == Deadlines(finalize=3600)
    assert other.external == ExternalBinding("kid-2", "HS256")
    assert (other.limits, other.deadlines) == (Limits(certificates=Rate(1, 90)), Deadlines())
    assert configuration.zones == {
        "example.com": Zone("example.com", ZoneMethod.UPDATE, "ns1.example.net", 5353, "ns1", 0, 600, 120),
        "lan": Zone("lan", server="2001:db8::35", propagation=Propagation.SKIP),
        "xn--bcher-kva.example": Zone(
            "xn--bcher-kva.example",
            ZoneMethod.LOCAL,
            directory=Path("/var/lib/bind/challenges"),
            reload=("/usr/sbin/rndc", "reload", "{zone}", "in {zone}"),
        ),
        "_acme-challenge.example.org": Zone(
            "_acme-challenge.example.org", ZoneMethod.HOOK, timeout=90, hook="provider.sh"
        ),
    }
    found = configuration.zone_above("_acme-challenge.www.example.com")
    assert found is not None
    assert found.name == "example.com"


def test_a_certificate_takes_from_the_defaults_what_it_does_not_say(tmp_path: Path) -> None:
    place = Place(tmp_path, ACME, "")
    path = place.write("certificates.d/takes.toml", 'names = ["www.example.com"]')
    other = place.write(
        "certificates.d/says.toml",
        """
names = ["*.example.com", "example.com", "2001:db8::1", "www.bücher.example"]
account = "other"
challenge = "http-01"
preflight = true
profile = "classic"
must-staple = false
renew-before = 30
preferred-chain = "96:BC:EC:06:26:49:76:F3:74:60:77:9A:CF:28:C5:A7:CF:E8:A3:C0:AA:E1:1A:8F:FC:EE:05:C0:BD:DF:08:C6"
validity-days = 90
backdate-hours = 1
common-name = "WWW.Bücher.example"
subject = "O=Bücher\\\\, Ltd.,C=GB"
key-file = "/etc/ssl/private/www.key"

[challenges]
"*.Example.com" = "dns-persist-01"
"2001:DB8:0::1" = "tls-alpn-01"
""",
    )
    loaded = place.load()
    assert loaded.problems == ()
    assert loaded.configuration.certificates == {
        "takes": Certificate(
            "takes",
            path,
            (Identifier("dns", "www.example.com"),),
            "own",
            failover=("other",),
            challenge=ChallengeType.DNS_01,
            preflight=False,
            profile="shortlived",
            must_staple=True,
            renew_before=0.5,
            preferred_chain="ISRG Root X1",
            validity_days=7,
            backdate_hours=12,
        ),
        "says": Certificate(
            "says",
            other,
            tuple(
                Identifier.parse(name)
                for name in ("*.example.com", "example.com", "2001:db8::1", "www.xn--bcher-kva.example")
            ),
            "other",
            failover=(),
            challenge=ChallengeType.HTTP_01,
            challenges={
                "*.example.com": ChallengeType.DNS_PERSIST_01,
                "2001:db8::1": ChallengeType.TLS_ALPN_01,
            },
            preflight=True,
            profile="classic",
            renew_before=30,
            preferred_chain="96bcec06264976f37460779acf28c5a7cfe8a3c0aae11a8ffcee05c0bddf08c6",
            validity_days=90,
            backdate_hours=1,
            common_name="www.xn--bcher-kva.example",
            subject="O=Bücher\\, Ltd.,C=GB",
            key_file=Path("/etc/ssl/private/www.key"),
        ),
    }


def test_a_csr_from_elsewhere_says_whether_it_wants_stapling(tmp_path: Path) -> None:
    place = Place(tmp_path, ACME, "")
    place.write("certificates.d/www.toml", 'names = ["www.example.com"]\ncsr = true')
    certificate = place.load().configuration.certificates["www"]
    assert (certificate.csr, certificate.must_staple, certificate.profile) == (True, False, "shortlived")


def test_a_zone_is_one_table_however_its_name_is_written(tmp_path: Path) -> None:
    place = Place(
        tmp_path, '[zone."bücher.example"]\nttl = 5\nport = 54\n[zone."XN--BCHER-KVA.Example."]\nttl = 6\n', ""
    )
    place.write("acmed.toml.d/x.toml", '[zone."BÜCHER.example"]\nport = 55\n')
    loaded = place.load()
    assert loaded.problems == ()
    assert loaded.configuration.zones == {"xn--bcher-kva.example": Zone("xn--bcher-kva.example", ttl=6, port=55)}


def test_a_broken_zone_or_notify_table_stops_nothing_else(tmp_path: Path) -> None:
    main = STAGING + '[zone."a.example"]\nttl = -1\n[zone."b.example"]\n[notify]\nhook = "tell"\nmail = "no body"\n'
    place = Place(tmp_path, main, "")
    place.write("certificates.d/www.toml", 'names = ["www.a.example"]')
    loaded = place.load()
    assert [problem.line for problem in loaded.problems] == [8, 4]
    assert list(loaded.configuration.zones) == ["b.example"]
    assert loaded.configuration.notify == Notify("tell", None)
    assert list(loaded.configuration.certificates) == ["www"]


def test_webroot_of_a_name() -> None:
    http01 = Http01(Http01Mode.WEBROOT, "/srv/{zone}/{host}/{fqdn}", {"b.example.com": "/b"})
    assert http01.directory("www.example.com") == Path("/srv/example.com/www/www.example.com")
    assert http01.directory("b.example.com") == Path("/b")
    assert Http01(Http01Mode.PROXIED, "/srv", {"b.example.com": "/b"}).directory("b.example.com") == Path("/b")
    assert Http01(Http01Mode.PROXIED, "/srv").directory("www.example.com") is None


def test_only_account_is_the_default(tmp_path: Path) -> None:
    assert Place(tmp_path).load().configuration.default_account == "staging"


def test_account_named_default_is_the_default(tmp_path: Path) -> None:
    """So that adding an account takes none from the certificates that there are."""
    place = Place(tmp_path, STAGING + STAGING.replace("staging]", "default]") + "[account.broken]\n")
    assert place.load().configuration.default_account == "default"
    place.write("acmed.toml.d/x.toml", '[defaults]\naccount = "staging"\n')
    assert place.load().configuration.default_account == "staging"


def test_later_files_override_key_by_key(tmp_path: Path) -> None:
    place = Place(tmp_path, NGINX.replace("nginx.service", "main.service"), NGINX + 'group = "shipped"\n')
    place.write(
        "acmed.toml.d/10-a.toml", '[service.nginx]\naction = "restart"\nfiles = { cert = "/a", chain = "/b" }\n'
    )
    place.write("acmed.toml.d/9-b.toml", 'firewall = "off"\n[service.nginx]\nfiles = { cert = "/c" }\n')
    place.write("acmed.toml.d/not-read", "broken")
    loaded = place.load()
    assert loaded.problems == ()
    assert loaded.configuration.services["nginx"] == Service(
        "nginx", ("main.service",), Action.RESTART, "shipped", 0o640, {"cert": "/c"}
    )
    assert loaded.configuration.firewall is False


@pytest.mark.parametrize("file", ["acmed.toml", "acmed.toml.d/a.toml"])
def test_a_file_that_cannot_be_read_may_have_said_that_the_firewall_stays_closed(tmp_path: Path, file: str) -> None:
    place = Place(tmp_path, "")
    assert place.load().configuration.firewall is True
    place.write(file, 'firewall = "off"\nbroken\n')
    assert place.load().configuration.firewall is False


def test_problem_is_shown_in_the_file_that_has_the_key(tmp_path: Path) -> None:
    place = Place(tmp_path, "[account.ca]\ndirectory = 1\n")
    place.write("acmed.toml.d/account-ca.toml", '\n[account.ca]\nuri = "https://ca.example/1"\n')
    assert [(file, line) for file, line, _, _ in place.problems()] == [("acmed.toml", 2)]


def test_random_files_never_raise(tmp_path: Path) -> None:
    """TOML of the right kind with values of all kinds, and texts with a piece torn out."""
    generator = random.Random(9773)
    place = Place(tmp_path)
    good = place.write("certificates.d/good.toml", 'names = ["www.example.com"]\naccount = "kept"\n')
    (place.usr / "services.d/shipped.toml").unlink()
    place.write("acmed.toml.d/kept.toml", STAGING.replace("staging]", "kept]"))
    for _ in range(400):
        place.write("acmed.toml", _torn(generator, _random_main(generator)))
        text = "\n".join(_assignments(generator, schema.CERTIFICATE))
        place.write("certificates.d/random.toml", _torn(generator, text))
        loaded = place.load()
        for problem in loaded.problems:
            assert problem.message
            assert "\n" not in str(problem)
            assert problem.path.is_relative_to(tmp_path)
            assert 0 <= problem.line <= problem.path.read_text().count("\n") + 1
        if "kept" in loaded.configuration.accounts:
            broken = loaded.configuration.broken.get("good", ())
            assert "good" in loaded.configuration.certificates or all("[defaults]" in p.message for p in broken)
        assert all(problem.path == good for problem in loaded.configuration.broken.get("good", ()))


def test_two_hundred_certificates_are_loaded_at_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for number in range(200):
        names = f'names = ["a{number}.example.com", "b{number}.example.com"]\n'
        place.write(f"certificates.d/c{number}.toml", names + 'key-type = "rsa-2048"\nservices = ["nginx"]\n')
    times = []
    for _ in range(5):
        start = time.process_time()
        loaded = place.load()
        times.append(time.process_time() - start)
    assert min(times) < 0.1  # of the processor, whatever else runs here
    assert len(loaded.configuration.certificates) == 200


def test_import_is_cheap() -> None:
    """The daemons that start for one call do not pay for what only a mistake or `config check` needs."""
    heavy = "asyncio ssl subprocess difflib cryptography acme josepy dbus_next email http urllib.request".split()
    code = f"import sys; import acmed.config; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_installed_places_are_the_default() -> None:
    assert load.__defaults__ == (Path("/etc/acmed"), Path("/usr/lib/acmed"))


def _random_main(generator: random.Random) -> str:
    lines = _assignments(generator, ("firewall", "defaults", "account"), 2)
    for title, keys in schema.TABLES.items():
        for number in range(generator.randrange(3) if "NAME" in title else generator.randrange(2)):
            if title:
                lines += [title.replace("NAME", f"{_word(generator)}{number}"), *_assignments(generator, keys)]
    return "\n".join(lines)


def _assignments(generator: random.Random, keys: tuple[str, ...], most: int = 6) -> list[str]:
    chosen = {generator.choice([*keys, _word(generator)]) for _ in range(generator.randrange(most))}
    return [f"{key} = {_toml(generator, 0)}" for key in sorted(chosen)]


def _toml(generator: random.Random, depth: int) -> Any:
    words = ["letsencrypt", "kept", "nginx", "auto", "webroot", "0640", "rsa-2048", "/x/{name}", "https://ca.example/"]
    words += [
        "www.example.com",
        "*.example.com",
        "a@b.example",
        "http://p:99999",
        "https://[",
        "\\u0000",
        "é",
        "x" * 300,
    ]
    words += [
        "dns-01",
        "none",
        "300/3h",
        "local",
        "hook",
        "check",
        "skip",
        "O=x,CN=y",
        "{fqdn}",
        "/{zone}",
        "AB:CD",
        "xn--a",
    ]
    kinds: list[str] = ["1", "-0.5", "0.5", "true", "inf", "nan", "2024-01-01", "1e400", '""', "0x1F", "9" * 30]
    kinds.append("0x" + "F" * 5000)  # too long for str()
    kinds += [f'"{word}"' for word in words]
    if depth < 2 and generator.random() < 0.3:
        inner = [_toml(generator, depth + 1) for _ in range(generator.randrange(4))]
        if generator.random() < 0.7:
            return f"[{', '.join(inner)}]"
        names = generator.choice([schema.FILES, ('"www.example.com"', "*", '"::1"', "a.b.c"), schema.LIMITS])
        return "{" + ", ".join(f"{key} = {value}" for key, value in zip(names, inner, strict=False)) + "}"
    return generator.choice(kinds)


def _word(generator: random.Random) -> str:
    return generator.choice(["x", "mode-", "unit", "Key", "name_s", "a1", "kept", '"quoted. key"'])


def _torn(generator: random.Random, text: str) -> str:
    if generator.random() < 0.7:
        return text
    start = generator.randrange(len(text) + 1)
    return text[:start] + generator.choice(["", '"', "[", "\\", "\x00", "'''"]) + text[start + generator.randrange(9) :]


def test_no_configuration_at_all(tmp_path: Path) -> None:
    """The package makes the directory: without it nothing is renewed, and that is no empty configuration."""
    etc = tmp_path / "acmed"
    loaded = load(etc, tmp_path / "usr")
    (problem,) = loaded.problems
    assert (problem.path, problem.message) == (etc, "is not there, so no account and no certificate is configured")
    assert (loaded.unread, loaded.hidden, loaded.configuration.firewall) == ((problem,), problem, False)
    etc.mkdir()
    empty = load(etc, tmp_path / "usr")
    assert (empty.problems, empty.unread, empty.hidden, empty.configuration.firewall) == ((), (), None, True)


def test_what_hides_certificates(tmp_path: Path) -> None:
    place = Place(tmp_path, "broken")
    (place.etc / "certificates.d").rmdir()
    place.write("certificates.d", "")
    loaded = place.load()
    hiding, main = (
        next(one for one in loaded.problems if one.path == place.etc / name)
        for name in ("certificates.d", "acmed.toml")
    )
    assert (set(loaded.unread), loaded.hidden) == ({hiding, main}, hiding)
    assert not loaded.configuration.firewall


def test_directory_in_a_file_s_place_hides_everything(tmp_path: Path) -> None:
    etc = tmp_path / "acmed"
    etc.write_text("")
    loaded = load(etc, tmp_path / "usr")
    assert [str(problem) for problem in loaded.problems] == [f"{etc}: cannot be read: Not a directory"]
    assert loaded.hidden == loaded.problems[0]
