# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed: TLS certificates over ACME (RFC 8555) as a set of small systemd units.

One package per daemon (keyd, privd, verify, clientd, http01, firewall, manager), one for the command (ctl), and what
they share: config, varlink, bus, daemon, journal and names. docs/architecture.md has the picture.
"""

__version__ = "0.1"
