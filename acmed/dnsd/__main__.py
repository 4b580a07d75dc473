# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -I -m acmed.dnsd"""

from acmed.dnsd.main import main

main()
