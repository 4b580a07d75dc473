# SPDX-License-Identifier: LGPL-2.1-or-later
"""The keys of accounts, which are sealed for acme-keyd, and what the configuration says of accounts."""
