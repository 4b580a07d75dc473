# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose keys certificates have, and what becomes of them, with acme-privd and acme-verify in their units."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from acmed.names import Identifier
from tests.machine import Machine
from tests.system.lease import STAND_IN, STAND_IN_PATH
from tests.system.privcall import call
from tests.unit.privd.rig import issue
from tests.unit.verify.issuing import request, spki

NAME = "keys.example.com"
FOREIGN = "foreign.example.com"
LINK = f"/var/lib/acme/{NAME}"
FILE = f"/etc/acmed/certificates.d/{NAME}.toml"
ACCOUNTS = "/etc/acmed/acmed.toml.d/keys-test.toml"
STATE = "/var/lib/acme-privd"
OWN_KEY = "/etc/ssl/private/keys.pem"

CONFIGURATION = """
[account.keys]
directory = "https://localhost:14000/dir"

[service.keys]
group = "www-data"
"""


@pytest.fixture(params=["machine", "bookworm"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    machine: Machine = request.getfixturevalue(request.param)
    machine.write(ACCOUNTS, CONFIGURATION)
    machine.write(STAND_IN_PATH, STAND_IN)
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "restart", "acmed.service", "acme-keyd.service"])
    configured(machine, "")
    yield machine
    machine.run(["systemctl", "stop", "acmed.service", "acme-keyd.service", "acme-privd.service"])
    machine.run(["rm", "-f", ACCOUNTS, STAND_IN_PATH, FILE, OWN_KEY, f"/etc/acmed/certificates.d/{FOREIGN}.toml"])
    shell(machine, f"rm -rf {STATE}/* /var/lib/acme/.[!.]* /var/lib/acme/*")
    machine.run(["systemctl", "daemon-reload"])


def configured(machine: Machine, text: str) -> None:
    machine.write(FILE, f'names = ["{NAME}"]\naccount = "keys"\nservices = ["keys"]\n{text}\n')


def shell(machine: Machine, command: str) -> str:
    return machine.run(["sh", "-c", command]).stdout


def requested(machine: Machine, job: int, name: str = NAME) -> dict[str, Any]:
    answer = call(machine, "NewRequest", job=job, certificate=name, account=None, newKey=False)
    assert "csr" in answer, answer
    return answer


def ordered(machine: Machine, job: int, name: str = NAME) -> dict[str, Any]:
    """A whole order, with the CA in this process."""
    made = requested(machine, job, name)
    return call(machine, "Install", job=job, certificate=name, request=made["request"], chain=issue(made["csr"]))


def public(made: dict[str, Any]) -> bytes:
    key = x509.load_der_x509_csr(base64.b64decode(made["csr"])).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return spki(key)


