# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -m acmed.ctl is acmectl."""

from acmed.ctl.main import main

main()
