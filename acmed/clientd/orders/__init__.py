# SPDX-License-Identifier: LGPL-2.1-or-later
"""An order (RFC 8555 section 7.4), from newOrder to its chain, and resumed at any step."""
