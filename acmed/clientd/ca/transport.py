# SPDX-License-Identifier: LGPL-2.1-or-later
"""HTTPS to a CA: one exchange at a time in a thread, everything checked and capped, nothing followed."""

import asyncio
import json
import platform
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, ProxyError
from urllib3.util.ssl_match_hostname import CertificateError

from acmed import __version__
from acmed.clientd.ca import retryafter
from acmed.clientd.errors import Unreachable
from acmed.clientd.limits import Limits

USER_AGENT = f"acmed/{__version__} (acme-clientd; Python {platform.python_version()}; urllib3 {urllib3.__version__})"
_PIECE = 16 * 1024
_OF_THE_CLOCK = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL


@dataclass(frozen=True)
class Route:
    """How a CA is reached: its origin, the certificates that authenticate it (None: the system's), and a proxy."""

    origin: tuple[str, str, int]
    ca_file: Path | None
    proxy: str | None


@dataclass(frozen=True)
class Answer:
    """What came back. The names of header fields are in lower case; a repeated one is joined by ", "."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        """Seconds, or None."""
        return retryafter.seconds(self.headers.get("retry-after"), self.headers.get("date"))

    @property
    def title(self) -> str:
        """The status as people know it: 404 Not Found."""
        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)

    def object(self) -> dict[str, Any]:
        """The JSON object in the body. Raises Unreachable where there is none."""
        value = self._value()
        if not isinstance(value, dict):
            raise Unreachable(
                self.url, f"answered {self.title} with {self.content_type or 'no type'} that is no JSON object"
            )
        return value

    def is_object(self) -> bool:
        """Whether there is one."""
        return isinstance(self._value(), dict)

    def _value(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Transport:
    """All connections to all CAs."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._executor = ThreadPoolExecutor(limits.threads, thread_name_prefix="https")
        self._managers: dict[tuple[Route, int], urllib3.PoolManager] = {}

    async def exchange(
        self, route: Route, method: str, url: str, headers: Mapping[str, str], body: bytes | None, within: float
    ) -> Answer:
        """One request and its answer, whatever its status. Raises Unreachable, also for an answer over the limits.

        within: seconds for the whole of it.
        """
        work = asyncio.get_running_loop().run_in_executor(
            self._executor, self._exchange, route, method, url, headers, body, within
        )
        try:
            async with asyncio.timeout(within):
                return await work
        except TimeoutError:
            raise Unreachable(url, f"no whole answer within {within:.3g} s", lost=True) from None

    def close(self) -> None:
        """Gives up what is not yet begun; does not wait."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _exchange(
        self, route: Route, method: str, url: str, headers: Mapping[str, str], body: bytes | None, within: float
    ) -> Answer:
        end = time.monotonic() + within
        try:
            manager = self._manager(route)
        except OSError as error:  # ssl.SSLError is one
            raise Unreachable(url, f"the CA file {route.ca_file} cannot be used: {_reason(error)}") from error
        standing = {"User-Agent": USER_AGENT, "Accept-Language": "en"}
        try:
            response = manager.urlopen(
                method,
                url,
                body=body,
                headers=standing | dict(headers),
                timeout=urllib3.Timeout(connect=min(self._limits.connect, within), read=within),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                enforce_content_length=True,
            )
            try:
                content = self._read(response, url, end)
            except BaseException:
                response.close()  # what is left of the answer must not meet the next request
                raise
            response.release_conn()
        except (HTTPError, OSError, ValueError) as error:
            raise _unreachable(route, url, error) from error
        names = {name.lower() for name in response.headers}
        return Answer(url, response.status, {name: response.headers[name] for name in names}, content)

    def _read(self, response: Any, url: str, end: float) -> bytes:
        content = bytearray()
        for piece in response.stream(_PIECE, decode_content=False):
            content += piece
            if len(content) > self._limits.body:
                raise Unreachable(url, f"an answer of more than {self._limits.body} bytes")
            if time.monotonic() > end:
                raise Unreachable(url, "an answer that does not end", lost=True)
        return bytes(content)

    def _manager(self, route: Route) -> urllib3.PoolManager:
        """The connections of a route, renewed when its CA file changes. Raises OSError for an unusable file."""
        version = route.ca_file.stat().st_mtime_ns if route.ca_file else 0
        manager = self._managers.get((route, version))
        if manager is None:
            # Without ca_certs, Debian 12's urllib3 adds the system's certificates to the context, at each connection.
            options: dict[str, Any] = {"ssl_context": _context(route), "ca_certs": None}
            options["maxsize"] = self._limits.threads
            manager = urllib3.ProxyManager(route.proxy, **options) if route.proxy else urllib3.PoolManager(**options)
            self._managers[route, version] = manager
        return manager


def _context(route: Route) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # urllib3 1.26 sends no server name for an IP address, and then compares the certificate itself, as 2 does as well.
    context.check_hostname = not _is_ip(route.origin[1])
    if route.ca_file:
        context.load_verify_locations(route.ca_file)
    else:
        context.load_default_certs()
    return context


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _unreachable(route: Route, url: str, error: Exception) -> Unreachable:
    """The reason in words. A certificate that does not verify will not do so when asked again."""
    chain = _chain(error)
    refused = next(
        (inner for inner in chain if isinstance(inner, ssl.SSLCertVerificationError | CertificateError)), None
    )
    if refused is not None:
        hint = "; is this host's clock right?" if getattr(refused, "verify_code", 0) in _OF_THE_CLOCK else ""
        reason = getattr(refused, "verify_message", refused)
        return Unreachable(url, f"the server's certificate is not trusted: {reason}{hint}")
    reason = next(filter(None, map(_reason, reversed(chain))), type(error).__name__)
    where = f"the proxy {route.proxy}: " if isinstance(error, ProxyError) else ""
    return Unreachable(url, where + reason, lost=True)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it wraps, outermost first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        inner = [argument for argument in current.args if isinstance(argument, BaseException)]
        behind = current.__context__ if isinstance(current.__context__, OSError) else None
        current = inner[0] if inner else current.__cause__ or behind
    return chain


def _reason(error: BaseException) -> str:
    """In words, without the addresses of objects that urllib3 puts in front."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rpartition(">: ")[2]
