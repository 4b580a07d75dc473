# SPDX-License-Identifier: LGPL-2.1-or-later
"""The directories and sockets that acme-privd works with."""

from dataclasses import dataclass
from pathlib import Path

from acmed import paths
from acmed.config import Configuration, load
from acmed.config.load import ETC, USR


@dataclass(frozen=True)
class Places:
    """As installed; the tests have their own."""

    etc: Path = ETC
    usr: Path = USR
    certificates: Path = paths.CERTIFICATES
    state: Path = paths.PRIV_STATE
    credentials: Path = paths.ACCOUNT_CREDENTIALS
    next_credentials: Path = paths.NEXT_ACCOUNT_CREDENTIALS
    bindings: Path = paths.BINDING_CREDENTIALS
    permit_socket: Path = paths.KEY_PERMIT_SOCKET
    verify_socket: Path = paths.VERIFY_SOCKET

    def configuration(self) -> Configuration:
        """What the files say now. Read for each call, so that a change needs no restart."""
        return load(self.etc, self.usr).configuration

    def certificate_file(self, name: str) -> Path:
        return self.etc / "certificates.d" / f"{name}.toml"

    def account_file(self, name: str) -> Path:
        return self.etc / "acmed.toml.d" / f"account-{name}.toml"

    def ca_file(self, name: str) -> Path:
        return self.etc / "ca" / f"{name}.pem"

    def binding_note(self, name: str) -> Path:
        """What was said about the HMAC key of an account that is not made yet."""
        return self.state / "bindings" / f"{name}.json"

    def next_key_note(self, name: str) -> Path:
        """Which key is to follow an account's."""
        return self.state / "next-keys" / name

    def retired_accounts(self) -> Path:
        """Accounts that were deactivated, and keys that others took the place of."""
        return self.state / "archive" / "accounts"

    def pending(self, name: str) -> Path:
        """The request that was made and not yet replaced."""
        return self.state / "pending" / name

    def csr(self, name: str) -> Path:
        """The CSR (DER) that was made elsewhere."""
        return self.state / "csr" / f"{name}.der"

    def archive(self, name: str) -> Path:
        """Sets that were revoked."""
        return self.state / "archive" / "certificates" / name

    def sets(self, name: str) -> Path:
        """The installed set and older ones, each a directory."""
        return self.state / "sets" / name
