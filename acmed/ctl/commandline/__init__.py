# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may be on the command line, and what it means."""
