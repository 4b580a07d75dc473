# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ACME CA (RFC 8555) that checks its clients as a CA does, and misbehaves where a test says so.

Validation and issuance are done when they were polled so many times (validation_polls, issuance_polls), so that no
test depends on time.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.unit.clientd import ca_accounts, ca_orders, jws
from tests.unit.clientd.ca_parts import PREFIX, Account, Authorization, Json, Order, Outcome, Refusal, Request
from tests.unit.clientd.https import Asked, HttpsServer, Reply

Fault = Callable[[Callable[[], Reply]], Reply]  # gets what would do the work and answer


@dataclass
class FaultyCa:
    """faults: for each kind, what is done with the next requests of that kind, one after the other. fault_at: what is
    done with the request of that number, from 0.

    edits: for each kind, what changes each JSON answer. headers: what is added to each answer. verdicts: the error
    for each name whose validation fails. resources: what the directory has besides what each has. moved: what is
    elsewhere since a while, with the name that it has now. chains: PEM, the default first. renewals: by certId.
    replaced: what is said to an order that replaces the certificate of that certId. lists: accounts have lists of their
    orders, three on a page, and newOrder makes another order for the same names each time.
    """

    certificate: Path
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    edits: dict[str, Callable[[Json], None]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    verdicts: dict[str, Json] = field(default_factory=dict)
    resources: set[str] = field(default_factory=set)
    moved: dict[str, str] = field(default_factory=dict)
    chains: list[bytes] = field(default_factory=list)
    renewals: dict[str, Json] = field(default_factory=dict)
    replaced: dict[str, Refusal] = field(default_factory=dict)
    fault_at: tuple[int, Fault] | None = None
    lists: bool = False
    nonce_rejection: float = 0.0
    nonces_in_errors: bool = True
    validation_polls: int = 1
    issuance_polls: int = 1
    accounts: dict[str, Account] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    authorizations: dict[str, Authorization] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._nonces: set[str] = set()
        self._random = random.Random(8555)
        self._counter = 0
        self.server = HttpsServer(self.certificate, self._respond)

    @property
    def base(self) -> str:
        return f"https://localhost:{self.server.port}"

    @property
    def directory(self) -> str:
        return f"{self.base}/directory"

    def counts(self) -> dict[str, int]:
        """How many requests of each kind there were."""
        return dict(Counter(request.kind for request in self.requests))

    def payloads(self, kind: str) -> list[Any]:
        return [request.payload for request in self.requests if request.kind == kind]

    def number(self) -> str:
        self._counter += 1
        return str(self._counter)

    def _respond(self, asked: Asked) -> Reply:
        segment = asked.path.split("/")[1]
        kind = next((old for old, new in self.moved.items() if new == segment), segment)
        request = Request(kind, asked)
        self.requests.append(request)
        waiting = self.faults.get(kind, [])
        if self.fault_at and self.fault_at[0] == len(self.requests) - 1:
            waiting = [self.fault_at[1]]
        reply = waiting.pop(0)(lambda: self._work(request)) if waiting else self._work(request)
        return replace(reply, headers=self.headers.get(kind, {}) | reply.headers)

    def _work(self, request: Request) -> Reply:
        try:
            status, headers, answer = self._answer(request)
        except Refusal as refusal:
            problem = {"type": PREFIX + refusal.kind, "detail": refusal.detail, "status": refusal.status}
            nonce = {"Replay-Nonce": self.nonce()} if self.nonces_in_errors else {}
            return Reply(
                refusal.status, nonce | {"Content-Type": "application/problem+json"} | refusal.headers, _json(problem)
            )
        if request.asked.method != "GET":
            headers = headers | {"Replay-Nonce": self.nonce()}
        if isinstance(answer, bytes):
            return Reply(status, headers, answer)
        if request.kind in self.edits:
            self.edits[request.kind](answer)
        return Reply(status, {"Content-Type": "application/json"} | headers, _json(answer))

    def nonce(self) -> str:
        nonce = jws.encode(self._random.randbytes(12))
        self._nonces.add(nonce)
        return nonce

    def _answer(self, request: Request) -> Outcome:
        asked = request.asked
        if not asked.headers.get("user-agent", "").startswith("acmed/"):
            raise Refusal(400, "malformed", "no User-Agent")
        if self.moved.get(request.kind, asked.path.split("/")[1]) != asked.path.split("/")[1]:
            raise Refusal(404, "malformed", "no longer here")
        identifier = asked.path.rpartition("/")[2]
        match request.kind, asked.method:
            case "directory", "GET":
                return 200, {}, self._directory()
            case "newNonce", "HEAD":
                return 200, {}, b""
            case "renewalInfo", "GET" if identifier in self.renewals:
                return 200, {}, dict(self.renewals[identifier])
            case kind, "POST" if kind in HANDLERS:
                account = self._verified(request)
                return HANDLERS[kind](self, request.payload, account, identifier)
        raise Refusal(404, "malformed", "no such thing here")

    def _directory(self) -> Json:
        names = {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"} | self.resources
        meta = {
            "termsOfService": f"{self.base}/terms",
            "profiles": dict.fromkeys(ca_orders.PROFILES, "a profile"),
            "caaIdentities": ["ca.example"],
        }
        urls = {name: f"{self.base}/{self.moved.get(name, name)}" for name in sorted(names)}
        return urls | {"meta": meta, "xq2b": "any key"}

    def _verified(self, request: Request) -> str:
        """Checks the JWS as section 6.2 says, and returns the account's URL; "" for one that is none yet."""
        asked = request.asked
        message = json.loads(asked.body)
        protected = json.loads(jws.decode(message["protected"]))
        if asked.headers.get("content-type") != "application/jose+json" or set(message) != {
            "protected",
            "payload",
            "signature",
        }:
            raise Refusal(400, "malformed", "not a flattened JWS")
        if protected["url"] != self.base + asked.path:
            raise Refusal(401, "unauthorized", "url")
        by_key = request.kind == "newAccount" or (request.kind == "revokeCert" and "jwk" in protected)
        if by_key == ("kid" in protected):
            raise Refusal(400, "malformed", "jwk or kid")
        account = None if by_key else self.accounts.get(protected["kid"])
        if not by_key and account is None:
            raise Refusal(400, "accountDoesNotExist", "unknown account")
        public = account.key if account else protected["jwk"]
        if not jws.verifies(message, public):
            raise Refusal(403, "unauthorized", "signature")
        if protected["nonce"] not in self._nonces or self._random.random() < self.nonce_rejection:
            self._nonces.discard(protected["nonce"])
            raise Refusal(400, "badNonce")
        self._nonces.remove(protected["nonce"])
        if account and account.status != "valid":
            raise Refusal(403, "unauthorized", f"the account has status {account.status}")
        request.key = public
        request.payload = json.loads(jws.decode(message["payload"])) if message["payload"] else ""
        return "" if by_key else str(protected["kid"])

    def key(self) -> dict[str, str]:
        """That of the last request."""
        return self.requests[-1].key

    def open_account(self, key: dict[str, str], contact: tuple[str, ...] = ()) -> str:
        """A new account's URL."""
        uri = f"{self.base}/account/{self.number()}"
        self.accounts[uri] = Account(key, list(contact))
        return uri

    def account_of(self, key: dict[str, str]) -> str:
        """The URL of the account that has this key, or ""."""
        return next((uri for uri, account in self.accounts.items() if account.key == key), "")


HANDLERS: dict[str, Callable[[FaultyCa, Any, str, str], Outcome]] = {
    "newAccount": ca_accounts.new_account,
    "account": ca_accounts.account,
    "keyChange": ca_accounts.key_change,
    "revokeCert": ca_accounts.revoke,
    "newOrder": ca_orders.new_order,
    "orders": ca_orders.listed,
    "newAuthz": ca_orders.new_authorization,
    "order": ca_orders.order,
    "authz": ca_orders.authorization,
    "challenge": ca_orders.challenge,
    "finalize": ca_orders.finalize,
    "certificate": ca_orders.certificate,
}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
