# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a CA has certified, from a chain that was verified to the files that services read, and to its end."""
