# SPDX-License-Identifier: LGPL-2.1-or-later
"""A proxy in front of the CA that spoils what a test says: what CAs, load balancers and bad lines do to a client."""
