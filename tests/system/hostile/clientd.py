# SPDX-License-Identifier: LGPL-2.1-or-later
"""A taken-over acme-clientd: runs in its unit, with its sandbox, and does what the file PLAN says.

"sign": asks acme-keyd for everything that an attacker wants, in the middle of a good order, and notes the answers.
FOREIGN: wants challenges answered for the key of an account of the attacker's own.
Otherwise it names a chain to hand back: a key of CHAINS.
"""

import asyncio
import base64
import datetime
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from acmed import daemon, varlink
from acmed.config import load
from acmed.paths import KEY_SOCKET

PLAN = Path("/etc/hostile-plan")
FOREIGN, FOREIGN_THUMBPRINT, TOKEN = "foreign-thumbprint", "f" * 43, "token"
NOW = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
DAY = datetime.timedelta(days=1)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Authority:
    """A CA of the attacker's own."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hostile CA")])
        self.certificate = self.issue(self.key.public_key(), subject=self.name, ca=True)

    def issue(
        self,
        public_key: Any,
        names: tuple[str, ...] = (),
        *,
        subject: x509.Name | None = None,
        ca: bool = False,
        start: datetime.datetime = NOW - DAY,
        end: datetime.datetime = NOW + 90 * DAY,
        signer: ec.EllipticCurvePrivateKey | None = None,
        padding: int = 0,
    ) -> str:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject or x509.Name([]))
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        if padding:
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"x" * padding)
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(signer or self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem() -> str:
    private = ec.generate_private_key(ec.SECP256R1())
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


Chain = Callable[[Authority, Any, str], str]
OTHER = ec.generate_private_key(ec.SECP256R1())

# What the last step of Finalize answers, from the CA, the CSR's public key and the name that was ordered.
CHAINS: dict[str, Chain] = {
    "good": lambda ca, key, name: ca.issue(key, (name,)) + ca.certificate,
    "text": lambda ca, key, name: "#!/bin/sh\nrm -rf /\n",
    "empty": lambda ca, key, name: "",
    "text-between": lambda ca, key, name: ca.issue(key, (name,)) + "text\n" + ca.certificate,
    "private-key-inside": lambda ca, key, name: ca.issue(key, (name,)) + key_pem() + ca.certificate,
    "wrong-name": lambda ca, key, name: ca.issue(key, ("bank.example.com",)) + ca.certificate,
    "extra-name": lambda ca, key, name: ca.issue(key, (name, "bank.example.com")) + ca.certificate,
    "no-name": lambda ca, key, name: ca.issue(key) + ca.certificate,
    "wrong-key": lambda ca, key, name: ca.issue(OTHER.public_key(), (name,)) + ca.certificate,
    "expired": lambda ca, key, name: ca.issue(key, (name,), start=NOW - 9 * DAY, end=NOW - DAY) + ca.certificate,
    "not-yet-valid": lambda ca, key, name: ca.issue(key, (name,), start=NOW + DAY) + ca.certificate,
    "a-ca": lambda ca, key, name: ca.issue(key, (name,), ca=True) + ca.certificate,
    "broken-link": lambda ca, key, name: ca.issue(key, (name,), signer=OTHER) + ca.certificate,
    "foreign-link": lambda ca, key, name: ca.issue(key, (name,)) + Authority().certificate,
    "too-many": lambda ca, key, name: ca.issue(key, (name,)) + 30 * ca.certificate,
    "oversized": lambda ca, key, name: ca.issue(key, (name,), padding=200_000) + ca.certificate,
    "enormous": lambda ca, key, name: ca.issue(key, (name,)) + 20_000 * ca.certificate,
    "garbage-der": lambda ca, key, name: (
        "-----BEGIN CERTIFICATE-----\n" + base64.b64encode(os.urandom(600)).decode() + "\n-----END CERTIFICATE-----\n"
    ),
}


class Hostile:
    """org.acmed.Client, not as acmed means it."""

    async def register(self, _: varlink.Call, **_parameters: Any) -> dict[str, Any]:
        return {"uri": "https://localhost:14000/my-account/none", "status": "valid", "termsOfService": None}

    async def resume(self, _: varlink.Call, **_parameters: Any) -> dict[str, Any]:
        return {"order": None, "replaced": False, "challenges": []}

    async def order(
        self, _: varlink.Call, account: str, identifiers: Any, csr: str, **_parameters: Any
    ) -> dict[str, Any]:
        plan = PLAN.read_text()
        if plan == "sign":
            answers = await attack(account, identifiers, csr)
            Path(os.environ["STATE_DIRECTORY"], "answers.json").write_text(json.dumps(answers))
            raise varlink.VarlinkError("org.acmed.Client.Unreachable", url="", message="hostile")
        challenges = [foreign_challenge(identifier) for identifier in identifiers if plan == FOREIGN]
        url = "https://localhost:14000/order/none"
        return {"order": url, "created": True, "replaced": True, "challenges": challenges}

    async def finalize(self, _: varlink.Call, csr: str, **_parameters: Any) -> dict[str, Any]:
        request = x509.load_der_x509_csr(base64.b64decode(csr))
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        chain = CHAINS[PLAN.read_text()](Authority(), request.public_key(), names.get_values_for_type(x509.DNSName)[0])
        return {"step": "download", "progress": 95, "detail": "", "done": True, "chain": chain, "expires": None}

    async def directory(self, _: varlink.Call, **_parameters: Any) -> dict[str, Any]:
        return {
            "termsOfService": None,
            "website": None,
            "caaIdentities": [],
            "externalAccountRequired": False,
            "profiles": {},
            "renewalInfo": False,
            "newAuthz": False,
            "clockOffset": 0,
        }

    async def renewal_info(self, _: varlink.Call, **_parameters: Any) -> dict[str, Any]:
        return {"start": None, "end": None, "explanationUrl": None, "retryAfter": 86400}

    async def silence(self, _: varlink.Call, **_parameters: Any) -> dict[str, Any]:
        raise varlink.VarlinkError("org.acmed.Client.Unreachable", url="", message="hostile")

    find_account = read_account = update_account = deactivate_account = change_key = silence
    revocation_status = revocation_nonce = send_revocation = silence

    async def drop(self, _: varlink.Call, **_parameters: Any) -> dict[str, Any]:
        return {}

    async def revoke(self, _: varlink.Call, **_parameters: Any) -> dict[str, Any]:
        return {}


def foreign_challenge(identifier: dict[str, str]) -> dict[str, Any]:
    """As the CA would offer it, with an answer for another account's key."""
    return {
        "identifier": identifier,
        "wildcard": False,
        "type": "http-01",
        "url": "https://localhost:14000/chalZ/none",
        "token": TOKEN,
        "keyAuthorization": f"{TOKEN}.{FOREIGN_THUMBPRINT}",
        "issuers": [],
    }


