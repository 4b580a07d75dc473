# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -m acmed.privd"""

from acmed.privd.service import main

if __name__ == "__main__":
    main()
