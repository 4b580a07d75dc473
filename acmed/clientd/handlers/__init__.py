# SPDX-License-Identifier: LGPL-2.1-or-later
"""The methods of org.acmed.Client, by what they are about: they check what was asked, and hand it on."""