async def attack(account: str, identifiers: list[dict[str, str]], csr: str) -> dict[str, str]:
    """Each thing that an attacker would like signed, and what acme-keyd said."""
    key = varlink.Client(varlink.load("org.acmed.Key"), KEY_SOCKET)
    known = await key.call("GetAccount", timeout=20, account=account)
    uri, ca = known["uri"], load().configuration.accounts[account].directory.removesuffix("/dir")
    other_csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(identifiers[0]["value"])]), False)
        .sign(OTHER, hashes.SHA256())
    )
    inner = {"protected": b64(b"{}"), "payload": b64(json.dumps({"account": uri}).encode()), "signature": b64(b"x")}
    bank = {"type": "dns", "value": "bank.example.com"}
    agreed = {"termsOfServiceAgreed": True, "contact": ["mailto:admin@example.com"]}
    wanted: dict[str, tuple[str, Any]] = {
        "control: the order itself": (f"{ca}/order-plz", {"identifiers": identifiers}),
        "control: its finalize": (f"{ca}/finalize-order/1", {"csr": b64(base64.b64decode(csr))}),
        "control: POST-as-GET": (f"{ca}/authZ/1", None),
        "read the account": (uri, None),
        "read the account, spelled otherwise": (uri.replace("/my-account/", "//my-account/./"), None),
        "keyChange": (f"{ca}/rollover-account-key", inner),
        "deactivate": (uri, {"status": "deactivated"}),
        "deactivate elsewhere": (f"{ca}/any", {"status": "deactivated"}),
        "contact": (uri, {"contact": ["mailto:evil@example.org"]}),
        "no contact": (uri, {"contact": []}),
        "terms for others": (uri, {"termsOfServiceAgreed": True}),
        "another name": (f"{ca}/order-plz", {"identifiers": [bank]}),
        "one name more": (f"{ca}/order-plz", {"identifiers": [*identifiers, bank]}),
        "another profile": (f"{ca}/order-plz", {"identifiers": identifiers, "profile": "evil"}),
        "another begin": (f"{ca}/order-plz", {"identifiers": identifiers, "notBefore": "2026-01-01T00:00:00Z"}),
        "another end": (f"{ca}/order-plz", {"identifiers": identifiers, "notAfter": "2036-01-01T00:00:00Z"}),
        "in place of another": (f"{ca}/order-plz", {"identifiers": identifiers, "replaces": "AAAA.AAAA"}),
        "newAuthz": (f"{ca}/authorize", {"identifier": bank}),
        "newAuthz for the ordered name": (f"{ca}/authorize", {"identifier": identifiers[0]}),
        "another CSR": (
            f"{ca}/finalize-order/1",
            {"csr": b64(other_csr.public_bytes(serialization.Encoding.DER))},
        ),
        "another CA": ("https://acme.example.net/new-order", {"identifiers": identifiers}),
        "another port": (f"{ca.rsplit(':', 1)[0]}:15000/x", None),
        "newAccount": (f"{ca}/sign-me-up", {"termsOfServiceAgreed": True, "contact": []}),
        "newAccount, bound to the owner's other account": (f"{ca}/sign-me-up", agreed),
        "newAccount, bound elsewhere": (f"{ca}/sign-me-up", {**agreed, "externalAccountBinding": inner}),
        "onlyReturnExisting": (f"{ca}/sign-me-up", {"onlyReturnExisting": True}),
        "revoke": (f"{ca}/revoke-cert", {"certificate": b64(b"x"), "reason": 1}),
        "deactivate an authorization": (f"{ca}/authZ/1", {"status": "deactivated"}),
    }
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        name: ("Sign", {"url": url, "payload": "" if payload is None else b64(json.dumps(payload).encode())})
        for name, (url, payload) in wanted.items()
    }
    calls |= {
        "look the account up": ("SignLookup", {"url": f"{ca}/sign-me-up", "next": False}),
        "look the next key up": ("SignLookup", {"url": f"{ca}/sign-me-up", "next": True}),
        "change to the next key": ("SignKeyChange", {"url": f"{ca}/rollover-account-key"}),
    }
    answers = {}
    for name, (method, parameters) in calls.items():
        try:
            await key.call(method, timeout=20, account=account, nonce="bm9uY2U", **parameters)
            answers[name] = "signed"
        except varlink.VarlinkError as error:
            answers[name] = error.name
    for socket in ("key-permit.sock", "priv.sock", "verify.sock"):
        permit = varlink.Client(varlink.load("org.acmed.KeyPermit"), KEY_SOCKET.with_name(socket))
        try:
            await permit.call("DropOrder", timeout=20, account=account, certificate="x")
            answers[socket] = "reached"
        except varlink.ConnectionLost:
            answers[socket] = "not reached"
    return answers


if __name__ == "__main__":
    interface = varlink.load("org.acmed.Client")
    asyncio.run(daemon.serve({"client": varlink.Service(interface, Hostile())}, 2.0))
    sys.exit(0)
