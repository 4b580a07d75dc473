# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds out who listens on a TCP port: the unit, as the kernel knows the control group that a socket was made in. Needs
no capability, but the host's network namespace.
"""
