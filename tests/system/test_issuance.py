# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates of every kind: how their names are validated, what is in them, and whose key they are for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.machine import Machine, Pebble
from tests.machine.pebble import Profile
from tests.system.acmectl import Acmectl
from tests.system.authority import account, another, forget, remove_account
from tests.system.installed import Installed
from tests.system.lease import SOCKET, state, wait_closed
from tests.system.timer import run_timer

ACCOUNT, BOUND = "issuance", "issuance-bound"
PROFILES = {
    "classic": Profile("As ever"),
    "minute": Profile("For less than a minute", validity=24),
}
KEYS = {"for-256": "a2V5LW9mLWEtY2EtZm9yLWFjbWVkLXRlc3RzLTAwMDE", "for-512": "bG9uZ2Vy" * 12}

CONFIGURATION = "/etc/acmed/acmed.toml.d/issuance.toml"
SITE, SNIPPET = "/etc/nginx/sites-enabled/issuance", "/etc/nginx/snippets/acmed.conf"
DOCUMENTS = "/srv/issuance"
DOCS = Path(__file__).parents[2] / "docs" / "webserver"


@dataclass(frozen=True)
class Ca:
    """A CA that keeps each valid authorization, and has several chains of two certificates."""

    machine: Machine
    pebble: Pebble

    def order(self, *words: str, profile: str = "classic", code: int = 0) -> str:
        """What acmectl says, to both outputs."""
        result = self.ctl.run("order", *words, "--account", ACCOUNT, "--profile", profile, code=code)
        return result.stdout + result.stderr

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def installed(self, name: str) -> Installed:
        return Installed(self.machine, name)


@pytest.fixture(scope="module")
def ca(machine: Machine, pebble: Pebble) -> Iterator[Ca]:
    settings = {"authz_reuse": 100, "alternate_roots": 2, "chain_length": 2, "profiles": PROFILES}
    with another(machine, ACCOUNT, 14100, **settings) as own:
        # A root that acmed knows can be preferred by its fingerprint.
        machine.write("/root/issuance-ca.pem", machine.read(own.ca_file) + own.root_pem(1))
        with account(machine, ACCOUNT, own.directory, "/root/issuance-ca.pem"):
            yield Ca(machine, own)
            forget(machine, "issuance-")


@contextmanager
def configured(machine: Machine, text: str) -> Iterator[None]:
    machine.write(CONFIGURATION, text)
    try:
        yield
    finally:
        machine.run(["rm", CONFIGURATION])


@contextmanager
def nginx(machine: Machine, site: str) -> Iterator[None]:
    """A web server on port 80, and its document roots, which are www-data's."""
    machine.put(DOCS / "nginx.conf", SNIPPET)
    machine.write(SITE, site)
    machine.run(["install", "-d", "-o", "www-data", f"{DOCUMENTS}/issuance.example", f"{DOCUMENTS}/alone"])
    for host in ("www", "mail"):
        machine.run(["install", "-d", "-o", "www-data", f"{DOCUMENTS}/issuance.example/{host}"])
    machine.run(["systemctl", "start", "nginx.service"])
    try:
        yield
    finally:
        machine.run(["systemctl", "stop", "nginx.service"])
        machine.run(["rm", "-r", SITE, SNIPPET, DOCUMENTS])


def certificate_request(machine: Machine, number: int, *names: str) -> str:
    """A CSR (PEM), whose key is in the file of the same name that ends in .key; the CSR's own."""
    path = f"/root/issuance-{number}"
    new = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/"]
    alternative = ",".join(f"DNS:{name}" for name in names)
    machine.run([*new, "-addext", f"subjectAltName={alternative}", "-keyout", f"{path}.key", "-out", f"{path}.pem"])
    return f"{path}.pem"


def failure_of(ca: Ca, *words: str, code: int) -> str:
    """What acmectl says of a job that fails."""
    return ca.ctl.run(*words, code=code).stderr


# How names are validated.


