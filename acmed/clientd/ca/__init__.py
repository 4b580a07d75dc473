# SPDX-License-Identifier: LGPL-2.1-or-later
"""A CA: where it is, what may be sent to it, and what its answers are believed to say."""
