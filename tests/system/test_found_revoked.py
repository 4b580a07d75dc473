# SPDX-License-Identifier: LGPL-2.1-or-later
"""A certificate that its CA has revoked without a word, as its OCSP responder or its CRL says: openssl's, both."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl
from tests.system.authority import account, another, forget
from tests.system.busctl import Caller
from tests.system.installed import Installed
from tests.system.timer import run_timer

PREFIX = "gone-"
ACCOUNT = "gone"
WORK = "/run/gone"
OCSP_PORT, WEB_PORT, PEBBLE_PORT = 2560, 2561, 14110
MESSAGE = "5e0d7c1ab9964c1d8f3b62a07d1e94c8"
ARCHIVE = "/var/lib/acme-privd/archive/certificates"

# Who may answer for the CA, beside itself.
MAKE_RESPONDER = """
set -eu
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -CA inter.pem -CAkey inter.key \\
    -keyout responder.key -out responder.pem -subj '/CN=Responder' -addext extendedKeyUsage=OCSPSigning \\
    -addext basicConstraints=critical,CA:FALSE
"""
# A CA of openssl's, which keeps a list of what it has revoked.
MAKE_CA = """
set -eu
cat >ca.cnf <<'END'
[ca]
default_ca = own
[own]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 1
END
: >index.txt
echo 01 >crlnumber
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.pem \\
    -subj '/CN=CA with a list' -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
"""
MAKE_LEAF = """
set -eu
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -CA ca.pem -CAkey ca.key \\
    -keyout privkey.pem -out cert.pem -subj / -addext "subjectAltName=DNS:$1" -addext "crlDistributionPoints=URI:$2" \\
    -addext basicConstraints=critical,CA:FALSE
d=/var/lib/acme/.$1.elsewhere
mkdir $d
cat cert.pem ca.pem >$d/fullchain.pem
cp cert.pem $d/cert.pem
cp ca.pem $d/chain.pem
install -m 600 privkey.pem $d/privkey.pem
ln -s .$1.elsewhere /var/lib/acme/$1
"""
MAKE_LIST = "openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl | openssl crl -outform DER -out ca.crl"
REVOKE = "openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke cert.pem -crl_reason superseded"


@dataclass(frozen=True)
class Rig:
    """CAs that do not tell when they revoke."""

    machine: Machine
    pebble: Pebble

    @property
    def ctl(self) -> Acmectl:
        return Acmectl(self.machine)

    def shell(self, script: str, *arguments: str) -> None:
        self.machine.run(["sh", "-c", f"mkdir -p {WORK} && cd {WORK}\n{script}", "sh", *arguments])

    def serve(self, unit: str, *command: str) -> None:
        """Has a program run there, in place of an earlier one."""
        self.machine.run(["systemctl", "stop", f"{unit}.service"], check=False)
        options = ["--quiet", "--collect", f"--unit={unit}", f"--property=WorkingDirectory={WORK}"]
        self.machine.run(["systemd-run", *options, "--", *command])

    def respond(self, serial: str, revoked: bool, signer: str = "inter") -> None:
        """From now on the responder says this."""
        status = "R\t301231235959Z\t250101000000Z,superseded" if revoked else "V\t301231235959Z\t"
        self.machine.write(f"{WORK}/index.txt", f"{status}\t{serial}\tunknown\t/CN=any\n")
        files = ["-index", "index.txt", "-CA", "inter.pem", "-rsigner", f"{signer}.pem", "-rkey", f"{signer}.key"]
        self.serve("gone-ocsp", "openssl", "ocsp", "-port", str(OCSP_PORT), *files, "-nmin", "30")
        self.listening(OCSP_PORT)

    def listening(self, port: int) -> None:
        asking = ["ss", "--listening", "--tcp", "--numeric", "--no-header", f"sport = :{port}"]
        self.machine.wait_until(f"a listener on port {port}", lambda: bool(self.machine.run(asking).stdout))

    def checked(self, name: str) -> dict[str, Any]:
        """What acmed remembers of it."""
        return dict(json.loads(self.machine.read(f"/var/lib/acmed/certificates/{name}.json"))["checked"])

    def now(self) -> int:
        return int(self.machine.run(["date", "+%s"]).stdout) * 1_000_000

    def ask(self, name: str) -> str:
        """The timer, a day or two later, as far as this certificate knows; what was said."""
        run_timer(self.machine)  # at the latest then it has an appointment
        assert self.checked(name)["ask_at"] > self.now()
        self.machine.run(["systemctl", "stop", "acmed.service"])
        path = f"/var/lib/acmed/certificates/{name}.json"
        state = json.loads(self.machine.read(path))
        state["checked"]["ask_at"] = 1
        self.machine.run(["tee", path], input=json.dumps(state))
        said = run_timer(self.machine)
        self.machine.wait_until("the answer", lambda: self.checked(name)["ask_at"] > 1)
        return said

    def replaced(self, name: str, serial: str) -> dict[str, Any]:
        """The certificate that came in the place of that one, once its job has ended."""

        def there() -> bool:
            now = Caller(self.machine).certificate(name)
            return now["SerialNumber"] != serial and (now["State"], now["Job"]) == ("valid", [0, "/"])

        self.machine.wait_until("the replacement", there)
        return Caller(self.machine).certificate(name)

    def archived_keys(self, name: str) -> set[str]:
        paths = self.machine.run(["sh", "-c", f"ls {ARCHIVE}/{name}/*/privkey.pem"]).stdout.split()
        return {self.machine.run(["openssl", "pkey", "-pubout", "-in", path]).stdout.strip() for path in paths}

    def told(self) -> str:
        """What is in the journal of certificates that CAs have revoked, with the catalogue's explanation."""
        options = ["--quiet", "--catalog", "--output=short", f"MESSAGE_ID={MESSAGE}"]
        self.machine.run(["journalctl", "--sync"])
        return self.machine.run(["journalctl", "--boot", *options]).stdout

    def silent(self, name: str) -> bool:
        """Whether nothing went wrong with the question."""
        return f"{name}: whether it was revoked" not in self.machine.journal("acmed.service")


