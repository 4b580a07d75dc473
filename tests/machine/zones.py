# SPDX-License-Identifier: LGPL-2.1-or-later
"""What name servers in a machine serve: zones, and keys for updates of them."""

import base64
import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class TsigKey:
    """A key, by its name."""

    name: str
    algorithm: str = "hmac-sha256"

    @property
    def secret(self) -> str:
        """The same one each time, as long as the algorithm's output; base64."""
        size = int(self.algorithm.removeprefix("hmac-sha")) // 8
        return base64.b64encode(hashlib.sha512(f"{self.name} {self.algorithm}".encode()).digest()[:size]).decode()

    @property
    def bind(self) -> str:
        """As tsig-keygen writes it."""
        return f'key "{self.name}" {{\n\talgorithm {self.algorithm};\n\tsecret "{self.secret}";\n}};\n'

    @property
    def knot(self) -> str:
        """As keymgr -t writes it."""
        return f"key:\n  - id: {self.name}\n    algorithm: {self.algorithm}\n    secret: {self.secret}\n"

    @property
    def private(self) -> str:
        """A K*.private file."""
        numbers = {"hmac-sha256": "163 (HMAC_SHA256)", "hmac-sha384": "164 (HMAC_SHA384)"}
        number = numbers.get(self.algorithm, "165 (HMAC_SHA512)")
        return f"Private-key-format: v1.3\nAlgorithm: {number}\nKey: {self.secret}\nBits: AAA=\n"


@dataclass(frozen=True)
class Zone:
    """A zone. servers: addresses by the name of each name server, the primary first.

    records: lines of a zone file, below SOA, NS and addresses. updates: who may update it, in the server's own words;
    of a zone that is transferred, where from is primary. notify: who is told of changes.
    """

    name: str
    servers: tuple[tuple[str, tuple[str, ...]], ...]
    records: str = ""
    updates: str = ""
    primary: str = ""
    notify: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """A zone file. Nobody may keep for longer than a second that something is not there."""
        lines = [f"$ORIGIN {self.name}.", "$TTL 1", f"@ SOA {self.servers[0][0]} hostmaster 1 3600 3600 86400 1"]
        for server, addresses in self.servers:
            lines.append(f"@ NS {server}")
            lines += [f"{server} {'AAAA' if ':' in address else 'A'} {address}" for address in addresses]
        return "\n".join([*lines, *self.records.splitlines()]) + "\n"
