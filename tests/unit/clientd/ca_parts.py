# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a CA has and says."""

from dataclasses import dataclass, field
from typing import Any

from tests.unit.clientd.https import Asked

PREFIX = "urn:ietf:params:acme:error:"
Json = dict[str, Any]
Outcome = tuple[int, dict[str, str], Any]  # status, header fields, and bytes or what becomes JSON


@dataclass
class Request:
    """kind: the first part of its path (newOrder, authz), as it was named first. key: what it was signed with."""

    kind: str
    asked: Asked
    payload: Any = None
    key: dict[str, str] = field(default_factory=dict)


@dataclass
class Account:
    key: dict[str, str]
    contact: list[str] = field(default_factory=list)
    status: str = "valid"


@dataclass
class Authorization:
    identifier: Json
    status: str = "pending"
    answered: bool = False
    polls: int = 0
    error: Json | None = None
    expires: str = "2036-01-01T00:00:00Z"


@dataclass
class Order:
    identifiers: list[Json]
    authorizations: list[str]
    status: str = "pending"
    csr: str = ""
    polls: int = 0
    expires: str = "2036-01-01T00:00:00Z"
    chosen: Json = field(default_factory=dict)


@dataclass
class Refusal(Exception):
    """A problem document."""

    status: int
    kind: str
    detail: str = "no"
    headers: dict[str, str] = field(default_factory=dict)
