# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -m tests.unit.keyd.far.anybody: acme-keyd as anybody runs it. Root has the system's paths for the specifiers
and the counts, but not here.
"""

import os
import sys
from pathlib import Path

from acmed import specifiers
from acmed.keyd.main import main as acme_keyd


def main() -> None:
    if os.geteuid() == 0:
        _have_own_places()
    acme_keyd()


def _have_own_places() -> None:
    of_system = specifiers.state_directory
    specifiers._of_user = lambda for_root, variable, default: specifiers._absolute(variable) or default
    for module in list(sys.modules.values()):
        if getattr(module, "state_directory", None) is of_system:
            vars(module)["state_directory"] = lambda: Path(specifiers.home()) / "state"


if __name__ == "__main__":
    main()
