# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed under a certificate's name, as openssl(1) sees it."""

from dataclasses import dataclass

from tests.machine import Machine, Pebble

ROOT = "/run/installed-root.pem"


@dataclass(frozen=True)
class Installed:
    """A certificate in /var/lib/acme."""

    machine: Machine
    name: str

    @property
    def directory(self) -> str:
        return f"/var/lib/acme/{self.name}"

    @property
    def serial(self) -> str:
        return self.show("-serial").removeprefix("serial=")

    @property
    def public_key(self) -> str:
        return self.show("-pubkey")

    @property
    def names(self) -> list[str]:
        """Of the subject alternative names, sorted."""
        _, _, listed = self.show("-ext", "subjectAltName").partition("\n")
        return sorted(entry.partition(":")[2] for entry in listed.strip().split(", "))

    def show(self, *options: str) -> str:
        """What openssl x509 prints of it."""
        return self.machine.run(
            ["openssl", "x509", "-noout", *options, "-in", f"{self.directory}/cert.pem"]
        ).stdout.strip()

    def is_issued_by(self, root: str) -> bool:
        """Whether its chain leads to this root (PEM)."""
        self.machine.write(ROOT, root)
        verify = ["openssl", "verify", "-no_check_time", "-CAfile", ROOT, "-untrusted", f"{self.directory}/chain.pem"]
        return self.machine.run([*verify, f"{self.directory}/cert.pem"], check=False).returncode == 0

    def check(self, *names: str, key: str = "") -> None:
        """The files are whole, fit each other and are for these names. key: a file, where it is not installed."""
        read = self.machine.read
        assert self.names == sorted(names)
        key = key or f"{self.directory}/privkey.pem"
        assert self.machine.run(["openssl", "pkey", "-pubout", "-in", key]).stdout.strip() == self.public_key
        whole = read(f"{self.directory}/cert.pem") + read(f"{self.directory}/chain.pem")
        assert read(f"{self.directory}/fullchain.pem") == whole


def check_installed(machine: Machine, pebble: Pebble, name: str, *identifiers: str) -> None:
    """The files in /var/lib/acme are whole, fit each other, and are for these names and from this CA."""
    directory = f"/var/lib/acme/{name}"
    machine.write(ROOT, pebble.root_pem())
    for identifier in identifiers:
        verify = ["openssl", "verify", "-CAfile", ROOT, "-untrusted", f"{directory}/chain.pem"]
        verify += ["-no_check_time"]  # it may live for seconds
        machine.run([*verify, "-verify_hostname", identifier, f"{directory}/cert.pem"])
    of_key = machine.run(["openssl", "pkey", "-in", f"{directory}/privkey.pem", "-pubout"]).stdout
    of_certificate = machine.run(["openssl", "x509", "-in", f"{directory}/cert.pem", "-noout", "-pubkey"]).stdout
    assert of_key == of_certificate
    whole = machine.read(f"{directory}/cert.pem") + machine.read(f"{directory}/chain.pem")
    assert machine.read(f"{directory}/fullchain.pem") == whole
