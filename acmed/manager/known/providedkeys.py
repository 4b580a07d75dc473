# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys that root provides (key-file): acmed may not read them, and often not look into their directory. So acme-privd
is asked whether they still are those of what is installed; where nobody provides a key, it is not even started.
"""

from collections.abc import Iterable

from acmed import journal
from acmed.manager.daemons import Daemons
from acmed.manager.errors import Failure
from acmed.manager.known.catalogue import Catalogue

_TIMEOUT = 8.0  # seconds; the caller waits for 25 s at most, and CAs are asked besides


def provided(catalogue: Catalogue) -> list[str]:
    """The certificates whose keys root provides."""
    return sorted(one.name for one in catalogue.configuration.certificates.values() if one.key_file)


async def look(names: Iterable[str], catalogue: Catalogue, daemons: Daemons) -> None:
    """Finds out for those of them whose keys root provides. What fails is asked again next time, and fails nothing."""
    wanted = sorted(set(names) & set(provided(catalogue)))
    if not wanted:
        return
    try:
        seen = [{"certificate": name, "seen": catalogue.status(name).state.key_seen} for name in wanted]
        answer = await daemons.priv("ProvidedKeys", timeout=_TIMEOUT, keys=seen)
    except Failure as failure:
        journal.warning("Whether provided keys were replaced is not known: %s", failure.message)
        return
    for key in answer["keys"]:
        if key["certificate"] in wanted:
            catalogue.compared(key["certificate"], key["fingerprint"], key["replaced"], key["seen"])
