# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-verify: parses chains and CSRs for acme-privd, in a sandbox that holds nothing and reaches nothing."""
