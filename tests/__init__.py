# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that is checked before a release, from pure functions to booted machines."""
