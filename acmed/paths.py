# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where things are on an installed system (design: docs/architecture.md; units/ has the same names)."""

from pathlib import Path

RUN = Path("/run/acmed")
KEY_SOCKET = RUN / "key.sock"
KEY_PERMIT_SOCKET = RUN / "key-permit.sock"
PRIV_SOCKET = RUN / "priv.sock"
CLIENT_SOCKET = RUN / "client.sock"
DNS_SOCKET = RUN / "dns.sock"
VERIFY_SOCKET = RUN / "verify.sock"
STORES = RUN / "stores"  # KIND.sock of each key store
HTTP01_DIRECTORY = RUN / "http01"
ALPN01_DIRECTORY = RUN / "alpn01"
HTTP01_SOCKET = RUN / "http01.sock"

CERTIFICATES = Path("/var/lib/acme")  # NAME/{privkey,cert,chain,fullchain}.pem
PRIV_STATE = Path("/var/lib/acme-privd")
MANAGER_STATE = Path("/var/lib/acmed")
ACCOUNT_CREDENTIALS = Path("/etc/credstore.encrypted/acmed.accounts")
# Credentials, each sealed by systemd-creds(1): the keys that are to follow account keys, HMAC keys for external account
# bindings, and TSIG keys of acme-dnsd. The file's name is the account's, or that of the key in [zone.NAME].
NEXT_ACCOUNT_CREDENTIALS = Path("/etc/credstore.encrypted/acmed.next-accounts")
BINDING_CREDENTIALS = Path("/etc/credstore.encrypted/acmed.bindings")
DNS_CREDENTIALS = Path("/etc/credstore.encrypted/acmed.dns")
PASSPHRASE_CREDENTIALS = Path("/etc/credstore.encrypted/acmed.passphrases")  # of keys, by the account's name
PIN_CREDENTIALS = Path("/etc/credstore.encrypted/acmed.pins")  # of tokens, by the account's name: acme-store-pkcs11
SSH_KEY_CREDENTIALS = Path("/etc/credstore.encrypted/acmed.ssh-keys")  # by the account's name: acme-store-ssh
KNOWN_HOSTS = Path("/etc/acmed/known_hosts")  # of the hosts whose acme-keyd has keys of accounts, sshd(8)
HOOKS = Path("/etc/acmed/hooks.d")
HOOK_CREDENTIALS = Path("/etc/credstore.encrypted/acmed.hooks")  # by the hook's name; each is its credential "hook"
