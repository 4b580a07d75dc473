# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ACME server in a machine: Pebble, and the DNS server that answers its questions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.machine.machine import Machine

DIRECTORY = "/etc/pebble"
FIRST = "pebble"
NAMES = "DNS:localhost,DNS:pebble.test,IP:127.0.0.1,IP:::1"
DAY = 24 * 3600

# A certificate authority of its own signs the server's certificate: strict verifiers want it that way.
MAKE_CERTIFICATES = f"""
set -eu
mkdir -p {DIRECTORY}
cd {DIRECTORY}
new() {{ openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "$@"; }}
new -keyout ca.key -out ca.pem -subj '/CN=Pebble test TLS' \\
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
new -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem -subj /CN=pebble.test \\
    -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \\
    -addext extendedKeyUsage=serverAuth -addext subjectAltName={NAMES}
"""


@dataclass(frozen=True)
class Profile:
    """A certificate profile that Pebble offers."""

    description: str = "The profile that everybody gets"
    validity: int = 90 * DAY
    common_name: bool = False
    """Put the first name into the subject too, as CAs did for long and some clients still need."""


def _default_profiles() -> dict[str, Profile]:
    return {"default": Profile()}


@dataclass
class Pebble:
    """Pebble 2.10 in `machine`: `with Pebble(machine) as pebble: ...`.

    There may be others beside the first, each with a `name` and a `port` of its own. The other fields are its settings;
    a change of one takes effect with `restart()`. It keeps everything in memory: after a restart it is another CA that
    knows no account.
    """

    machine: Machine
    nonce_reject: int = 0
    """Percentage of good nonces that are refused."""
    va_nosleep: bool = True
    """Validate at once; otherwise after a random time of up to 5 s."""
    authz_reuse: int = 50
    """Percentage of valid authorizations that a new order gets again."""
    retry_after_authz: int = 1
    retry_after_order: int = 1
    profiles: Mapping[str, Profile] = field(default_factory=_default_profiles)
    """Without a profile in the order, Pebble takes any of these."""
    http_port: int = 80
    tls_port: int = 443
    strict: bool = False
    chain_length: int = 1
    alternate_roots: int = 0
    external_account_keys: Mapping[str, str] = field(default_factory=dict)
    """Key identifier to base64url MAC key; with any, a new account must be bound to one."""
    blocked_domains: tuple[str, ...] = ("blocked-domain.example",)
    issuer_names: tuple[str, ...] = ("pebble.test",)
    """What a dns-persist-01 record must name."""
    default_ipv4: str = "127.0.0.1"
    default_ipv6: str = ""
    """What a name without records of its own resolves to; empty for none."""
    resolver: bool = True
    """Its DNS server is the machine's resolver too, which a machine without a network does not have otherwise."""
    name: str = FIRST
    """Its unit's. Another one than the first has the first one's DNS server and TLS certificate."""
    port: int = 14000
    """Of its directory; its management is 1000 above."""
    program: str = "pebble"
    asks: str = "127.0.0.1:8053"
    """The DNS server that it validates with: its own one, or another."""

    ocsp_responder: str = ""
    """The URL that certificates have for it; there is nobody unless a test sees to it."""

    key_algorithm: str = "ecdsa"
    """Of its own keys, ecdsa or rsa. Only those of RSA it gives away."""

    directory = "https://localhost:14000/dir"
    management = "https://localhost:15000"
    ca_file = f"{DIRECTORY}/ca.pem"
    """In the machine: what the directory's and the management's TLS certificate is verified with."""

    def __post_init__(self) -> None:
        self.directory = f"https://localhost:{self.port}/dir"
        self.management = f"https://localhost:{self.port + 1000}"

    def __enter__(self) -> "Pebble":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start both servers and wait until they answer."""
        if self.name == FIRST:
            self.machine.run(["sh", "-c", MAKE_CERTIFICATES])
            self._start_dns()
        self._start_pebble()

    def stop(self) -> None:
        """Stop both servers."""
        dns = ["pebble-challtestsrv.service"] if self.name == FIRST else []
        self.machine.run(["systemctl", "stop", f"{self.name}.service", *dns])

    def restart(self) -> None:
        """Start Pebble anew, with the settings as they are now; the DNS records stay."""
        self.machine.run(["systemctl", "stop", f"{self.name}.service"])
        self._start_pebble()
        self.set_default_addresses()

    def root_pem(self, number: int = 0) -> str:
        """The root certificate of the chains that Pebble issues: that of chain `number`, as there may be alternates."""
        return self._curl("--cacert", self.ca_file, f"{self.management}/roots/{number}")

    def intermediate_pem(self) -> tuple[str, str]:
        """The certificate and the key that it issues with, where that is of RSA."""
        certificate = self._curl("--cacert", self.ca_file, f"{self.management}/intermediates/0")
        return certificate, self._curl("--cacert", self.ca_file, f"{self.management}/intermediate-keys/0")

    def set_renewal_info(self, certificate_pem: str, response: str) -> None:
        """Answer `response`, which need not be good JSON, when asked for a certificate's renewal information."""
        body = json.dumps({"certificate": certificate_pem, "ariResponse": response})
        self._curl("--cacert", self.ca_file, "--data-binary", "@-", f"{self.management}/set-renewal-info/", body=body)

    def dns(self, command: str, **arguments: object) -> None:
        """Tell the DNS server something: dns("set-txt", host="_acme-challenge.example.test.", value="...")."""
        self._curl("--data-binary", "@-", f"http://localhost:8055/{command}", body=json.dumps(arguments))

    def set_default_addresses(self) -> None:
        """Have names without records of their own resolve to `default_ipv4` and `default_ipv6` as they are now."""
        self.dns("set-default-ipv4", ip=self.default_ipv4)
        self.dns("set-default-ipv6", ip=self.default_ipv6)

    def _start_dns(self) -> None:
        dns = ":8053,127.0.0.1:53" if self.resolver else ":8053"
        listeners = ["-http01=", "-https01=", "-tlsalpn01=", "-doh=", f"-dnsserver={dns}", "-management=:8055"]
        self._run_unit("pebble-challtestsrv", ["pebble-challtestsrv", *listeners])
        self.machine.wait_until("the DNS server to answer", lambda: self._answers("http://localhost:8055/"))
        self.set_default_addresses()

    def _start_pebble(self) -> None:
        configuration = f"{DIRECTORY}/{self.name}.json"
        self.machine.write(configuration, json.dumps({"pebble": self._configuration()}, indent=2))
        environment = {
            "PEBBLE_WFE_NONCEREJECT": self.nonce_reject,
            "PEBBLE_VA_NOSLEEP": int(self.va_nosleep),
            "PEBBLE_AUTHZREUSE": self.authz_reuse,
            "PEBBLE_CHAIN_LENGTH": self.chain_length,
            "PEBBLE_ALTERNATE_ROOTS": self.alternate_roots,
        }
        options = ["-config", configuration, "-dnsserver", self.asks]
        options += ["-strict"] if self.strict else []
        settings = [f"--setenv={name}={value}" for name, value in environment.items()]
        self._run_unit(self.name, [self.program, *options], *settings)
        self.machine.wait_until("Pebble to answer", lambda: self._answers("--cacert", self.ca_file, self.directory))

    def _configuration(self) -> dict[str, object]:
        return {
            "listenAddress": f":{self.port}",
            "managementListenAddress": f":{self.port + 1000}",
            "certificate": f"{DIRECTORY}/server.pem",
            "privateKey": f"{DIRECTORY}/server.key",
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": self.ocsp_responder,
            "externalAccountBindingRequired": bool(self.external_account_keys),
            "externalAccountMACKeys": dict(self.external_account_keys),
            "domainBlocklist": list(self.blocked_domains),
            "caaIdentities": list(self.issuer_names),
            "keyAlgorithm": self.key_algorithm,
            "profiles": {
                name: {
                    "description": profile.description,
                    "validityPeriod": profile.validity,
                    "promoteCommonName": profile.common_name,
                }
                for name, profile in self.profiles.items()
            },
            "retryAfter": {"authz": self.retry_after_authz, "order": self.retry_after_order},
        }

    def _run_unit(self, name: str, command: list[str], *options: str) -> None:
        self.machine.run(["systemd-run", "--quiet", "--collect", f"--unit={name}", *options, "--", *command])

    def _answers(self, *arguments: str) -> bool:
        return self.machine.run(["curl", "--silent", "--output", "/dev/null", *arguments], check=False).returncode == 0

    def _curl(self, *arguments: str, body: str | None = None) -> str:
        return self.machine.run(["curl", "--silent", "--show-error", "--fail", *arguments], input=body).stdout
