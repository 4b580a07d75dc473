# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes or removes one http-01 token below a web server's document root, as the directory's owner."""
