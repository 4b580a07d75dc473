# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed on a private message bus, with programs in the places of polkit, acme-privd and acme-clientd."""
