# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed.service runs python3 -I -m acmed.manager."""

from acmed.manager.main import main

main()
