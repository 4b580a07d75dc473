# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed1.Account"""

import json
from collections.abc import Mapping
from typing import Any

from acmed.bus.server import Call, Handler
from acmed.bus.xml import load
from acmed.config import Account
from acmed.manager.catalogue import Catalogue


class AccountObject:
    """An account on the bus."""

    def __init__(self, name: str, catalogue: Catalogue) -> None:
        self.interface = load()["org.acmed1.Account"]
        self._name = name
        self._catalogue = catalogue

    def methods(self) -> Mapping[str, Handler]:
        return {"Describe": self._describe}

    def properties(self) -> Mapping[str, Any]:
        account: Account = self._catalogue.configuration.accounts[self._name]
        return {
            "Name": self._name,
            "Directory": account.directory,
            "URI": account.uri or "",
            "Contact": list(account.contact),
        }

    async def _describe(self, _: Call) -> tuple[str]:
        return (json.dumps(self.properties()),)
