# SPDX-License-Identifier: LGPL-2.1-or-later
"""An account whose key is root's, in a key store, and what is ordered by it."""

from dataclasses import dataclass, field

from tests.machine import Machine, Pebble
from tests.system.acmectl import Acmectl

PASSPHRASES = "/etc/credstore.encrypted/acmed.passphrases"


@dataclass
class KeyAccount:
    """Configured by root, with a name of its own; the kind of its store is the beginning of key."""

    machine: Machine
    pebble: Pebble
    name: str
    key: str
    acmectl: Acmectl = field(init=False)

    def __post_init__(self) -> None:
        self.acmectl = Acmectl(self.machine)
        self.configure()

    @property
    def unit(self) -> str:
        return f"acme-store-{self.key.partition(':')[0]}.service"

    def configure(self, *lines: str) -> None:
        """What root writes down, with more lines."""
        table = f'[account.{self.name}]\ndirectory = "{self.pebble.directory}"\nca-file = "{self.pebble.ca_file}"\n'
        text = "\n".join([f'{table}key = "{self.key}"', *lines, ""])
        self.machine.write(f"/etc/acmed/acmed.toml.d/{self.name}.toml", text)

    def add(self) -> None:
        self.acmectl.run("account", "add", self.name, "--agree-tos")

    def cannot_add(self) -> str:
        """What acmectl complains about."""
        return self.acmectl.error("account", "add", self.name, "--agree-tos", code=1)

    def issues(self, name: str, *options: str) -> None:
        """A certificate for a name."""
        self.acmectl.run("order", name, "--account", self.name, *options)
        assert (
            f"DNS:{name}"
            in self.machine.run(
                ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", f"/var/lib/acme/{name}/cert.pem"]
            ).stdout
        )

    def cannot_order(self, name: str) -> str:
        """What acmectl complains about, which names the account and its key."""
        said = self.acmectl.error("order", name, "--account", self.name, code=1)
        assert f"{self.key} of account {self.name} cannot be used: " in said
        return said

    def seal(self, passphrase: str) -> None:
        """What the manual says, with its restart of the unit."""
        command = ["systemd-creds", "encrypt", f"--name=passphrase_{self.name}", "-", f"{PASSPHRASES}/{self.name}"]
        self.machine.run(command, input=passphrase)
        self.machine.run(["systemctl", "try-restart", self.unit])
