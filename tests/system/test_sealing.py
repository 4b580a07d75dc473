# SPDX-License-Identifier: LGPL-2.1-or-later
"""How acme-privd has account keys sealed and opened on both releases: by systemd-creds, outside of its own sandbox. No
machine here has a TPM; what is shown is that systemd-creds sees what it would see if root ran it.
"""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from acmed import privatejwk
from tests.machine import Machine
from tests.system.privcall import ask, call

DIRECTORY = "https://localhost:14000/dir"
ACCOUNT = "sealing"
BLOB = f"/etc/credstore.encrypted/acmed.accounts/{ACCOUNT}"
PROBE = "/usr/local/bin/probe"
SECRETS = "/var/lib/acme/probe /var/lib/acme-privd/probe /etc/credstore.encrypted/acmed.accounts/.probe /etc/shadow"

# In systemd-creds's place.
PROBE_TEXT = f"""#!/bin/sh
echo "given: $(cat)"
echo "arguments: $*"
echo "devices: $(ls /dev | tr '\\n' ' ')"
echo "classes: $(ls /sys/class | tr '\\n' ' ')"
echo "interfaces: $(ls /proc/sys/net/ipv4/conf | tr '\\n' ' ')"
grep ^Cap /proc/self/status
for place in /etc /var/lib/systemd /var/lib/acme-privd /root /sys; do
    touch $place/wrote-here 2>/dev/null && echo "wrote: $place"
done
cat {SECRETS} 2>/dev/null && echo "read: a secret"
echo "the last line" >&2
"""
RUN_PROBE = f"""
from acmed.privd.accounts import creds
creds._PROGRAM = "{PROBE}"
outcome = creds.run("encrypt", "account_x", b"the secret")
print(outcome.output.decode())
print("said:", outcome.said)
print("failure:", outcome.failure)
"""


@pytest.fixture(scope="module", params=["machine", "bookworm"])
def host(request: pytest.FixtureRequest) -> Iterator[Machine]:
    machine: Machine = request.getfixturevalue(request.param)
    machine.run(["systemctl", "start", "acme-credential-key.service"])
    yield machine
    machine.run(["systemctl", "stop", "acme-keyd.service", "acme-privd.service"])


@pytest.fixture
def clean(host: Machine) -> Iterator[None]:
    yield
    host.run(["rm", "-f", BLOB, f"/etc/acmed/acmed.toml.d/account-{ACCOUNT}.toml", PROBE, *SECRETS.split()[:-1]])


def new_account(host: Machine) -> dict[str, object]:
    return call(host, "NewAccount", account=ACCOUNT, directory=DIRECTORY, contact=[], keyType="ecdsa-p256", caPem=None)


def import_key(host: Machine, key: str) -> dict[str, object]:
    return call(host, "ImportAccountKey", account=ACCOUNT, directory=DIRECTORY, key=key)


def journal(host: Machine, since: str) -> str:
    return host.run(["journalctl", "--no-pager", "--output=cat", f"--after-cursor={since}"]).stdout


def cursor(host: Machine) -> str:
    shown = host.run(["journalctl", "--no-pager", "--lines=0", "--show-cursor"]).stdout
    return shown.rpartition("-- cursor: ")[2].strip()


@pytest.mark.usefixtures("clean")
def test_acme_keyd_opens_what_was_sealed_and_the_journal_says_with_what(host: Machine) -> None:
    before = cursor(host)
    assert new_account(host) == {}
    (known,) = ask(host, "org.acmed.Key", "/run/acmed/key.sock", [("GetAccount", {"account": ACCOUNT})])
    assert "thumbprint" in known, known
    host.run(["journalctl", "--sync"])
    said = journal(host, before)
    assert f"Sealed account_{ACCOUNT} with the host's key\n" in said
    assert "PRIVATE KEY" not in said
    # Nothing is left of the units, nor of the sockets.
    assert host.run(["systemctl", "list-units", "--all", "--no-legend", "acme-creds-*"]).stdout == ""
    assert host.run(["sh", "-c", "ls /var/lib/acme-privd/*.sock 2>/dev/null"], check=False).stdout == ""


@pytest.mark.usefixtures("clean")
def test_what_root_has_sealed_is_opened(host: Machine) -> None:
    mine, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = privatejwk.to_pem(mine).decode()
    host.run(["systemd-creds", "encrypt", f"--name=account_{ACCOUNT}", "-", BLOB], input=pem)
    assert import_key(host, privatejwk.encode(mine)) == {}
    assert import_key(host, privatejwk.encode(other)) == {"error": "AccountExists", "account": ACCOUNT}


@pytest.mark.usefixtures("clean")
def test_what_cannot_be_opened_is_told(host: Machine) -> None:
    key = privatejwk.encode(ec.generate_private_key(ec.SECP256R1()))
    host.run(["systemd-creds", "encrypt", "--name=account_another", "-", BLOB], input="x")
    answer = import_key(host, key)
    assert answer["error"] == "KeyUnavailable"
    assert "account_another" in str(answer["reason"])
    assert "does not match" in str(answer["reason"])
    host.write(BLOB, "this was never sealed\n", 0o600)
    answer = import_key(host, key)
    assert answer["error"] == "KeyUnavailable"
    assert str(answer["reason"]).startswith("systemd-creds decrypt failed: exit status 1: ")


@pytest.mark.usefixtures("clean")
def test_systemd_creds_sees_the_devices_of_the_host_and_may_do_no_more(host: Machine) -> None:
    host.write(PROBE, PROBE_TEXT, 0o755)
    for secret in SECRETS.split()[:-1]:
        host.write(secret, "secret\n", 0o600)
    lines = host.run(["python3", "-c", RUN_PROBE]).stdout.splitlines()
    seen = dict(line.split(":", 1) for line in lines if ":" in line)
    found = {name: value.strip() for name, value in seen.items()}
    outside = {
        "devices": host.run(["ls", "/dev"]).stdout.split(),
        "classes": host.run(["ls", "/sys/class"]).stdout.split(),
    }
    assert {name: found[name].split() for name in outside} == outside
    assert found["given"] == "the secret"
    assert found["arguments"] == "encrypt --name=account_x --tpm2-pcrs=23 - -"
    assert set(found["interfaces"].split()) == {"all", "default", "lo"}
    # CAP_DAC_OVERRIDE
    assert {found[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {f"{2:016x}"}
    assert "wrote" not in found
    assert "read" not in found
    assert (found["said"], found["failure"]) == ("the last line", "")
