# SPDX-License-Identifier: LGPL-2.1-or-later
"""The methods of org.acmed.Priv: each finds what the caller names in root's configuration, and hands over to one
module.
"""
