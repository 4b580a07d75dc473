# SPDX-License-Identifier: LGPL-2.1-or-later
"""tls-alpn-01: a CA that validates over it, strangers on port 443, and web servers that have the port already."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.machine import Machine, Pebble
from tests.system.lease import ALPN_LEASE, ALPN_RESPONDER, ALPN_SOCKET, Lease, pending_challenge, state, wait_closed
from tests.system.network import ADDRESSES, Stranger, hostile, stranger
from tests.system.privcall import call

NAME = "alpn.example.com"
AUTHORIZATION = f"{'t' * 43}.{'k' * 43}"
DIRECTORY = "/run/acmed/alpn01"

# An ACME client of its own, as far as the validation: python3 CLIENT DIRECTORY-URL CA-FILE NAME...
CLIENT = f"""
import datetime, ipaddress, json, os, sys
from pathlib import Path
import josepy
from acme import challenges, client, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

url, ca_file, *names = sys.argv[1:]
os.environ["REQUESTS_CA_BUNDLE"] = ca_file
key = josepy.JWKRSA(key=rsa.generate_private_key(65537, 2048))
network = client.ClientNetwork(key, user_agent="test")
acme = client.ClientV2(client.ClientV2.get_directory(url, network), network)
acme.new_account(messages.NewRegistration.from_data(email="a@example.com", terms_of_service_agreed=True))

def address(name):
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None

san = [x509.IPAddress(address(name)) if address(name) else x509.DNSName(name) for name in names]
builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
csr = builder.add_extension(x509.SubjectAlternativeName(san), False).sign(ec.generate_private_key(ec.SECP256R1()),
    hashes.SHA256())
order = acme.new_order(csr.public_bytes(serialization.Encoding.PEM))
for authorization in order.authorizations:
    name = authorization.body.identifier.value
    (offer,) = [one for one in authorization.body.challenges if one.chall.typ == "tls-alpn-01"]
    ip = address(name)
    path = Path("{DIRECTORY}", ip.reverse_pointer if ip else name)
    path.write_text(name + " " + offer.chall.key_authorization(key) + "\\n")
    path.chmod(0o644)
    acme.answer_challenge(offer, challenges.KeyAuthorizationChallengeResponse(
        key_authorization=offer.chall.key_authorization(key)))
deadline = datetime.datetime.now() + datetime.timedelta(seconds=40)
try:
    acme.poll_authorizations(order, deadline)
except Exception as error:
    print(repr(error), getattr(error, "failed_authzrs", ""))
else:
    print("valid")
"""

# For hostile().
HOSTILE = """
import os, socket, ssl, struct, sys
kind, address = sys.argv[1:]

def hello(name):
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["acme-tls/1"])
    sent = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()

crowd = []
for _ in range(300):
    peer = socket.create_connection((address, 443), 20)
    crowd.append(peer)
    try:
        if kind == "half":
            peer.sendall(hello("alpn.example.com")[:100])
        elif kind == "hello":
            peer.sendall(hello("alpn.example.com"))
        elif kind == "stranger":
            peer.sendall(hello("other.example.com"))
        elif kind == "noise":
            peer.sendall(b"\\x16\\x03\\x01" + os.urandom(100_000))
        elif kind == "records":
            peer.sendall(b"\\x16\\x03\\x01\\x00\\x00" * 20_000)
        elif kind == "reset":
            peer.sendall(hello("alpn.example.com"))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
    except OSError:
        pass
