# SPDX-License-Identifier: LGPL-2.1-or-later
"""Orders that outlive the process: one JSON file for each certificate, written anew after each transition."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from acmed import atomicfile, journal
from acmed.names import Identifier

_FORMAT = 3
_READABLE = (1, 2, 3)  # the first had no profile, no expires, and no order without a CSR; the second no replaced

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class KeptAuthorization:
    """status: an RFC 8555 status, or "unread". challenges: the URLs of those that could be answered at that time.

    expires: microseconds since the epoch; None where it is not known.
    """

    url: str
    identifier: Identifier
    wildcard: bool
    status: str
    challenges: tuple[str, ...]
    expires: int | None = None

    @property
    def name(self) -> str:
        """The identifier as it was ordered."""
        return f"*.{self.identifier}" if self.wildcard else str(self.identifier)


@dataclass(frozen=True)
class KeptOrder:
    """An order as the CA showed it last. account, uri and directory: whose it is.

    csr_sha256: hexadecimal, of the DER; None where authorizations are all that is wanted, and it is never finalized.
    url and finalize: "" where these were asked for one by one, without an order. certificate: the URL of the chain,
    once the order is valid. replaced: the CA took it as one that replaces another (RFC 9773).
    """

    account: str
    uri: str
    directory: str
    identifiers: tuple[Identifier, ...]
    csr_sha256: str | None
    url: str
    finalize: str
    status: str
    certificate: str | None = None
    authorizations: tuple[KeptAuthorization, ...] = ()
    profile: str | None = None
    replaced: bool = False

    @property
    def expires(self) -> int | None:
        """When the first authorization does, in microseconds since the epoch; None where the CA tells of none."""
        return min((item.expires for item in self.authorizations if item.expires is not None), default=None)


class Store:
    """The directory of these files. The names of certificates are object names (acmed.names) and so file names."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def load(self, certificate: str) -> KeptOrder | None:
        """The kept order, or None. A file that is broken is set aside, so that the next order begins anew."""
        return await _to_its_end(self._load, certificate)

    async def save(self, certificate: str, order: KeptOrder) -> None:
        """Returns when it is on the disk. Raises OSError."""
        await _to_its_end(self._save, certificate, order)

    async def urls(self) -> set[str]:
        """Those of all kept orders."""
        return await _to_its_end(self._urls)

    async def drop(self, certificate: str) -> None:
        """Forgets the order, if there is one."""
        await _to_its_end(self._drop, certificate)

    def _path(self, certificate: str) -> Path:
        return self._directory / f"{certificate}.json"

    def _load(self, certificate: str) -> KeptOrder | None:
        path = self._path(certificate)
        try:
            return _decoded(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            aside = path.with_suffix(".broken")
            journal.warning("The kept order %s cannot be read (%s); it is now %s", path, error, aside.name)
            path.replace(aside)
            return None

    def _urls(self) -> set[str]:
        kept = (self._load(path.stem) for path in self._directory.glob("*.json"))
        return {order.url for order in kept if order is not None}

    def _drop(self, certificate: str) -> None:
        self._path(certificate).unlink(missing_ok=True)

    def _save(self, certificate: str, order: KeptOrder) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = json.dumps({"format": _FORMAT} | asdict(order))
        atomicfile.replace(self._path(certificate), content.encode())


async def _to_its_end(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Calls it in a thread. A cancelled caller goes on only when that has ended: the next one must not meet it."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **named))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _decoded(value: Any) -> KeptOrder:
    """Raises ValueError, TypeError or KeyError for anything but what _save wrote."""
    if not isinstance(value, dict) or value.pop("format") not in _READABLE:
        raise ValueError("it was written by another version")
    value["identifiers"] = tuple(Identifier(**item) for item in value["identifiers"])
    value["authorizations"] = tuple(
        KeptAuthorization(
            **item | {"identifier": Identifier(**item["identifier"]), "challenges": tuple(item["challenges"])}
        )
        for item in value["authorizations"]
    )
    order = KeptOrder(**value)
    texts = [order.account, order.uri, order.directory, order.url, order.finalize, order.status]
    texts += [text for kept in order.authorizations for text in (kept.url, kept.status, *kept.challenges)]
    texts += [text for identifier in order.identifiers for text in (identifier.type, identifier.value)]
    perhaps = [order.csr_sha256, order.certificate, order.profile]
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(text, str | None) for text in perhaps):
        raise TypeError("a field is not text")
    if not all(isinstance(kept.expires, int | None) for kept in order.authorizations):
        raise TypeError("a moment is not a number")
    if not isinstance(order.replaced, bool):
        raise TypeError("replaced is neither true nor false")
    return order
