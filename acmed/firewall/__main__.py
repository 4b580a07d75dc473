# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -I -m acmed.firewall"""

from acmed.firewall.main import main

if __name__ == "__main__":
    main()
