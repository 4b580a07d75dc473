# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a job works with."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from acmed.manager.daemons import Daemons
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.limits.limiter import Limiter
from acmed.manager.places import Places


@dataclass(frozen=True)
class Tools:
    """limiter: what acmed itself keeps to at each CA. turns: whose turn it is to have acme-alpn01 answer for a name."""

    catalogue: Catalogue
    daemons: Daemons
    limiter: Limiter
    places: Places
    turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
