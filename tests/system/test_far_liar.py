# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host that has been taken over asks the acme-keyd of another one, over ssh, for what it should not get."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.system.farhost import KEYD, KNOWN_HOSTS, PORT, Hosts, User, hosts, policy

NAME = "www.example.com"
FOREIGN = "mail.example.com"
OTHER_KEY = {"crv": "P-256", "kty": "EC", "x": "A" * 43, "y": "A" * 43}
# What an acme-keyd answers nothing to, with what it has on record of it: the path, the payload and parts of the header
# of a request; account is the account's own URL.
REFUSED: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "another name": ("/order-plz", {"identifiers": [{"type": "dns", "value": FOREIGN}]}, {}, f"{FOREIGN} is none of"),
    "another CSR": ("/finalize-order/x", {"csr": FOREIGN}, {}, f"{FOREIGN} is none of"),
    "no algorithm": ("/order-plz", None, {"alg": "none"}, "the protected header's alg is the key's, ES256"),
    "another CA": ("https://ca.evil.example/order", None, {}, "the URL is of the origin"),
    "a header more": ("/order-plz", None, {"b64": False}, "has one of jwk and kid, and nothing more"),
    "the contacts": ("account", {"contact": ["mailto:evil@example.net"]}, {}, "account update needs update"),
    "the end": ("account", {"status": "deactivated"}, {}, "account deactivation needs deactivate"),
    "the account": ("account", None, {}, "account read needs read"),
    "forged": ("/order-plz", {"identifiers": [{"type": "dns", "value": f"{NAME}\nSigned newOrder"}]}, {}, "Refused"),
}


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def csr(name: str) -> str:
    """One with a key of the liar's own."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return encoded(builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER))


@dataclass(frozen=True)
class Liar:
    """Has the ssh key of a host, and the URL of its account."""

    both: Hosts
    far: User
    identity: str
    uri: str

    def line(self, path: str, payload: Any, **header: Any) -> str:
        """A signing input, for the CA that the policy has. payload: None for POST-as-GET."""
        url = path if path.startswith("https:") else f"{self.both.pebble.directory.removesuffix('/dir')}{path}"
        protected = {"alg": "ES256", "kid": self.uri, "nonce": "bm9uY2U", "url": url} | header
        body = b"" if payload is None else json.dumps(payload).encode()
        return f"{encoded(json.dumps(protected).encode())}.{encoded(body)}\r\n"

    @property
    def ssh(self) -> str:
        words = ["ssh", "-o", f"UserKnownHostsFile={KNOWN_HOSTS}", "-i", self.identity, "-p", str(PORT)]
        return " ".join([*words, "signer@127.0.0.1"])

    def signatures(self, sent: str) -> int:
        """How many of these lines were signed."""
        return self.lines("cat", sent)

    def lines(self, script: str, sent: str = "") -> int:
        """How many lines came back, beside the greeting's two, for what a script of the shell prints."""
        answer = self.both.machine.run(["sh", "-c", f"{script} | {self.ssh}"], input=sent, check=False)
        lines = answer.stdout.splitlines()
        assert lines[0].startswith("1 OK "), answer
        return len(lines) - 2

    def record(self) -> list[dict[str, str]]:
        return self.far.log()


@pytest.fixture(scope="module")
def liar(debs: list[Path]) -> Iterator[Liar]:
    with hosts(debs) as both:
        far, identity = both.far.user("signer"), both.far.identity("liar")
        far.make_key("ec")
        far.write(far.config, KEYD + policy(NAME, more='operations = ["order", "newAccount"]'))
        far.authorize(identity, "acme-keyd --stdio")
        both.configure("liar", f'key = "ssh:signer@127.0.0.1:{PORT}"')
        both.seal("liar", identity)
        uri = both.register("liar")
        yield Liar(both, far, identity, uri)


def test_what_it_may_have(liar: Liar) -> None:
    """So that what is refused below is not refused for another reason."""
    order = {"identifiers": [{"type": "dns", "value": NAME}]}
    assert liar.signatures(liar.line("/order-plz", order) + liar.line("/finalize-order/x", {"csr": csr(NAME)})) == 2
    assert liar.record()[-1]["message"].startswith("Signed finalize ")


@pytest.mark.parametrize("attack", REFUSED)
def test_it_gets_nothing(liar: Liar, attack: str) -> None:
    """The connection ends; what comes after is not looked at."""
    path, payload, header, rule = REFUSED[attack]
    if payload == {"csr": FOREIGN}:
        payload = {"csr": csr(FOREIGN)}
    before = len(liar.record())
    sent = liar.line(liar.uri if path == "account" else path, payload, **header)
    assert liar.signatures(sent + liar.line("/order-plz", None)) == 0
    (entry,) = liar.record()[before:]
    assert entry["message"].startswith("Refused to sign ")
    assert rule in entry["message"]
    assert "\n" not in entry["message"]


def test_the_account_cannot_be_taken_over(liar: Liar) -> None:
    """keyChange to a key of the liar's ; with lacme's signer that is one of the two requests that it takes."""
    inner = {"protected": encoded(json.dumps({"alg": "ES256", "jwk": OTHER_KEY}).encode()), "payload": "e30"}
    before = len(liar.record())
    assert liar.signatures(liar.line("/rollover-account-key", inner | {"signature": "AA"})) == 0
    (entry,) = liar.record()[before:]
    assert entry["message"].startswith("Refused to sign ")


@pytest.mark.parametrize(
    ("sent", "rule"),
    [
        pytest.param("printf 'e30.e30\\n'", "a line ends with CR LF", id="LF alone"),
        pytest.param("printf 'e30.e30'", "the stream ended inside a line", id="half a line"),
        pytest.param("head -c 52428800 /dev/zero", "a line has at most 65536 bytes", id="50 MiB"),
        pytest.param("printf '\\033[2J.\\r\\n'", "a line is two words of base64url", id="not base64url"),
    ],
)
def test_lines_that_are_none(liar: Liar, sent: str, rule: str) -> None:
    before = len(liar.record())
    assert liar.lines(sent) == 0
    (entry,) = liar.record()[before:]
    assert rule in entry["message"]
