# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Varlink server in the place of acme-clientd."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from acmed import varlink
from acmed.manager.places import Places
from acmed.varlink import VarlinkError, more
from tests.bus.peers import THUMBPRINT, TOKEN, Peer, certificate


class Clientd(Peer):
    """acme-clientd. challenge_type: what Order answers for each identifier, unless offered has others for it;
    at_finalize is called when Finalize begins. unreachable: accounts whose CA is. terms: the URL of its terms of
    service. window: when the CA wants certificates to be renewed. takes_replacements: it has renewalInfo, and takes
    replaces. orders_nothing: no order is made, whatever is asked for. kept: the orders that there are, by certificate,
    and whether the CA took them as replacements. standing: whether certificates were revoked. begun: for how long those
    that it issues have been valid.
    """

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self.lifetime = timedelta(days=90)
        self.begun = timedelta(0)
        self.challenge_type = "http-01"
        self.offered: dict[str, tuple[str, ...]] = {}
        self.clock_offset = 0
        self.unreachable: set[str] = set()
        self.terms: str | None = None
        self.window: dict[str, Any] = {"start": None, "end": None, "explanationUrl": None, "retryAfter": 21600}
        self.standing: dict[str, Any] = {
            "status": "good", "revokedAt": None, "reason": None, "source": "http://ca.example/ocsp", "askAgain": None,
            "message": "",
        }  # fmt: skip
        self.expires: int | None = None
        self.token = TOKEN
        self.thumbprint = THUMBPRINT
        self.already_valid = False
        self.takes_replacements = True
        self.orders_nothing = False
        self.unread: list[VarlinkError] = []
        self.kept: dict[str, bool] = {}
        self.at_finalize: Callable[[], None] = lambda: None

    async def register(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Register", **given)
        return {"uri": "https://ca.example/account/1", "status": "valid", "termsOfService": self.terms}

    async def find_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("FindAccount", **given)
        return {"uri": "https://ca.example/account/1", "status": "valid"}

    async def directory(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Directory", **given)
        self._reach(given["account"])
        return {
            "termsOfService": self.terms,
            "website": None,
            "caaIdentities": ["ca.example"],
            "externalAccountRequired": False,
            "profiles": {},
            "renewalInfo": True,
            "newAuthz": False,
            "clockOffset": self.clock_offset,
        }

    async def read_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("ReadAccount", **given)
        return {"status": "valid", "contact": []}

    async def update_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("UpdateAccount", **given)
        return {}

    async def deactivate_account(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("DeactivateAccount", **given)
        return {}

    async def change_key(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("ChangeKey", **given)
        return {}

    async def renewal_info(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("RenewalInfo", **given)
        return self.window

    async def revocation_status(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("RevocationStatus", **given)
        return self.standing

    async def revocation_nonce(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("RevocationNonce", **given)
        return {"url": "https://ca.example/revoke", "nonce": f"nonce{self.called.count('RevocationNonce')}"}

    async def send_revocation(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("SendRevocation", **given)
        return {}

    async def resume(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Resume", **given)
        if given["certificate"] not in self.kept:
            return {"order": None, "replaced": False, "challenges": []}
        self._reach(given["account"])
        return self._order(given, self.kept[given["certificate"]])

    @more
    async def order(self, _: varlink.Call, progress: Any, **given: Any) -> dict[str, Any]:
        await self.note("Order", **given)
        self._reach(given["account"])
        if self.orders_nothing or (given["replaces"] is not None and not self.takes_replacements):
            return {"order": None, "created": False, "replaced": False, "challenges": []}
        order = self._order(given, given["replaces"] is not None) | {"created": True}
        await progress(order | {"challenges": []})
        if self.unread:
            raise self.unread.pop(0)
        return order

    def _order(self, given: dict[str, Any], replaced: bool) -> dict[str, Any]:
        offers = [
            challenge
            for number, identifier in enumerate(given["identifiers"])
            for challenge in self._offered(identifier, number)
        ]
        return {
            "order": "https://ca.example/order/1",
            "replaced": replaced,
            "challenges": [] if self.already_valid else offers,
        }

    def _offered(self, identifier: dict[str, str], number: int) -> list[dict[str, Any]]:
        name = identifier["value"]
        token = f"{self.token}{number}"
        return [
            {
                "identifier": identifier | {"value": name.removeprefix("*.")},
                "wildcard": name.startswith("*."),
                "type": kind,
                "url": f"https://ca.example/challenge/{number}" + ("" if kind == self.challenge_type else f"/{kind}"),
                "token": None if kind == "dns-persist-01" else token,
                "keyAuthorization": None if kind == "dns-persist-01" else f"{token}.{self.thumbprint}",
                "issuers": ["ca.example"] if kind == "dns-persist-01" else [],
            }
            for kind in self.offered.get(name, (self.challenge_type,))
        ]

    def _reach(self, account: str) -> None:
        if account in self.unreachable:
            url = f"https://{account}.example/directory"
            raise VarlinkError("org.acmed.Client.Unreachable", url=url, message="refused")

    @more
    async def finalize(self, _: varlink.Call, progress: Any, **given: Any) -> dict[str, Any]:
        def reply(step: str, percent: int, **last: Any) -> dict[str, Any]:
            return {
                "step": step, "progress": percent, "detail": "", "done": False, "chain": None, "expires": None,
            } | last  # fmt: skip

        self.at_finalize()
        await progress(reply("challenge", 40))
        await self.note("Finalize", **given)
        if given["csr"] is None:
            return reply("challenge", 100, done=True, expires=self.expires)
        await progress(reply("finalize", 60))
        await self.note("Download", **given)
        orders = [parameters for method, parameters in self.calls if method in ("Order", "Resume")]
        mine = next(order for order in reversed(orders) if order["certificate"] == given["certificate"])
        names = [identifier["value"] for identifier in mine["identifiers"]]
        return reply("download", 100, done=True, chain=certificate(names, self.begun, self.lifetime))

    async def drop(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Drop", **given)
        return {}

    async def revoke(self, _: varlink.Call, **given: Any) -> dict[str, Any]:
        await self.note("Revoke", **given)
        return {}
