# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -I -m acmed.clientd"""

from acmed.clientd.main import main

main()
