# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each fault, at each request where it matters, and what comes of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.system.faults.faults import Faults

Json = dict[str, Any]

# What one name costs when nothing goes wrong: directory, nonce, newOrder, authorization, challenge, some polls of both,
# finalize, and the certificate.
CALM = 14

DIRECTORY, NONCE, ORDER, AUTHZ, CHALLENGE = "/dir", "/nonce-plz", "/order-plz", "/authZ/", "/chalZ/"
FINALIZE, POLL, CERTIFICATE = "/finalize-order/", "/my-order/", "/certZ/"
EACH = {
    "nonce": NONCE,
    "order": ORDER,
    "authz": AUTHZ,
    "challenge": CHALLENGE,
    "finalize": FINALIZE,
    "poll": POLL,
    "certificate": CERTIFICATE,
}

PAGE = {"Content-Type": "text/html"}
HTML = "<html><title>Bad Gateway</title></html>"
PROBLEM = {"Content-Type": "application/problem+json"}
BUSY = '{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many of you"}'
EVIL = "https://evil.example/"


@dataclass(frozen=True)
class Case:
    """faults: see proxy.py. words: what the error has in it, None where the certificate is issued all the same.

    most: requests until then. orders: how many the CA has made in the end; Pebble makes another one for a newOrder that
    comes twice, where Let's Encrypt gives the same one again.
    """

    name: str
    faults: tuple[Json, ...]
    words: str | None = None
    most: int = CALM + 6
    orders: int = 1


def at(path: str, do: str, **more: Any) -> Json:
    return {"path": path, "do": do, **more}


def page(path: str, status: int = 502, **more: Any) -> Json:
    """As a load balancer answers."""
    headers = PAGE | more.pop("headers", {})
    return at(path, "refuse", status=status, headers=headers, body=HTML, **more)


def busy(path: str, status: int, retry_after: str, **more: Any) -> Json:
    """As the CA answers that has too much to do."""
    return at(path, "refuse", status=status, headers=PROBLEM | {"Retry-After": retry_after}, body=BUSY, **more)


def shown(status: str, *paths: str, **more: Any) -> tuple[Json, ...]:
    """The CA says so of what it has."""
    return tuple(at(path, "change", set={"status": status}, **more) for path in paths)


def each(name: str, steps: str, fault: Callable[[str], Json], **fields: Any) -> Iterable[Case]:
    """A case for each of these requests of an order."""
    return (Case(f"{name}-{step}", (fault(EACH[step]),), **fields) for step in steps.split())


LOST = [
    *each("lost", "nonce authz challenge finalize poll certificate", lambda path: at(path, "lose", times=1)),
    *each("lost", "order", lambda path: at(path, "lose", times=1), orders=2),
    # Each request in turn, whatever it is.
    *[Case(f"reset-{number}", (at("/", "reset", after=number, times=1),)) for number in range(10)],
    *each("reset-for-ever", "order authz finalize", lambda path: at(path, "reset"), words="Connection reset by peer"),
    *each("cut", "authz finalize poll certificate", lambda path: at(path, "cut", times=1)),
    *each("cut", "order", lambda path: at(path, "cut", times=1), orders=2),
    *each("huge", "authz finalize certificate", lambda path: at(path, "huge"), words="an answer of more than"),
]

WRONG = [
    *each("page", "nonce order authz finalize", page, words="502 Bad Gateway with text/html"),
    Case("page-once", tuple(page(path, times=1) for path in (NONCE, AUTHZ, CHALLENGE, POLL, CERTIFICATE))),
    Case("type", (at("/", "change", type="text/html"),)),
    Case("redirect", (page(ORDER, 307, headers={"Location": EVIL}),), "redirects to"),
    Case("chain-is-a-page", (page(CERTIFICATE, 200),), "no chain of certificates"),
    Case("nonces", (at("/", "nonce", every=2, after=3),), most=3 * CALM),
    Case("nonces-for-ever", (at(ORDER, "nonce"),), "not this one", most=60),
]

BUSY_CA = [
    # One after the other, each once.
    Case("429", tuple(busy(path, 429, "1", times=1) for path in EACH.values()), most=CALM + 9),
    Case("503", tuple(page(path, 503, headers={"Retry-After": "1"}, times=1) for path in EACH.values()), most=CALM + 9),
    Case("503-date", tuple(busy(path, 503, "{date+2}", times=1) for path in EACH.values()), most=CALM + 9),
    *each("429-now", "order finalize", lambda path: busy(path, 429, "0"), words="too many of you"),
    *each("429-long", "order poll", lambda path: busy(path, 429, "3600"), words="you; not before"),
    *each("503-long", "order finalize", lambda path: busy(path, 503, "{date+3600}"), words="you; not before"),
]

_STUCK = "has not validated"
_PAST = {"Retry-After": "{date+0}"}
_PROCESSING = "the order is still processing"
SLOW = [
    Case("pending", shown("pending", AUTHZ), _STUCK, most=40),
    Case("pending-retry-after-0", shown("pending", AUTHZ, headers={"Retry-After": "0"}), _STUCK, most=40),
    Case("pending-retry-after-long", shown("pending", AUTHZ, headers={"Retry-After": "7200"}), _STUCK),
    Case("processing", shown("processing", POLL, FINALIZE), _PROCESSING, most=40),
    Case("processing-for-a-while", shown("processing", POLL, times=3), most=CALM + 8),
    Case("processing-past", shown("processing", POLL, FINALIZE, headers=_PAST), _PROCESSING, most=40),
    Case("ready-after-finalize", shown("ready", FINALIZE, times=1), most=CALM + 8),
    Case("ready-for-ever", shown("ready", POLL, FINALIZE), "the order is still ready", most=40),
]

CHANGED = [
    Case("directory-page", (page(DIRECTORY),), "502 Bad Gateway with text/html"),
    Case("directory-v1", (at(DIRECTORY, "change", set={"new-reg": EVIL}),), "ACME v1"),
    Case("directory-moves", (at(DIRECTORY, "change", set={"newOrder": Faults.origin + "/moved"}, times=1),)),
    Case("directory-elsewhere", (at(DIRECTORY, "change", set={"newOrder": EVIL}),), "to its own origin only"),
    Case("expired-order", shown("invalid", ORDER), "an order that is invalid", orders=3),
    Case("expired-authorization", shown("expired", AUTHZ, times=1), orders=2),
    Case("gone-authorization", (page(AUTHZ, 404, times=1),), orders=2),
]

TABLE = [Case("calm", (), most=CALM), *LOST, *WRONG, *BUSY_CA, *SLOW, *CHANGED]
