# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands: what each asks of acmed, or reads by itself, and what it prints."""
