# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-privd: the handful of things that only root may do, for acmed. It parses nothing that came from the network."""