def test_a_key_that_root_provides(machine: Machine) -> None:
    configured(machine, f'key-file = "{OWN_KEY}"')
    machine.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", OWN_KEY])
    machine.run(["chmod", "0600", OWN_KEY])
    key = load_pem_private_key(machine.read(OWN_KEY).partition("-----END EC PARAMETERS-----\n")[2].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert public(requested(machine, 1)) == spki(key.public_key())
    assert "serialNumber" in ordered(machine, 1)
    published = load_pem_private_key(machine.read(f"{LINK}/privkey.pem").encode(), None)
    assert isinstance(published, ec.EllipticCurvePrivateKey)
    assert spki(published.public_key()) == spki(key.public_key())

    machine.run(["chmod", "0644", OWN_KEY])
    answer = call(machine, "NewRequest", job=2, certificate=NAME, account=None, newKey=False)
    assert answer["error"] == "InvalidConfiguration"
    assert answer["message"].endswith(f"its mode is 0644; run: chmod 0600 {OWN_KEY}")
    configured(machine, 'key-file = "/root/keys.pem"')
    machine.run(["install", "-m", "600", OWN_KEY, "/root/keys.pem"])
    answer = call(machine, "NewRequest", job=2, certificate=NAME, account=None, newKey=False)
    assert answer["message"].endswith("acme-privd.service does not see what is in /root")
    machine.run(["rm", "/root/keys.pem"])


def test_a_key_that_is_elsewhere(machine: Machine) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = request(key, Identifier("dns", FOREIGN))
    settings = {"account": "keys", "csr": base64.b64encode(der).decode()}
    assert call(machine, "Configure", certificate=FOREIGN, names=[], settings=settings, replace=False) == {}
    made = requested(machine, 1, FOREIGN)
    assert base64.b64decode(made["csr"]) == der
    assert made["identifiers"] == [{"type": "dns", "value": FOREIGN}]
    assert "serialNumber" in ordered(machine, 1, FOREIGN)
    assert shell(machine, f"ls /var/lib/acme/{FOREIGN}/") == "cert.pem\nchain.pem\nfullchain.pem\n"
    assert shell(machine, f"find {STATE} -name privkey.pem") == ""

    broken = settings | {"csr": base64.b64encode(der[:-1]).decode()}
    answer = call(machine, "Configure", certificate=FOREIGN, names=[], settings=broken, replace=True)
    assert answer["error"] == "InvalidConfiguration"
    assert "the CSR for foreign.example.com cannot be read" in answer["message"]


def test_published_files_are_put_back(machine: Machine) -> None:
    ordered(machine, 1)
    listing = f"stat -L -c '%n %a %U %G' {LINK} {LINK}/* && sha256sum {LINK}/*"
    before = shell(machine, listing)
    assert call(machine, "Restore", certificate=NAME) == {"restored": []}
    for damage, kinds in (
        (f"rm {LINK}/chain.pem", ["chain"]),
        (f"echo >> {LINK}/fullchain.pem", ["fullchain"]),
        (f"chmod 644 {LINK}/privkey.pem", ["privkey"]),
        (f"chown nobody:nogroup {LINK}/privkey.pem && chmod 600 {LINK}/privkey.pem", ["privkey"]),
        (f"rm -r /var/lib/acme/.{NAME}.*", ["privkey", "cert", "chain", "fullchain"]),
        (f"rm {LINK}", ["privkey", "cert", "chain", "fullchain"]),
    ):
        shell(machine, damage)
        assert call(machine, "Restore", certificate=NAME) == {"restored": kinds}, damage
        assert shell(machine, listing) == before
    assert shell(machine, "ls -A /var/lib/acme | wc -l") == "2\n"
    shell(machine, f"rm -r {STATE}/sets/{NAME}")
    assert call(machine, "Restore", certificate=NAME)["error"] == "NotIssued"


def check_published(machine: Machine) -> None:
    """What services read fits each other."""
    halves = [
        shell(machine, f"openssl x509 -in {LINK}/cert.pem -noout -pubkey"),
        shell(machine, f"openssl pkey -in {LINK}/privkey.pem -pubout"),
    ]
    assert halves[0] == halves[1]


@pytest.mark.parametrize("damage", ["truncate -s 0", "truncate -s 100", "cp /root/another.pem"])
def test_a_key_that_is_damaged_before_it_is_installed(machine: Machine, damage: str) -> None:
    ordered(machine, 1)
    unfinished = requested(machine, 2)
    shell(machine, "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out /root/another.pem")
    shell(machine, f"{damage} {STATE}/pending/{NAME}/privkey.pem; rm /root/another.pem")
    assert public(requested(machine, 3)) != public(unfinished)
    assert "serialNumber" in ordered(machine, 3)
    check_published(machine)


def test_a_kept_key_that_is_damaged(machine: Machine) -> None:
    """What is published stands in for it; where that is damaged as well, nobody gets any of it."""
    ordered(machine, 1)
    shell(machine, f"truncate -s 100 {STATE}/sets/{NAME}/*/privkey.pem && chgrp root {LINK}/privkey.pem")
    delivered = call(machine, "Deliver", certificate=NAME, services=["keys"])
    assert delivered["deliveries"][0]["error"] == ""
    assert shell(machine, f"stat -L -c '%a %U %G' {LINK}/privkey.pem") == "640 root www-data\n"
    check_published(machine)
    shell(machine, f"cmp {STATE}/sets/{NAME}/*/privkey.pem {LINK}/privkey.pem")

    shell(machine, f"truncate -s 100 {STATE}/sets/{NAME}/*/privkey.pem {LINK}/privkey.pem")
    shell(machine, f"chgrp root {LINK}/privkey.pem")
    refused = call(machine, "Deliver", certificate=NAME, services=["keys"])
    assert refused["error"] == "InstallFailed"
    assert f"the copy of {NAME} that acme-privd keeps is damaged" in refused["message"]
    assert call(machine, "Restore", certificate=NAME)["error"] == "NotIssued"
    configured(machine, "reuse-key = true")
    assert "serialNumber" in ordered(machine, 2)
    assert call(machine, "Deliver", certificate=NAME, services=["keys"])["deliveries"][0]["error"] == ""
    check_published(machine)


def test_the_end_of_a_key(machine: Machine) -> None:
    configured(machine, "reuse-key = true")
    first = requested(machine, 1)
    installed = ordered(machine, 1)
    assert public(requested(machine, 2)) == public(first)
    url = "https://localhost:14000/revoke-cert"
    signed = call(machine, "SignRevocation", certificate=NAME, url=url, nonce="abc", reason=4)
    header = json.loads(base64.urlsafe_b64decode(signed["protected"] + "=="))
    assert (header["url"], header["nonce"], header["jwk"]["kty"]) == (url, "abc", "EC")
    elsewhere = call(machine, "SignRevocation", certificate=NAME, url="https://localhost/", nonce="abc", reason=4)
    assert elsewhere == {"error": "InvalidParameter", "parameter": "url"}

    before = shell(machine, f"sha256sum {LINK}/*")
    assert call(machine, "Archive", certificate=NAME, fingerprint=installed["fingerprint"]) == {}
    assert shell(machine, f"sha256sum {LINK}/*") == before
    archive = f"{STATE}/archive/certificates/{NAME}"
    assert shell(machine, f"find {archive} -type d -printf '%m\\n' | sort -u") == "700\n"
    assert shell(machine, f"find {archive} -type f -printf '%m\\n' | sort -u") == "600\n"
    digest = next(line.split()[0] for line in before.splitlines() if line.endswith("privkey.pem"))
    holders = shell(machine, f"find {STATE} -name privkey.pem -exec sha256sum {{}} + | grep {digest}").splitlines()
    assert holders
    assert all(archive in line for line in holders)
    assert public(requested(machine, 2)) != public(first)
    assert "serialNumber" in ordered(machine, 3)
    assert digest not in shell(machine, f"sha256sum {LINK}/*")
