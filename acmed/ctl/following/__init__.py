# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs as they run, and what they say."""
