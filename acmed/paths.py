# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where things are on an installed system (design: docs/architecture.md; units/ has the same names)."""

from pathlib import Path

RUN = Path("/run/acmed")
KEY_SOCKET = RUN / "key.sock"
KEY_PERMIT_SOCKET = RUN / "key-permit.sock"
PRIV_SOCKET = RUN / "priv.sock"
CLIENT_SOCKET = RUN / "client.sock"
VERIFY_SOCKET = RUN / "verify.sock"
HTTP01_DIRECTORY = RUN / "http01"
HTTP01_SOCKET = RUN / "http01.sock"

CERTIFICATES = Path("/var/lib/acme")  # NAME/{privkey,cert,chain,fullchain}.pem
PRIV_STATE = Path("/var/lib/acme-privd")
MANAGER_STATE = Path("/var/lib/acmed")
ACCOUNT_CREDENTIALS = Path("/etc/credstore.encrypted/acmed.accounts")
