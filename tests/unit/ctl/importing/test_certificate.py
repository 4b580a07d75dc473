# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of a section."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acmed.config import Certificate
from acmed.config.common import MAX_DAYS
from acmed.config.model import Hash
from acmed.ctl.importing import names
from acmed.ctl.importing.report import Fate
from tests.unit.ctl.importing.lacme import Lacme, fates

KEPT, CHANGED, DROPPED = Fate


@pytest.fixture
def lacme(tmp_path: Path) -> Lacme:
    return Lacme(tmp_path)


def imported(lacme: Lacme, *lines: str) -> Certificate:
    lacme.certificates(*lines)
    return lacme.run().certificates["www"]


def test_plain(lacme: Lacme) -> None:
    tls = lacme.directory / "tls"
    found = imported(lacme)
    assert [str(name) for name in found.identifiers] == ["www.example.com"]
    assert (found.account, found.common_name, found.subject) == ("lacme", "www.example.com", None)
    assert (found.key_file, found.files) == (tls / "www.key", {"fullchain": tls / "www.pem"})
    bare = Certificate(found.name, found.path, found.identifiers, "lacme")
    same = replace(bare, common_name=found.common_name, key_file=found.key_file, files=found.files)
    assert found == same, "all else is acmed's default"


@pytest.mark.parametrize(
    ("lines", "field", "value", "fate"),
    [
        (["hash = sha384"], "hash", Hash.SHA384, KEPT),
        (["hash = sha1"], "hash", Hash.SHA256, CHANGED),
        (["keyUsage = digitalSignature, Key Encipherment,critical"], "key_usage", None, KEPT),
        (["keyUsage = nonsense"], "key_usage", (), DROPPED),
        (["keyUsage ="], "key_usage", (), DROPPED),
        (["tlsfeature = status_request"], "must_staple", True, KEPT),
        (["tlsfeature = 17, 5"], "must_staple", True, CHANGED),
        (["tlsfeature = 17"], "must_staple", False, DROPPED),
        (["min-days = 30"], "renew_before", 30, KEPT),
        (["min-days = 0"], "renew_before", 1, CHANGED),
        (["min-days = 10.5"], "renew_before", 11, CHANGED),
        (["min-days = 14 days"], "renew_before", 14, CHANGED),
        (["min-days = 1e2"], "renew_before", 100, KEPT),
        (["min-days = 1.5E+1days"], "renew_before", 15, CHANGED),
        (["min-days = .5"], "renew_before", 1, CHANGED),
        (["min-days = 1e999"], "renew_before", MAX_DAYS, CHANGED),
        (["min-days = -1"], "renew_before", None, DROPPED),
        (["min-days = -1e-1"], "renew_before", None, DROPPED),
        (["CAfile ="], "trust_anchors", None, KEPT),
        (["CAfile = /usr/share/lacme/ca-certificates.crt"], "trust_anchors", None, CHANGED),
        (["CAfile = /etc/ssl//certs/./%h.pem"], "trust_anchors", Path("/etc/ssl/certs/%h.pem"), KEPT),
        (["mode = 0640"], "mode", 0o640, KEPT),
        (["mode = 644"], "mode", 0o644, KEPT),
        (["mode = 0664"], "mode", 0o644, CHANGED),
        (["mode = 0899"], "mode", None, DROPPED),
        (["mode = u+r"], "mode", None, DROPPED),
        (["mode ="], "mode", None, DROPPED),
        (["chmod = 0600"], "mode", 0o600, KEPT),
        (["owner = root:root"], "group", "root", KEPT),
        (["owner = root"], "group", None, KEPT),
        (["owner = www-data:www-data"], "owner", "www-data", KEPT),
        (["chown = root"], "owner", "root", KEPT),
        (["owner ="], "owner", None, DROPPED),
        (["owner = :www-data"], "owner", None, DROPPED),
        (["mode = 0600", "owner = root:root"], "group", None, CHANGED),
        (["chmod = 0600", "mode = 0640"], "mode", 0o640, KEPT),
        (["certificate ="], "files", None, DROPPED),
    ],
)
def test_setting(lacme: Lacme, lines: list[str], field: str, value: Any, fate: Fate) -> None:
    lacme.certificates(*lines)
    assert fates(lacme.plan())[lines[-1].split()[0]][0] is fate
    found = getattr(lacme.run().certificates["www"], field)
    match field:
        case "key_usage" if fate is KEPT:
            assert found == ("digitalSignature", "keyEncipherment")
        case "files":
            assert set(found) == {"fullchain"}
        case _:
            assert found == value


