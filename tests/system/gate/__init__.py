# SPDX-License-Identifier: LGPL-2.1-or-later
"""A gate in front of the CA: an order stops at a chosen request for as long as a test wants."""
