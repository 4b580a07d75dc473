# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts at a CA (RFC 8555 section 7.3)."""