@pytest.mark.parametrize(
    ("subject", "alternative", "expected"),
    [
        ("/CN=a.example", None, (["a.example"], "a.example", None)),
        ("/CN=A.Example", "DNS:b.example, DNS:a.example", (["a.example", "b.example"], "a.example", None)),
        ("/O=My\\/Org/CN=a.example", None, (["a.example"], None, "CN=a.example,O=My/Org")),
        ("/C=DE/O=X, Inc/CN=a.example", None, (["a.example"], None, "CN=a.example,O=X\\, Inc,C=DE")),
        ("/O=X+OU=Y/CN=a.example", None, (["a.example"], None, "CN=a.example,O=X+OU=Y")),
        ("/organizationName=X/CN=a.example/O=", None, (["a.example"], None, "CN=a.example,O=X")),
        ("/CN=not a name", "DNS:a.example", (["a.example"], None, None)),
        ("/CN=localhost", "DNS:a.example", (["a.example"], None, None)),
        ("/O=X/CN=localhost", "DNS:a.example", (["a.example"], None, "O=X")),
        ("/", "DNS:a.example", (["a.example"], None, None)),
        ("/CN=a.example", "email:x@example,DNS:b.example,URI:x", (["a.example", "b.example"], "a.example", None)),
        ("/CN=a.example", "critical,IP:192.0.2.1", (["a.example", "192.0.2.1"], "a.example", None)),
        ("/CN=a.example", "DNS:*.b.example,DNS:x.b.example", (["a.example", "*.b.example"], "a.example", None)),
        ("/CN=a.b.example", "DNS:*.b.example", (["*.b.example"], None, None)),
    ],
)
def test_names(lacme: Lacme, subject: str, alternative: str | None, expected: tuple[Any, ...]) -> None:
    found = imported(lacme, f"subject = {subject}", *([f"subjectAltName = {alternative}"] if alternative else []))
    assert ([str(name) for name in found.identifiers], found.common_name, found.subject) == expected


def test_defaults_of_lacmes(lacme: Lacme) -> None:
    """They are told of where they are another's than acmed's."""
    lacme.certificates("CAfile =", file="lacme-certs.conf")
    text = (lacme.directory / "lacme/lacme-certs.conf").read_text()
    more = text.replace("www", "two").replace("CAfile =", "min-days = 30")
    lacme.write("lacme-certs.conf", f"{text}{more}{text.replace('www', 'three').replace('CAfile =', '')}")
    notes = lacme.plan().report.notes
    told = [
        note for note in notes if note.startswith("Without CAfile are [three], [two]: lacme then checks each chain")
    ]
    assert "/usr/share/lacme/ca-certificates.crt" in told[0]
    assert any(note.startswith("Without min-days are [three], [www]: lacme then renews 21 days") for note in notes)
    lacme.certificates("CAfile =", "min-days = 30")
    assert not [note for note in lacme.plan().report.notes if "Without" in note]


def test_long_common_name(lacme: Lacme) -> None:
    name = f"{'a' * 60}.example"
    lacme.certificates("subject = /CN=x", f"subjectAltName = DNS:{name}")
    assert lacme.run().certificates["www"].common_name is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["subject = CN=www.example.com"], "begin with '/'"),
        (["subject = /CN"], "wants a '='"),
        (["subject = /CN=a\\"], "ends in a backslash"),
        (["subject = /XX=a"], "no type of a name"),
        (["subject = /C=Germany/CN=www.example.com"], "ountry"),
        (["subject = /CN=localhost"], "has no name that a CA could issue for"),
        (["certificate-key = www.key"], "is relative to where lacme was started"),
        (["certificate = www.pem"], "is relative to where lacme was started"),
        (["CAfile = roots.pem"], "is relative to where lacme was started"),
        (["certificate-chain = /etc/{name}.d/{x}"], "braces"),
        (["certificate = /var/lib/acme/www/cert.pem"], "acmed's own"),
    ],
)
def test_what_stands_in_the_way(lacme: Lacme, lines: list[str], message: str) -> None:
    lacme.certificates(*lines)
    errors = lacme.plan().report.errors
    assert any(message in error for error in errors), errors


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["certificate-chain ="], "neither 'certificate' nor 'certificate-chain' is there"),
        (["subject ="], "'subject' is missing"),
        (["certificate-key ="], "'certificate-key' is missing"),
        (["hash = sha3"], "hash = sha3 is none that it takes"),
    ],
)
def test_what_lacme_skips(lacme: Lacme, lines: list[str], why: str) -> None:
    lacme.certificates(*lines)
    plan = lacme.plan()
    assert plan.report.notes[0] == f"[www] is not imported, as lacme cannot issue it: {why}"
    assert lacme.run().certificates == {}


def test_one_file_for_both(lacme: Lacme) -> None:
    found = imported(lacme, f"certificate = {lacme.directory}/tls/www.pem")
    assert set(found.files) == {"fullchain"}


def test_path_through_a_symbolic_link(lacme: Lacme, tmp_path: Path) -> None:
    (tmp_path / "deep/down").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep/down")
    found = imported(lacme, f"certificate = {tmp_path}/link/../www.crt")
    assert found.files["cert"] == tmp_path / "deep/www.crt"


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (["www"], {"www": "www"}),
        (["WWW", "www"], {"www": "www", "WWW": "www-2"}),
        (["a b", "a/b", "a-b"], {"a-b": "a-b", "a b": "a-b-2", "a/b": "a-b-3"}),
        (["..", "é", "x.toml"], {"..": "certificate", "é": "certificate-2", "x.toml": "x"}),
        (["a..b."], {"a..b.": "a.b"}),
    ],
)
def test_names_of_sections(sections: list[str], expected: dict[str, str]) -> None:
    assert names.object_names(sections) == expected
