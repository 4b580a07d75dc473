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

from tests.unit.clientd import jws
from tests.unit.clientd.https import Asked, HttpsServer, Reply

PREFIX = "urn:ietf:params:acme:error:"
Json = dict[str, Any]
Fault = Callable[[Callable[[], Reply]], Reply]  # gets what would do the work and answer


@dataclass
class Request:
    """kind: directory, newNonce, newAccount, newOrder, authz, challenge, order, finalize, certificate or revokeCert."""

    kind: str
    asked: Asked
    payload: Any = None


@dataclass
class Authorization:
    identifier: Json
    status: str = "pending"
    answered: bool = False
    polls: int = 0
    error: Json | None = None


@dataclass
class Order:
    identifiers: list[Json]
    authorizations: list[str]
    status: str = "pending"
    csr: str = ""
    polls: int = 0


@dataclass
class Refusal(Exception):
    """A problem document."""

    status: int
    kind: str
    detail: str = "no"


@dataclass
class FaultyCa:
    """faults: for each kind, what is done with the next requests of that kind, one after the other.

    edits: for each kind, what changes each JSON answer. headers: what is added to each answer. verdicts: the error
    for each name whose validation fails.
    """

    certificate: Path
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    edits: dict[str, Callable[[Json], None]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    verdicts: dict[str, Json] = field(default_factory=dict)
    nonce_rejection: float = 0.0
    nonces_in_errors: bool = True
    validation_polls: int = 1
    issuance_polls: int = 1
    accounts: dict[str, dict[str, str]] = field(default_factory=dict)
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

    def _number(self) -> str:
        self._counter += 1
        return str(self._counter)

    def _respond(self, asked: Asked) -> Reply:
        kind = asked.path.split("/")[1]
        request = Request(kind, asked)
        self.requests.append(request)
        waiting = self.faults.get(kind)
        reply = waiting.pop(0)(lambda: self._work(request)) if waiting else self._work(request)
        return replace(reply, headers=self.headers.get(kind, {}) | reply.headers)

    def _work(self, request: Request) -> Reply:
        try:
            status, headers, answer = self._answer(request)
        except Refusal as refusal:
            problem = {"type": PREFIX + refusal.kind, "detail": refusal.detail, "status": refusal.status}
            nonce = {"Replay-Nonce": self.nonce()} if self.nonces_in_errors else {}
            return Reply(refusal.status, nonce | {"Content-Type": "application/problem+json"}, _json(problem))
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

    def _answer(self, request: Request) -> tuple[int, dict[str, str], Any]:
        asked = request.asked
        if not asked.headers.get("user-agent", "").startswith("acmed/"):
            raise Refusal(400, "malformed", "no User-Agent")
        identifier = asked.path.rpartition("/")[2]
        match request.kind, asked.method:
            case "directory", "GET":
                names = ("newNonce", "newAccount", "newOrder", "revokeCert")
                terms = {"termsOfService": f"{self.base}/terms", "profiles": {"shortlived": "six days"}}
                return 200, {}, {name: f"{self.base}/{name}" for name in names} | {"meta": terms, "xq2b": "any key"}
            case "newNonce", "HEAD":
                return 200, {}, b""
            case _, "POST":
                handler = getattr(self, f"_{request.kind.lower()}", None)
                if handler:
                    account = self._verified(request)
                    return handler(request.payload, account, identifier)  # type: ignore[no-any-return]
        raise Refusal(404, "malformed", "no such thing here")

    def _verified(self, request: Request) -> str:
        """Checks the JWS as section 6.2 says, and returns the account's URL."""
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
        new = request.kind == "newAccount"
        if new == ("kid" in protected):
            raise Refusal(400, "malformed", "jwk or kid")
        public = protected["jwk"] if new else self.accounts.get(protected["kid"])
        if public is None:
            raise Refusal(400, "accountDoesNotExist", "unknown account")
        if not jws.verifies(message, public):
            raise Refusal(403, "unauthorized", "signature")
        if protected["nonce"] not in self._nonces or self._random.random() < self.nonce_rejection:
            self._nonces.discard(protected["nonce"])
            raise Refusal(400, "badNonce")
        self._nonces.remove(protected["nonce"])
        request.payload = json.loads(jws.decode(message["payload"])) if message["payload"] else ""
        known = next((uri for uri, key in self.accounts.items() if key == public), "")
        if new and not known:
            self.accounts[f"{self.base}/account/{self._number()}"] = public
        return known

    def _newaccount(self, payload: Any, known: str, _: str) -> tuple[int, dict[str, str], Any]:
        if payload.get("termsOfServiceAgreed") is not True:
            raise Refusal(403, "userActionRequired")
        uri = known or list(self.accounts)[-1]
        return (200 if known else 201), {"Location": uri}, {"status": "valid", "contact": payload.get("contact")}

    def _neworder(self, payload: Any, _: str, __: str) -> tuple[int, dict[str, str], Any]:
        names = {(item["type"], item["value"]) for item in payload["identifiers"]}
        for url, order in self.orders.items():
            if {(item["type"], item["value"]) for item in order.identifiers} == names and order.status == "pending":
                return 201, {"Location": url}, self._show(url)
        authorizations = []
        for item in payload["identifiers"]:
            authorizations.append(f"{self.base}/authz/{self._number()}")
            self.authorizations[authorizations[-1]] = Authorization(item)
        url = f"{self.base}/order/{self._number()}"
        self.orders[url] = Order(payload["identifiers"], authorizations)
        return 201, {"Location": url}, self._show(url)

    def _order(self, _: Any, __: str, number: str) -> tuple[int, dict[str, str], Any]:
        url = f"{self.base}/order/{number}"
        if url not in self.orders:
            raise Refusal(404, "malformed", "no such order")
        order = self.orders[url]
        if order.status == "processing":
            order.polls += 1
            if order.polls >= self.issuance_polls:
                order.status = "valid"
        return 200, {}, self._show(url)

    def _show(self, url: str) -> Json:
        order = self.orders[url]
        found = {self.authorizations[item].status for item in order.authorizations}
        if order.status == "pending" and found == {"valid"}:
            order.status = "ready"
        if order.status == "pending" and found - {"pending", "valid"}:
            order.status = "invalid"
        number = url.rpartition("/")[2]
        shown = {
            "status": order.status,
            "expires": "2036-01-01T00:00:00Z",
            "identifiers": order.identifiers,
            "authorizations": order.authorizations,
            "finalize": f"{self.base}/finalize/{number}",
        }
        return shown | ({"certificate": f"{self.base}/certificate/{number}"} if order.status == "valid" else {})

    def _authz(self, _: Any, __: str, number: str) -> tuple[int, dict[str, str], Any]:
        authorization = self.authorizations[f"{self.base}/authz/{number}"]
        if authorization.answered and authorization.status == "pending":
            authorization.polls += 1
            if authorization.polls >= self.validation_polls:
                authorization.error = self.verdicts.get(authorization.identifier["value"])
                authorization.status = "invalid" if authorization.error else "valid"
        value = authorization.identifier["value"]
        challenges: list[Json] = [
            {
                "type": kind,
                "url": f"{self.base}/challenge/{kind}/{number}",
                "status": "pending",
                "token": f"{kind}-{number}",
            }
            for kind in ("dns-01", "http-01")
        ]
        if authorization.answered:
            error = {"error": authorization.error} if authorization.error else {}
            status = "processing" if authorization.status == "pending" else authorization.status
            challenges[1] |= {"status": status} | error
        identifier = authorization.identifier | {"value": value.removeprefix("*.")}
        shown = {"status": authorization.status, "identifier": identifier, "challenges": challenges}
        return 200, {}, shown | ({"wildcard": True} if value.startswith("*.") else {})

    def _challenge(self, payload: Any, _: str, number: str) -> tuple[int, dict[str, str], Any]:
        authorization = self.authorizations[f"{self.base}/authz/{number}"]
        if payload != {} or authorization.answered:
            raise Refusal(400, "malformed", "this challenge cannot be answered now")
        authorization.answered = True
        return 200, {}, {"type": "http-01", "status": "processing", "url": f"{self.base}/challenge/http-01/{number}"}

    def _finalize(self, payload: Any, _: str, number: str) -> tuple[int, dict[str, str], Any]:
        url = f"{self.base}/order/{number}"
        order = self.orders[url]
        if self._show(url)["status"] != "ready":
            raise Refusal(403, "orderNotReady", f"the order is {order.status}")
        order.csr = payload["csr"]
        order.status = "processing" if self.issuance_polls else "valid"
        return 200, {}, self._show(url)

    def _certificate(self, _: Any, __: str, ___: str) -> tuple[int, dict[str, str], Any]:
        chain = self.certificate.read_bytes() * 2
        return 200, {"Content-Type": "application/pem-certificate-chain"}, chain

    def _revokecert(self, payload: Any, _: str, __: str) -> tuple[int, dict[str, str], Any]:
        if payload["certificate"] in self.revoked:
            raise Refusal(400, "alreadyRevoked")
        self.revoked.add(payload["certificate"])
        return 200, {}, b""


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