@pytest.fixture(scope="module")
def rig(machine: Machine, pebble: Pebble) -> Iterator[Rig]:
    responder = f"http://127.0.0.1:{OCSP_PORT}/ocsp"
    with (
        another(machine, "gone", PEBBLE_PORT, ocsp_responder=responder, key_algorithm="rsa") as ca,
        account(machine, ACCOUNT, ca.directory),
    ):
        certificate, key = ca.intermediate_pem()
        machine.write(f"{WORK}/inter.pem", certificate)
        machine.write(f"{WORK}/inter.key", key, 0o600)
        rig = Rig(machine, ca)
        rig.shell(MAKE_RESPONDER)
        yield rig
        machine.run(["systemctl", "stop", "gone-ocsp.service", "gone-web.service"], check=False)
        machine.wait_until("the jobs to end", lambda: not Caller(machine).jobs())
        forget(machine, PREFIX)
        machine.run(["rm", "-rf", WORK])


def test_by_ocsp(rig: Rig) -> None:
    """Nobody renews it for another reason: it is new, and its CA does not move its window."""
    name = f"{PREFIX}ocsp.example"
    rig.ctl.run("order", name, "--account", ACCOUNT)
    certificate = Installed(rig.machine, name)
    serial, key = certificate.serial, certificate.public_key
    assert "/ocsp" in certificate.show("-ocsp_uri")

    rig.respond(serial, revoked=False)
    begun = rig.now()
    rig.ask(name)
    rig.machine.wait_until("a good answer", lambda: rig.checked(name)["ask_at"] >= begun + 24 * 3600 * 1_000_000)
    assert rig.silent(name)
    assert (certificate.serial, Caller(rig.machine).certificate(name)["State"]) == (serial, "valid")

    rig.respond(serial, revoked=True, signer="responder")
    rig.ask(name)
    rig.replaced(name, serial.lower())
    certificate.check(name)
    assert certificate.public_key != key
    assert key in rig.archived_keys(name)
    told = rig.told()
    assert f"The CA has revoked {name} at 2025-01-01 00:00 UTC (superseded), says http://127.0.0.1" in told
    assert f"The CA has revoked the certificate {name}" in told
    # The CA, which knows nothing of it, was not asked to revoke it.
    assert rig.silent(name)
    assert "revoke-cert" not in rig.machine.journal("pebble-gone.service")


def test_responder_that_is_not_there_is_no_failure(rig: Rig) -> None:
    name = f"{PREFIX}nobody.example"
    rig.ctl.run("order", name, "--account", ACCOUNT)
    rig.machine.run(["systemctl", "stop", "gone-ocsp.service"], check=False)
    serial = Installed(rig.machine, name).serial
    rig.ask(name)
    rig.machine.wait_until("a word of it", lambda: not rig.silent(name))
    status = rig.ctl.json("status", name)
    assert (status["state"], status["failures"], Installed(rig.machine, name).serial) == ("valid", 0, serial)
    assert rig.checked(name)["ask_at"] > rig.now()


def test_by_crl(rig: Rig) -> None:
    """A certificate that somebody has put there; the one that takes its place is from the account's CA."""
    name = f"{PREFIX}crl.example"
    rig.shell(MAKE_CA + MAKE_LIST)
    rig.serve("gone-web", "python3", "-m", "http.server", "--bind", "127.0.0.1", str(WEB_PORT))
    rig.listening(WEB_PORT)
    rig.shell(MAKE_LEAF, name, f"http://127.0.0.1:{WEB_PORT}/ca.crl")
    rig.machine.write(f"/etc/acmed/certificates.d/{name}.toml", f'names = ["{name}"]\naccount = "{ACCOUNT}"\n')
    certificate = Installed(rig.machine, name)
    serial, key = certificate.serial, certificate.public_key

    rig.ask(name)
    web = ["journalctl", "--boot", "--unit=gone-web.service", "--output=cat"]
    rig.machine.wait_until("a download", lambda: '"GET /ca.crl HTTP/1.1" 200' in rig.machine.run(web).stdout)
    rig.machine.wait_until("its end", lambda: not rig.machine.run(["pgrep", "-f", "acmed.manager"], check=False).stdout)
    assert rig.silent(name)
    assert certificate.serial == serial

    rig.shell(f"{REVOKE} && {MAKE_LIST}")
    rig.ask(name)
    rig.replaced(name, serial.lower())
    certificate.check(name)
    assert certificate.public_key != key
    assert f"The CA has revoked {name}" in rig.told()