def test_webroot_by_pattern(ca: Ca) -> None:
    site = f"""server {{
        listen 80; listen [::]:80; server_name ~^(?<first>[^.]+)\\.(?<rest>.+)$; root {DOCUMENTS}/$rest/$first; }}"""
    names = ["www.issuance.example", "mail.issuance.example"]
    with nginx(ca.machine, site):
        with configured(ca.machine, f'[http01]\nmode = "webroot"\nwebroot = "{DOCUMENTS}/{{zone}}/{{host}}"\n'):
            ca.order("--name", "issuance-pattern", *names)
        log = ca.machine.read("/var/log/nginx/access.log")
        assert log.count("/.well-known/acme-challenge/") >= len(names)
        assert ca.machine.run(["find", DOCUMENTS, "-type", "f"]).stdout == ""
    ca.installed("issuance-pattern").check(*names)


def test_webroot_of_one_name_beside_a_proxied_responder(ca: Ca) -> None:
    site = f"""
server {{ listen 80; listen [::]:80; server_name alone.issuance.example; root {DOCUMENTS}/alone; }}
server {{ listen 80; listen [::]:80; server_name passed.issuance.example; include snippets/acmed.conf; }}
"""
    webroots = f'[http01.webroots]\n"alone.issuance.example" = "{DOCUMENTS}/alone"\n'
    names = ["alone.issuance.example", "passed.issuance.example"]
    with nginx(ca.machine, site), configured(ca.machine, f'[http01]\nmode = "proxied"\n{webroots}'):
        ca.order("--name", "issuance-mixed", *names)
        assert state(ca.machine, SOCKET) == "inactive"
        assert ca.machine.run(["find", DOCUMENTS, "-type", "f"]).stdout == ""
    assert ca.machine.run(["ls", "/run/acmed/http01"]).stdout == ""
    ca.installed("issuance-mixed").check(*names)


def test_addresses(ca: Ca) -> None:
    """Of both kinds. Pebble sorts those of an order and of its CSR differently, but for addresses such as these."""
    addresses = {"192.0.2.7": "192.0.2.7", "fd00:db8::7": "FD00:DB8:0:0:0:0:0:7"}
    for address in addresses:
        ca.machine.run(["ip", "address", "add", address, "dev", "lo"])
    try:
        ca.order("--name", "issuance-addresses", *addresses)
    finally:
        for address in addresses:
            ca.machine.run(["ip", "address", "delete", address, "dev", "lo"])
    ca.installed("issuance-addresses").check(*addresses.values())
    assert ca.ctl.json("status", "issuance-addresses")["identifiers"] == list(addresses)
    wait_closed(ca.machine)


def test_name_in_unicode(ca: Ca) -> None:
    label, name = "xn--issuance-bcher-psb", "issuance-bücher.example"
    ca.order("--name", "issuance-unicode", name.upper())
    ca.installed("issuance-unicode").check(f"{label}.example")
    assert f"{name} ({label}.example)" in ca.ctl.text("status", "issuance-unicode")
    assert ca.ctl.json("status", "issuance-unicode")["differences"] == []


def test_a_hundred_names(ca: Ca) -> None:
    names = [f"n{number}.issuance.example" for number in range(100)]
    ca.order("--name", "issuance-hundred", *names)
    ca.installed("issuance-hundred").check(*names)
    refused = ca.ctl.error("order", "--name", "issuance-more", *names, "one.more.example", code=2)
    assert "101" in refused
    assert "100" in refused


def test_what_was_authorized_before(ca: Ca) -> None:
    """With challenge = "none" nothing is validated here: what has no valid authorization is named."""
    names = ["a.issuance-before.example", "b.issuance-before.example"]
    assert ca.ctl.text("authorize", *names, "--account", ACCOUNT) == f"{' '.join(names)}: authorized\n"
    wait_closed(ca.machine)
    ca.order("--name", "issuance-before", *names, "--challenge", "none")
    ca.installed("issuance-before").check(*names)
    said = ca.order("--name", "issuance-never", names[0], "c.issuance-before.example", "--challenge", "none", code=1)
    assert "c.issuance-before.example has no valid authorization" in said
    assert f"{names[0]} has no" not in said
    assert "org.acmed1.Error.ChallengeUnavailable" in said


# What is in them.


