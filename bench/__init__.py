# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed measured beside other ACME clients, in one machine and one run: `make bench`."""
