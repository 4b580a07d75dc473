# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests on a booted machine, with real systemd, D-Bus, polkit, nftables and an ACME server."""
