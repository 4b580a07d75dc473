# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -m acmed.keyd"""

from acmed.keyd.main import main

if __name__ == "__main__":
    main()
