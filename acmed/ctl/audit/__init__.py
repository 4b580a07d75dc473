# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acme-keyd has told the journal of signatures."""