def test_must_staple_and_common_name(ca: Ca) -> None:
    """The CA has the extension from the request, and its own mind about the subject."""
    names = ["issuance-subject.example", "cn.issuance-subject.example"]
    ca.order(*names, "--must-staple", "--common-name", names[1])
    certificate = ca.installed(names[0])
    certificate.check(*names)
    assert "status_request" in certificate.show("-ext", "tlsfeature")
    read = ["openssl", "req", "-noout", "-subject", "-inform", "DER", "-in"]
    pending = f"/var/lib/acme-privd/pending/{names[0]}/csr.der"
    assert ca.machine.run([*read, pending]).stdout == f"subject=CN={names[1]}\n"


def test_subject_is_empty_where_none_is_asked_for(ca: Ca) -> None:
    name = "issuance-bare.example"
    ca.order(name)
    assert ca.installed(name).show("-subject") == "subject="
    assert ca.installed(name).show("-ext", "tlsfeature") == ""


def test_profile(ca: Ca) -> None:
    name = "issuance-profile.example"
    said = ca.order(name, profile="clasic", code=1)
    assert "this CA has classic, minute" in said
    assert "org.acmed1.AcmeError.invalidProfile" in said
    ca.order(name)
    assert ca.ctl.json("status", name)["profile"] == "classic"


@pytest.mark.parametrize(("number", "by"), [(0, "nothing"), (1, "sha-256"), (2, "name")])
def test_preferred_chain(ca: Ca, number: int, by: str) -> None:
    name, roots = f"issuance-chain-{by}.example", [ca.pebble.root_pem(each) for each in range(3)]
    ask = ["openssl", "x509", "-noout", "-nameopt", "multiline", "-subject", "-fingerprint", "-sha256"]
    shown = ca.machine.run(ask, input=roots[number]).stdout
    wishes = {
        "nothing": "A root that there is not",
        "sha-256": shown.partition("Fingerprint=")[2].strip(),
        "name": shown.partition("commonName")[2].partition("\n")[0].strip(" ="),
    }
    ca.order(name, "--preferred-chain", wishes[by])
    certificate = ca.installed(name)
    certificate.check(name)
    assert [certificate.is_issued_by(root) for root in roots] == [each == number for each in range(3)]
    assert ca.machine.read(f"{certificate.directory}/chain.pem").count("BEGIN CERTIFICATE") == 2


# Whose key they are for, and for how long.


def test_request_from_elsewhere(ca: Ca) -> None:
    """Its key is nowhere here; another one replaces it, and no other name comes in."""
    name, names = "issuance-csr", ["issuance-csr.example", "www.issuance-csr.example"]
    first, second = (certificate_request(ca.machine, number, *names) for number in (1, 2))
    ca.order("--csr", first, "--name", name)
    certificate = ca.installed(name)
    certificate.check(*names, key=first.replace(".pem", ".key"))
    assert ca.machine.run(["ls", certificate.directory]).stdout.split() == ["cert.pem", "chain.pem", "fullchain.pem"]
    assert sorted(ca.ctl.json("status", name)["paths"]) == ["cert", "chain", "fullchain"]
    ca.ctl.run("renew", name, "--force")
    certificate.check(*names, key=first.replace(".pem", ".key"))
    assert "its CSR was made elsewhere" in failure_of(ca, "renew", name, "--force", "--new-key", code=1)
    ca.order("--csr", second, "--name", name)
    certificate.check(*names, key=second.replace(".pem", ".key"))
    serial = certificate.serial

    ca.machine.run(["sed", "-i", f'/"{names[1]}"/d', f"/etc/acmed/certificates.d/{name}.toml"])
    said = failure_of(ca, "renew", name, "--force", code=1)
    assert f"the CSR is for other names than 'names' (it has, and 'names' has not: {names[1]})" in said
    assert certificate.serial == serial


def test_request_for_what_is_not_configured(ca: Ca) -> None:
    """Nobody takes over a certificate of this host's own key, and a CSR says no more than DNS names and addresses."""
    name = "issuance-own.example"
    ca.order(name)
    serial = ca.installed(name).serial
    other = certificate_request(ca.machine, 3, name, "other.issuance-own.example")
    assert "org.acmed1.Error.CertificateExists" in ca.order("--csr", other, "--name", name, code=6)
    assert ca.installed(name).serial == serial
    assert ca.ctl.json("status", name)["identifiers"] == [name]
    mail = certificate_request(ca.machine, 4, "issuance-mail.example,email:a@issuance-mail.example")
    assert "neither DNS names nor IP addresses" in ca.order("--csr", mail, "--name", "issuance-mail", code=2)


