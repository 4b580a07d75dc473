# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a CA, or what is between, does to a request. Each takes what would do the work and make the answer."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.unit.clientd.ca import Fault
from tests.unit.clientd.ca_parts import PREFIX, Refusal
from tests.unit.clientd.https import HangUp, Reply

Work = Callable[[], Reply]


def lose_request(_: Work) -> Reply:
    return HangUp()


def lose_answer(work: Work) -> Reply:
    work()
    return HangUp()


def cut_answer(work: Work) -> Reply:
    reply = work()
    return replace(reply, cut=len(reply.body) // 2)


def page(status: int, **headers: str) -> Fault:
    """As a proxy or a web server in front of the CA has it."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Type": "text/html"}
    return lambda _: Reply(status, fields, b"<html><title>Sorry</title></html>")


def huge_answer(_: Work) -> Reply:
    return Reply(200, {"Content-Type": "application/json"}, b" " * 65536, endless=True)


def broken_json(_: Work) -> Reply:
    return Reply(200, {"Content-Type": "application/json"}, b'{"status": "valid"')


def redirect(location: str) -> Fault:
    return lambda _: Reply(302, {"Location": location})


def refuse(refusal: Refusal, retry_after: str | None = None, **more: Any) -> Fault:
    """A problem document, without a nonce."""
    body = {"type": PREFIX + refusal.kind, "detail": refusal.detail} | more
    headers = {"Content-Type": "application/problem+json"} | ({"Retry-After": retry_after} if retry_after else {})
    return lambda _: Reply(refusal.status, headers, json.dumps(body).encode())
