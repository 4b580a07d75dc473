# SPDX-License-Identifier: LGPL-2.1-or-later
"""What only root may do for a challenge: open a port, and write where a web or name server will find it."""
