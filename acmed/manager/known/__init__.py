# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmed knows: root's configuration, what is installed, and what it remembers in its state directory."""
