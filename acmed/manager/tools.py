# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a job works with."""

from dataclasses import dataclass
from pathlib import Path

from acmed.manager.catalogue import Catalogue
from acmed.manager.daemons import Daemons


@dataclass(frozen=True)
class Tools:
    """tokens: the directory that acme-http01 answers from."""

    catalogue: Catalogue
    daemons: Daemons
    tokens: Path
