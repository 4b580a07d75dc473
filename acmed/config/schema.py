# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which keys there are, and where. The tests hold acmed.toml(5) and the shipped acmed.toml against these."""

TOP = ("firewall", "defaults", "log-level", "http01", "notify", "account", "service", "zone")

# What a certificate's file may say, and [defaults] for it.
_COMMON = (
    "account",
    "failover",
    "key-type",
    "reuse-key",
    "services",
    "challenge",
    "preflight",
    "profile",
    "must-staple",
    "renew-before",
    "preferred-chain",
    "validity-days",
    "backdate-hours",
    "key-usage",
    "hash",
    "trust-anchors",
)

# Tables with keys, and tables of tables that a person names.
DEFAULTS = _COMMON
LOG_LEVEL = (
    "acmed",
    "acme-privd",
    "acme-clientd",
    "acme-dnsd",
    "acme-keyd",
    "acme-store-file",
    "acme-store-gpg",
    "acme-store-pkcs11",
    "acme-store-ssh",
    "acme-store-unix",
    "acme-http01",
    "acme-alpn01",
    "acme-verify",
    "acme-firewall",
)
HTTP01 = ("mode", "webroot", "webroots")
NOTIFY = ("hook", "mail")
ACCOUNT = (
    "directory",
    "contact",
    "uri",
    "ca-file",
    "proxy",
    "key",
    "key-command",
    "eab-key-id",
    "eab-algorithm",
    "authorize",
    "limits",
    "deadlines",
)
LIMITS = ("orders", "certificates", "duplicates", "failures")
DEADLINES = ("propagation", "authorization", "finalize", "request")
SERVICE = ("units", "action", "group", "mode", "files", "hook")
ZONE = ("method", "server", "port", "key", "ttl", "timeout", "propagation", "directory", "reload", "hook")

FILES = ("privkey", "cert", "chain", "fullchain", "combined")
SECRET_FILES = ("privkey", "combined")  # with the private key in them
CERTIFICATE = (
    "names",
    *_COMMON,
    "challenges",
    "common-name",
    "subject",
    "key-file",
    "csr",
    "files",
    "owner",
    "group",
    "mode",
)

# What stands where in acmed.toml, by the title a person would write.
TABLES = {
    "": ("firewall",),
    "[defaults]": DEFAULTS,
    "[log-level]": LOG_LEVEL,
    "[http01]": HTTP01,
    "[notify]": NOTIFY,
    "[account.NAME]": ACCOUNT,
    "[account.NAME.limits]": LIMITS,
    "[account.NAME.deadlines]": DEADLINES,
    "[zone.NAME]": ZONE,
    "[service.NAME]": SERVICE,
}
