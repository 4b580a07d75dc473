# SPDX-License-Identifier: LGPL-2.1-or-later
"""An account's secrets on both releases: what acme-privd seals, PID 1 hands over, and acme-keyd signs with."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.machine import Machine
from tests.system import privcall
from tests.system.test_privd import Privd

NAME = "keys"
DIRECTORY = "https://localhost:14000/dir"
URI = "https://localhost:14000/acct/keys"
CONTACT = ["mailto:keys@example.com"]
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
SEALED = "/etc/credstore.encrypted/acmed"
ARCHIVE = "/var/lib/acme-privd/archive/accounts"


@dataclass
class Keyd:
    """acme-keyd, called as root, with acme-privd beside it."""

    machine: Machine
    privd: Privd

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        calls = [(method, {"account": NAME, **parameters})]
        (answer,) = privcall.ask(self.machine, "org.acmed.Key", "/run/acmed/key.sock", calls)
        return answer

    def sign(self, payload: Any, url: str) -> dict[str, Any]:
        body = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode() if payload else ""
        return self.call("Sign", url=url, nonce="bm9uY2U", payload=body)

    def key(self) -> str:
        return str(self.call("GetAccount")["thumbprint"])


@pytest.fixture(params=["machine", "bookworm"])
def keyd(request: pytest.FixtureRequest) -> Iterator[Keyd]:
    machine: Machine = request.getfixturevalue(request.param)
    yield Keyd(machine, Privd(machine))
    files = [f"{SEALED}.{kind}/{NAME}" for kind in ("accounts", "next-accounts", "bindings")]
    machine.run(["rm", "-rf", ARCHIVE, f"/etc/acmed/acmed.toml.d/account-{NAME}.toml", *files])
    machine.run(["systemctl", "stop", "acme-keyd.service"])


def decoded(text: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def new_account(privd: Privd) -> dict[str, Any]:
    parameters: dict[str, Any] = {"directory": DIRECTORY, "contact": CONTACT, "keyType": "ecdsa-p256", "caPem": None}
    return privd.call("NewAccount", account=NAME, **parameters)


def test_the_life_of_an_account(keyd: Keyd) -> None:
    privd = keyd.privd
    binding = {"directory": DIRECTORY, "keyId": "kid-1", "hmacKey": SECRET, "algorithm": "HS384"}
    assert privd.call("SealBinding", account=NAME, **binding) == {}
    assert new_account(privd) == {}
    signed = keyd.sign({"termsOfServiceAgreed": True, "contact": CONTACT}, f"{DIRECTORY}/new")
    bound = decoded(signed["payload"])["externalAccountBinding"]
    assert decoded(bound["protected"]) == {"alg": "HS384", "kid": "kid-1", "url": f"{DIRECTORY}/new"}
    assert privd.call("SetAccountUri", account=NAME, uri=URI) == {}

    assert keyd.sign(None, URI)["error"] == "NotPermitted"
    assert privd.call("PermitAccount", account=NAME, operation="read", contact=[]) == {}
    assert "signature" in keyd.sign(None, URI)
    assert privd.call("PermitAccount", account=NAME, operation="update", contact=[]) == {}
    assert "signature" in keyd.sign({"contact": []}, URI)
    assert privd.call("SetContact", account=NAME, contact=[]) == {}

    old = keyd.key()
    assert privd.call("NewAccountKey", account=NAME, keyType="ecdsa-p384") == {"keyType": "ecdsa-p384"}
    privd.shell("systemctl kill --signal=SIGKILL acme-keyd.service acme-privd.service")
    change = keyd.call("SignKeyChange", url=f"{DIRECTORY}/key-change", nonce="bm9uY2U")
    inner = decoded(change["payload"])
    assert decoded(inner["protected"])["alg"] == "ES384"
    assert keyd.key() == old
    assert privd.call("AdoptAccountKey", account=NAME) == {"keyType": "ecdsa-p384"}
    new = keyd.key()
    assert new != old
    assert privd.call("AdoptAccountKey", account=NAME) == {"keyType": "ecdsa-p384"}
    assert keyd.key() == new
    assert keyd.call("SignKeyChange", url=f"{DIRECTORY}/key-change", nonce="bm9uY2U")["error"] == "KeyUnavailable"
    assert privd.shell(f"ls {SEALED}.next-accounts") == ""

    assert privd.call("PermitAccount", account=NAME, operation="deactivate", contact=[]) == {}
    assert "signature" in keyd.sign({"status": "deactivated"}, URI)
    assert privd.call("RetireAccount", account=NAME) == {}
    assert keyd.call("GetAccount") == {"error": "UnknownAccount", "account": NAME}
    archived = privd.shell(f"cd {ARCHIVE}; find . -type f -printf '%f %m %u\\n' | sort").splitlines()
    assert archived == ["account.toml 600 root", *2 * ["acmed.accounts 600 root"], "acmed.bindings 600 root"]
    assert privd.shell(f"stat -c %a {ARCHIVE} {ARCHIVE}/*") == "700\n" * 3


def test_no_secret_is_in_the_journal_or_on_the_disk(keyd: Keyd) -> None:
    binding = {"directory": DIRECTORY, "keyId": "kid-1", "hmacKey": SECRET, "algorithm": "HS256"}
    assert keyd.privd.call("SealBinding", account=NAME, **binding) == {}
    assert keyd.privd.call("SealBinding", account=NAME, **(binding | {"hmacKey": f"{SECRET}!"}))["error"]
    assert new_account(keyd.privd) == {}
    keyd.sign({"termsOfServiceAgreed": True, "contact": CONTACT}, f"{DIRECTORY}/new")
    assert SECRET not in keyd.privd.shell("journalctl --no-pager --all --output=export")
    found = keyd.privd.shell(f"grep -r -l -a {SECRET} /etc /run /tmp /var --exclude-dir=journal || true")
    assert found == f"/run/credentials/acme-keyd.service/binding_{NAME}\n", "in memory that is not swapped, and nowhere"
