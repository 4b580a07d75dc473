# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the proxies in front of the CA have in common: gate, which holds requests, and faults, which spoils answers."""
