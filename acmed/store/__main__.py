# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -I -m acmed.store KIND"""

from acmed.store.main import main

main()
