# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whom a new certificate is brought to, and who is told of it, or of a failure."""
