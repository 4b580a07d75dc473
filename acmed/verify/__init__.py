# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-verify: parses a CA's chain for acme-privd, in a sandbox that holds nothing and reaches nothing."""
