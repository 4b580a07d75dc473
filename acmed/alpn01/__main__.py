# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -I -m acmed.alpn01"""

from acmed.alpn01.main import main

if __name__ == "__main__":
    main()
