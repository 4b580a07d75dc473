# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each fault, at each request where it matters, and what comes of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.system.faults.faults import Faults

Json = dict[str, Any]

# What one name costs when nothing goes wrong: nonce, newOrder, authorization, challenge, a poll of that,
# finalize, a poll of the order, and the certificate. The directory is kept from an earlier run.
CALM = 8
POLLS = 4  # that may be needed besides, as this machine is slow
# A request that was lost comes again, and so does the nonce, if the answer had the next one.
AGAIN = 2
LOOKED_AT = 10  # orders in the account's list, before newOrder is sent again

DIRECTORY, NONCE, ORDER, AUTHZ, CHALLENGE = "/dir", "/nonce-plz", "/order-plz", "/authZ/", "/chalZ/"
FINALIZE, POLL, CERTIFICATE, LIST = "/finalize-order/", "/my-order/", "/certZ/", "/list-orderz/"
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

    most: requests until then, but for those of the account's list of orders, and so many POLLS. orders: how many the CA
    has made in the end. cold: no directory is kept.
    """

    name: str
    faults: tuple[Json, ...]
    words: str | None = None
    most: int = CALM + AGAIN
    orders: int = 1
    cold: bool = False


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


_RESET = "Connection reset by peer"
LOST = [
    *each("lost", "nonce authz challenge finalize poll certificate", lambda path: at(path, "lose", times=1)),
    *each("lost", "order", lambda path: at(path, "lose", times=1)),
    # Each request in turn, whatever it is.
    *[
        Case(
            f"reset-{number}", (at("/", "reset", after=number, times=1),), most=CALM + AGAIN + LOOKED_AT * (number == 1)
        )
        for number in range(CALM)
    ],
    Case("reset-directory", (at(DIRECTORY, "reset", times=1),), cold=True),
    *each("reset-for-ever", "authz", lambda path: at(path, "reset"), words=_RESET, most=9),
    *each("reset-for-ever", "finalize", lambda path: at(path, "reset"), words=_RESET, most=12),
    *each("reset-for-ever", "order", lambda path: at(path, "reset"), words=_RESET, most=8 + LOOKED_AT),
    *each("cut", "authz finalize poll certificate", lambda path: at(path, "cut", times=1)),
    *each("cut", "order", lambda path: at(path, "cut", times=1)),
    *each("huge", "authz finalize certificate", lambda path: at(path, "huge"), words="an answer of more than"),
]

ONCE = (NONCE, AUTHZ, CHALLENGE, POLL, CERTIFICATE)
WRONG = [
    # After each request that has not been answered well before, the directory is held against the CA's.
    *each("page", "nonce order authz finalize", page, words="502 Bad Gateway with text/html", most=9),
    Case("page-once", tuple(page(path, times=1) for path in ONCE), most=CALM + AGAIN * len(ONCE)),
    Case("type", (at("/", "change", type="text/html"),)),
    Case("redirect", (page(ORDER, 307, headers={"Location": EVIL}),), "redirects to", most=3),
    Case("chain-is-a-page", (page(CERTIFICATE, 200),), "no chain of certificates"),
    Case("nonces", (at("/", "nonce", every=2, after=3),), most=2 * CALM),
    Case("nonces-for-ever", (at(ORDER, "nonce"),), "not this one", most=41),
]

_ALL = CALM + AGAIN * len(EACH)
BUSY_CA = [
    # One after the other, each once.
    Case("429", tuple(busy(path, 429, "1", times=1) for path in EACH.values()), most=_ALL),
    Case("503", tuple(page(path, 503, headers={"Retry-After": "1"}, times=1) for path in EACH.values()), most=_ALL),
    Case("503-date", tuple(busy(path, 503, "{date+2}", times=1) for path in EACH.values()), most=_ALL),
    *each("429-now", "order finalize", lambda path: busy(path, 429, "0"), words="too many of you", most=12),
    *each("429-long", "order poll", lambda path: busy(path, 429, "3600"), words="you; not before", most=7),
    *each("503-long", "order finalize", lambda path: busy(path, 503, "{date+3600}"), words="you; not before", most=6),
]

_STUCK = "has not validated"
_LATER = "again in 7200 s, which is past the 8 s for it; the CA may still finish it; not before "
_PAST, _LONG = {"Retry-After": "{date+0}"}, {"Retry-After": "7200"}
_PROCESSING = "the order is still processing"
# Pauses double, so there are eight polls or nine in the 8 s that the account gives each of these steps.
SLOW = [
    Case("pending", shown("pending", AUTHZ), _STUCK, most=12),
    Case("pending-retry-after-0", shown("pending", AUTHZ, headers={"Retry-After": "0"}), _STUCK, most=12),
    Case("pending-retry-after-long", shown("pending", AUTHZ, headers=_LONG), _LATER, most=5),
    Case("processing", shown("processing", POLL, FINALIZE), _PROCESSING, most=16),
    Case("processing-for-a-while", shown("processing", POLL, times=3), most=CALM + 3),
    Case("processing-past", shown("processing", POLL, FINALIZE, headers=_PAST), _PROCESSING, most=16),
    Case("processing-retry-after-long", shown("processing", POLL, FINALIZE, headers=_LONG), _LATER, most=7),
    Case("ready-after-finalize", shown("ready", FINALIZE, times=1), most=CALM + 2),
    Case("ready-for-ever", shown("ready", POLL, FINALIZE), "the order is still ready", most=14),
]

CHANGED = [
    Case("directory-page", (page(DIRECTORY),), "502 Bad Gateway with text/html", cold=True),
    Case("directory-v1", (at(DIRECTORY, "change", set={"new-reg": EVIL}),), "ACME v1", cold=True),
    Case(
        "directory-moves",
        (at(DIRECTORY, "change", set={"newOrder": Faults.origin + "/moved"}, times=1),),
        most=CALM + 4,
        cold=True,
    ),
    Case(
        "directory-elsewhere", (at(DIRECTORY, "change", set={"newOrder": EVIL}),), "to its own origin only", cold=True
    ),
    Case("expired-order", shown("invalid", ORDER), "an order that is invalid", orders=3),
    Case("expired-authorization", shown("expired", AUTHZ, times=1), orders=2),
    Case("gone-authorization", (page(AUTHZ, 404, times=1),), most=CALM + 3, orders=2),
]

TABLE = [Case("calm", (), most=CALM), *LOST, *WRONG, *BUSY_CA, *SLOW, *CHANGED]