print("ready", flush=True)
sys.stdin.read()
"""


DROPPING = "table inet test {\n chain in {\n type filter hook input priority 0\n policy drop\n }\n }\n"


def pend(machine: Machine, name: str = NAME, value: str = NAME) -> None:
    machine.write(f"{DIRECTORY}/{name}", f"{value} {AUTHORIZATION}\n")


@pytest.fixture
def lease(machine: Machine) -> Iterator[Lease]:
    with pending_challenge(machine):
        pend(machine)
        yield Lease(machine, kind=ALPN_LEASE)
        machine.run(["sh", "-c", f"rm -f {DIRECTORY}/*"])


def shaken(ca: Stranger, *options: str, address: str = ADDRESSES[0], name: str = NAME) -> str:
    """What openssl says of a handshake, with the certificate that it was shown, if any."""
    command = ["openssl", "s_client", "-connect", f"{address}:443", "-servername", name, *options]
    script = f"timeout 20 {' '.join(command)} </dev/null 2>&1 | tee /run/shaken; openssl x509 -noout -text </run/shaken"
    return ca.run(["sh", "-c", f"{script} 2>&1"])


def check_answers(machine: Machine) -> None:
    with stranger(machine) as ca, pending_challenge(machine):
        pend(machine)
        Lease(machine, kind=ALPN_LEASE).start()
        for address in ADDRESSES:
            for version in ("-tls1_2", "-tls1_3"):
                said = shaken(ca, "-alpn", "acme-tls/1", version, address=address)
                assert "ALPN protocol: acme-tls/1" in said
                assert f"DNS:{NAME}\n" in said
                assert "1.3.6.1.5.5.7.1.31: critical" in said
        for options, alert in (
            (["-alpn", "h2"], "no application protocol"),
            ([], "no application protocol"),
            (["-alpn", "acme-tls/1", "-servername", "other.example.com"], "unrecognized name"),
            (["-alpn", "acme-tls/1", "-noservername"], "unrecognized name"),
        ):
            said = shaken(ca, *options) if "-noservername" not in options else unnamed(ca)
            assert alert in said
            assert "BEGIN CERTIFICATE" not in said
        machine.run(["sh", "-c", f"rm {DIRECTORY}/*"])
        assert "unrecognized name" in shaken(ca, "-alpn", "acme-tls/1")
        log = machine.journal(ALPN_RESPONDER)
        assert f"Answered the challenge for {NAME}" in log
        assert "Traceback" not in log


def unnamed(ca: Stranger) -> str:
    command = f"timeout 20 openssl s_client -connect {ADDRESSES[0]}:443 -noservername -alpn acme-tls/1 </dev/null 2>&1"
    return ca.run(["sh", "-c", command])


def test_answers(machine: Machine) -> None:
    check_answers(machine)


def test_answers_on_debian_12(bookworm: Machine) -> None:
    check_answers(bookworm)


@pytest.mark.parametrize("names", [[NAME, "xn--bcher-kva.example.com"], ["192.0.2.1"], ["2001:db8::1"]], ids=" ".join)
@pytest.mark.usefixtures("ca")
def test_a_ca_validates(lease: Lease, pebble: Pebble, names: list[str]) -> None:
    machine = lease.machine
    machine.write("/run/client.py", CLIENT)
    lease.start()
    said = machine.run(["python3", "/run/client.py", pebble.directory, pebble.ca_file, *names]).stdout
    assert said == "valid\n"
    log = machine.journal(ALPN_RESPONDER)
    assert all(f"Answered the challenge for {name}, asked for by" in log for name in names)


@pytest.mark.parametrize("kind", ["silent", "half", "hello", "stranger", "noise", "records", "reset"])
def test_hostile_peers_cost_no_validation(lease: Lease, ca: Stranger, kind: str) -> None:
    machine = lease.machine
    lease.start()
    with hostile(machine, HOSTILE, kind):
        for address in ADDRESSES:
            assert f"DNS:{NAME}\n" in shaken(ca, "-alpn", "acme-tls/1", address=address)
    assert "Traceback" not in machine.journal(ALPN_RESPONDER)
    assert machine.run(["systemctl", "show", "--property=NRestarts", "--value", ALPN_RESPONDER]).stdout == "0\n"


def test_slow_peer_does_not_keep_the_port_open(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    lease.start()
    with hostile(machine, HOSTILE, "hello"):
        lease.stop()
        machine.wait_until("the responder to end", lambda: state(machine, ALPN_RESPONDER) == "inactive", timeout=4)
        machine.wait_until("the socket to close", lambda: state(machine, ALPN_SOCKET) == "inactive", timeout=4)


def test_ends_when_idle_and_starts_again(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    lease.start()
    machine.wait_until("the responder to be idle", lambda: state(machine, ALPN_RESPONDER) == "inactive")
    assert state(machine, ALPN_SOCKET) == "active"
    assert f"DNS:{NAME}\n" in shaken(ca, "-alpn", "acme-tls/1")


def test_sees_nothing_but_answers(lease: Lease) -> None:
    """From inside its namespaces; nothing of its key is left in its temporary directory."""
    machine = lease.machine
    lease.start()
    machine.wait_until("the responder to run", lambda: state(machine, ALPN_RESPONDER) == "active")
    pid = machine.run(["systemctl", "show", "--property=MainPID", "--value", ALPN_RESPONDER]).stdout.strip()
    root = f"/proc/{pid}/root"
    assert machine.run(["find", f"{root}/run", "-type", "f"]).stdout.split() == [f"{root}{DIRECTORY}/{NAME}"]
    assert machine.run(["find", f"{root}/tmp", f"{root}/var/tmp", "-type", "f"]).stdout == ""
    status = dict(line.split(":\t", 1) for line in machine.read(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0000000000000000"}
    assert status["Uid"].split()[0] != "0"


def opened(machine: Machine, job: int, kind: str = "tls-alpn-01") -> dict[str, Any]:
    return call(machine, "OpenChallenge", job=job, certificate=NAME, type=kind)


def closed(machine: Machine, job: int) -> dict[str, Any]:
    return call(machine, "CloseChallenge", job=job, certificate=NAME)


def probed(machine: Machine, kind: str = "tls-alpn-01") -> str:
    answer = call(machine, "ProbeChallenge", certificate=NAME, type=kind)
    return str(answer["problem"])


def listening(machine: Machine) -> str:
    return machine.run(["ss", "-Hltn", "sport = :443"]).stdout


def check_leases(machine: Machine) -> None:
    with pending_challenge(machine):
        assert probed(machine) == ""
        assert opened(machine, 21) == {"method": "directory"}
        assert listening(machine)
        assert probed(machine) == "", "what has the port is ours"
        assert opened(machine, 22) == {"method": "directory"}
        assert opened(machine, 22, "http-01") == {"method": "directory"}
        assert machine.run(["ss", "-Hltn", "sport = :80"]).stdout
        assert closed(machine, 21) == {}
        assert listening(machine), "another job needs it"
        assert closed(machine, 22) == {}
        assert listening(machine) == ""
        wait_closed(machine)
        assert closed(machine, 22) == {}, "nothing to close is no error"


def test_leases(machine: Machine) -> None:
    check_leases(machine)


def test_leases_on_debian_12(bookworm: Machine) -> None:
    check_leases(bookworm)


def test_the_firewall_is_opened_for_443_alone(lease: Lease, ca: Stranger) -> None:
    machine = lease.machine
    machine.run(["nft", "-f", "-"], input=DROPPING)
    try:
        assert opened(machine, 23) == {"method": "directory"}
        rules = json.loads(machine.run(["nft", "-j", "list", "table", "inet", "test"]).stdout)["nftables"]
        (rule,) = [entry["rule"] for entry in rules if "rule" in entry]
        assert rule["expr"][0]["match"]["right"] == 443
        assert f"DNS:{NAME}\n" in shaken(ca, "-alpn", "acme-tls/1")
        assert closed(machine, 23) == {}
        assert "dport" not in machine.run(["nft", "list", "table", "inet", "test"]).stdout
    finally:
        machine.run(["nft", "delete", "table", "inet", "test"])


NGINX_SITE = "/etc/nginx/sites-enabled/alpn-test"


def check_taken_by_nginx(machine: Machine) -> None:
    with pending_challenge(machine):
        machine.write(NGINX_SITE, "server { listen 127.0.0.1:443; listen [::1]:443; }\n")
        machine.run(["systemctl", "restart", "nginx.service"])
        try:
            problem = probed(machine)
            assert problem.startswith("port 443 cannot be opened: nginx.service has it (ss -ltnp 'sport = :443'")
            assert 'challenge = "http-01" or "dns-01"' in problem
            answer = opened(machine, 24)
            assert answer == {"error": "ChallengeUnavailable", "message": problem}
            assert state(machine, f"{ALPN_LEASE}@24.service") == "inactive"
        finally:
            machine.run(["systemctl", "stop", "nginx.service"])
            machine.run(["rm", NGINX_SITE])
        assert probed(machine) == ""
        assert opened(machine, 24) == {"method": "directory"}
        assert closed(machine, 24) == {}
        failed = machine.run(["systemctl", "list-units", "--failed", "--no-legend", "acme-portholder*"]).stdout
        assert failed == "", "nothing stays loaded"


def test_a_web_server_has_the_port(machine: Machine) -> None:
    check_taken_by_nginx(machine)


def test_a_web_server_has_the_port_on_debian_12(bookworm: Machine) -> None:
    check_taken_by_nginx(bookworm)


def order(machine: Machine, *names: str) -> str:
    """What the certificate that comes of it is for."""
    machine.run(["acmectl", "order", "--challenge", "tls-alpn-01", "--name", NAME, *names], timeout=120)
    command = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", f"/var/lib/acme/{NAME}/cert.pem"]
    subject = machine.run(command).stdout.splitlines()[1].strip()
    assert machine.run(["ls", "-A", DIRECTORY]).stdout == ""
    wait_closed(machine)
    machine.run(["acmectl", "forget", NAME])
    return subject


@pytest.mark.usefixtures("ca", "account")
def test_a_certificate_from_the_first_to_the_last(machine: Machine) -> None:
    machine.run(["systemctl", "stop", "nginx.service"])
    assert order(machine, NAME, "192.0.2.1") == f"DNS:{NAME}, IP Address:192.0.2.1"
    assert order(machine, "2001:db8::1") == "IP Address:2001:DB8:0:0:0:0:0:1"


def test_others_who_have_the_port(lease: Lease) -> None:
    machine = lease.machine
    machine.write("/run/systemd/system/other.socket", "[Socket]\nListenStream=443\n")
    machine.write("/run/systemd/system/other.service", "[Service]\nExecStart=/bin/true\n")
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "start", "other.socket"])
    try:
        assert any(who in probed(machine) for who in ("other.socket has it", "systemd for one of its socket units"))
    finally:
        machine.run(["systemctl", "stop", "other.socket"])
        machine.run(["rm", "/run/systemd/system/other.socket", "/run/systemd/system/other.service"])
        machine.run(["systemctl", "daemon-reload"])
    scope = ["systemd-run", "--scope", "--quiet", "--unit=theirs", "nc", "-l", "-k", "-p", "443"]
    other = machine.popen(scope)
    try:
        machine.wait_until("the port to be taken", lambda: listening(machine))
        assert "a program of user 0 in theirs.scope has it" in probed(machine)
    finally:
        machine.run(["systemctl", "stop", "theirs.scope"])
        other.communicate("")
    assert probed(machine) == ""
