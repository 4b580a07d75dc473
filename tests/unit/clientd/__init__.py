# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-clientd, whole, between a CA that misbehaves as told, and a key service: TLS and Varlink are real."""