def test_certificates_that_live_for_less_than_a_minute(ca: Ca) -> None:
    """The timer renews them in time: with a new key, or the same request again where that came from elsewhere."""
    own, elsewhere = "issuance-short.example", "issuance-short-csr.example"
    request = certificate_request(ca.machine, 5, elsewhere)
    ca.order(own, profile="minute")
    ca.order("--csr", request, "--name", elsewhere, profile="minute")
    before = {name: (ca.installed(name).serial, ca.installed(name).public_key) for name in (own, elsewhere)}

    def are_due() -> bool:
        return {ca.ctl.json("status", name)["state"] for name in before} == {"due"}

    ca.machine.wait_until("both to be due", are_due)
    said = run_timer(ca.machine)
    for name, (serial, key) in before.items():
        assert f"{name}: renewed" in said
        assert ca.installed(name).serial != serial
        assert (ca.installed(name).public_key == key) == (name == elsewhere)
        assert ca.ctl.json("status", name)["profile"] == "minute"
    ca.installed(elsewhere).check(elsewhere, key=request.replace(".pem", ".key"))


# Accounts.


@pytest.fixture(scope="module")
def bound(machine: Machine, pebble: Pebble) -> Iterator[Pebble]:
    """A CA that takes only those it knows already."""
    with another(machine, BOUND, 14200, external_account_keys=KEYS) as own:
        for name, key in KEYS.items():
            machine.write(f"/root/{name}", f"{key}\n", mode=0o600)
        yield own
        remove_account(machine, BOUND)


def add_bound(machine: Machine, pebble: Pebble, *options: str, code: int = 0) -> str:
    directory = ["--directory", pebble.directory, "--ca-file", pebble.ca_file, "--agree-tos"]
    result = Acmectl(machine).run("account", "add", BOUND, *directory, *options, code=code)
    return result.stdout + result.stderr


def test_account_without_its_binding(machine: Machine, bound: Pebble) -> None:
    said = add_bound(machine, bound, code=1)
    assert "org.acmed1.AcmeError.externalAccountRequired" in said
    assert "--eab-key-id and --eab-hmac-file" in said


def test_account_with_a_binding_of_somebody_else(machine: Machine, bound: Pebble) -> None:
    said = add_bound(machine, bound, "--eab-key-id", "for-256", "--eab-hmac-file", "/root/for-512", code=1)
    assert "org.acmed1.AcmeError.unauthorized" in said
    assert "the key id 'for-256'; see that --eab-key-id, --eab-hmac-file and --eab-algorithm are" in said
    assert "port" not in said, "that is about names"


@pytest.mark.parametrize(("key", "algorithm"), [("for-256", "HS256"), ("for-512", "HS512")])
def test_account_with_its_binding(machine: Machine, bound: Pebble, key: str, algorithm: str) -> None:
    """And it is found again by its key when nothing else is left of it: that takes no binding."""
    remove_account(machine, BOUND)
    options = ["--eab-key-id", key, "--eab-hmac-file", f"/root/{key}", "--eab-algorithm", algorithm]
    add_bound(machine, bound, *options)
    shown = Acmectl(machine).json("account", "show", BOUND)
    assert f'Successful newAccount Binding with CA using kid "{key}"' in machine.journal("pebble-issuance-bound")
    Acmectl(machine).run("order", "issuance-bound.example", "--account", BOUND)
    assert KEYS[key] not in machine.journal()
    places = ["/etc/acmed", "/etc/credstore.encrypted", "/var/lib/acmed", "/var/lib/acme-privd", "/run/acmed"]
    assert (
        machine.run(["grep", "--recursive", "--binary", "--files-with-matches", KEYS[key], *places], check=False).stdout
        == ""
    )
    Acmectl(machine).run("forget", "issuance-bound.example")

    machine.run(["rm", f"/etc/acmed/acmed.toml.d/account-{BOUND}.toml"])
    machine.run(["rm", f"/etc/credstore.encrypted/acmed.bindings/{BOUND}"])
    add_bound(machine, bound)
    assert Acmectl(machine).json("account", "show", BOUND)["uri"] == shown["uri"]
