# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which keys there are, and where. The tests hold acmed.toml(5) and the shipped acmed.toml against these."""

TOP = ("firewall", "defaults", "log-level", "http01", "account", "service")

# Tables with keys, and tables of tables that a person names.
DEFAULTS = ("account", "key-type", "reuse-key", "services")
LOG_LEVEL = ("acmed", "acme-privd", "acme-clientd", "acme-keyd", "acme-http01", "acme-verify", "acme-firewall")
HTTP01 = ("mode", "webroot")
ACCOUNT = ("directory", "contact", "uri", "ca-file", "proxy")
SERVICE = ("units", "action", "group", "mode", "files")

FILES = ("privkey", "cert", "chain", "fullchain", "combined")
CERTIFICATE = ("names", "account", "key-type", "reuse-key", "services")

# What stands where in acmed.toml, by the title a person would write.
TABLES = {
    "": ("firewall",),
    "[defaults]": DEFAULTS,
    "[log-level]": LOG_LEVEL,
    "[http01]": HTTP01,
    "[account.NAME]": ACCOUNT,
    "[service.NAME]": SERVICE,
}
