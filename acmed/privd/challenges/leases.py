# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opens and closes the way by which a CA reaches a responder, by leases that PID 1 counts: acme-http01-lease@JOB wants
the socket on port 80 and the firewall's opening, and both end when no lease is left; likewise for port 443.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from acmed import journal
from acmed.bus import BusLost, DBusError, Variant
from acmed.config import Certificate, Configuration
from acmed.config.model import ChallengeType, Http01Mode
from acmed.privd import pid1, transient
from acmed.privd.pid1 import Pid1
from acmed.privd.refusal import refusal
from acmed.privd.transient import Program, Properties
from acmed.varlink import invalid_parameter

# How acmed passes the answers on.
DIRECTORY = "directory"
WEBROOT = "webroot"

_START_TIMEOUT = 60.0  # seconds; a firewall of thousands of rules is slow to list
_STOP_TIMEOUT = 30.0
_CLOSED_TIMEOUT = 10.0
_HOLDER_TIMEOUT = 10
_POLL = 0.02

_FAILED = "failed"
_TAKEN = "port {port} cannot be opened: {holder} has it (ss -ltnp 'sport = :{port}' tells more). {advice}"
_UNKNOWN = (
    "port {port} cannot be opened; systemctl status {socket} has the error,"
    " and ss -ltnp 'sport = :{port}' what listens on it. {advice}"
)
_FIREWALL_FAILED = (
    "the firewall cannot be opened for port {port}; see: journalctl -u {unit}."
    ' Where port {port} is open already, set firewall = "off" in acmed.toml'
)


@dataclass(frozen=True)
class Way:
    """The units by which connections come in. port: None where a web server passes them on. advice: what to do where
    another program has the port.
    """

    leases: str
    socket: str
    port: int | None = None
    advice: str = ""

    @property
    def firewalls(self) -> tuple[str, ...]:
        """The units that open the firewall."""
        if self.port is None:
            return ()
        kinds = ("acme-firewall", "acme-firewall-firewalld", "acme-firewall-iptables")
        return tuple(f"{kind}@{self.port}.service" for kind in kinds)


HTTP01 = Way(
    "acme-http01-lease@{}.service",
    "acme-http01.socket",
    80,
    'Where that is a web server, set mode = "webroot" or mode = "proxied" in [http01] of acmed.toml',
)
HTTP01_PROXIED = Way("acme-http01-proxied-lease@{}.service", "acme-http01-proxied.socket")
ALPN01 = Way(
    "acme-alpn01-lease@{}.service",
    "acme-alpn01.socket",
    443,
    'tls-alpn-01 needs it while a challenge is pending: choose challenge = "http-01" or "dns-01" for this name',
)
WAYS = (HTTP01, HTTP01_PROXIED, ALPN01)

# In the host's network, as nobody.
_HOLDER: Properties = {
    **transient.OWN,
    "DynamicUser": Variant("b", True),
    "RestrictAddressFamilies": Variant("(bas)", [True, ["AF_NETLINK", "AF_UNIX"]]),
    "ProtectHome": Variant("s", "yes"),
}


def way(configuration: Configuration, kind: str) -> Way | None:
    """For a type of challenge; None where tokens go to webroots. Raises InvalidParameter for one that needs no way."""
    if kind == ChallengeType.TLS_ALPN_01:
        return ALPN01
    if kind != ChallengeType.HTTP_01:
        raise invalid_parameter("type")
    ways = {Http01Mode.STANDALONE: HTTP01, Http01Mode.PROXIED: HTTP01_PROXIED, Http01Mode.WEBROOT: None}
    return ways[configuration.http01.mode]


def names_by_http(configuration: Configuration, certificate: str) -> list[str]:
    """The names of a certificate that its configuration would have validated by http-01, as far as it is known."""
    known = configuration.certificates.get(certificate)
    return [one.value for one in known.identifiers if _by_http(configuration, known, one.value)] if known else []


def _by_http(configuration: Configuration, certificate: Certificate, name: str) -> bool:
    chosen = certificate.challenges.get(name, certificate.challenge)
    if chosen is None:
        return not name.startswith("*.") and configuration.zone_above(name) is None
    return chosen is ChallengeType.HTTP_01


async def open_challenge(configuration: Configuration, manager: Pid1, way: Way, job: int) -> None:
    """Starts the lease of a job. Raises ChallengeUnavailable, DBusError, BusLost or TimeoutError; then nothing stays
    open.
    """
    lease = way.leases.format(job)
    try:
        result = await manager.job("StartUnit", lease, "replace", timeout=_START_TIMEOUT)
        if result != pid1.DONE:
            raise refusal("ChallengeUnavailable", message=f"{lease}: {result}; see: journalctl -u {lease}")
        if problem := await _problem(configuration, manager, way):
            raise refusal("ChallengeUnavailable", message=problem)
    except BaseException:
        with suppress(BusLost, DBusError, TimeoutError):
            await manager.job("StopUnit", lease, "replace", timeout=_STOP_TIMEOUT)
        raise


async def close_challenge(manager: Pid1, job: int) -> None:
    """Stops all leases of a job, and waits until what they had opened is closed, unless another lease holds it. Raises
    DBusError, BusLost or TimeoutError.
    """
    leases = {way.leases.format(job): way for way in WAYS}
    for lease in await manager.active(*leases):
        await manager.job("StopUnit", lease, "replace", timeout=_STOP_TIMEOUT)
        await _wait_closed(manager, leases[lease])


async def probe(manager: Pid1, way: Way) -> str:
    """What would keep a way from being opened, as far as can be seen without doing it, or an empty string. Raises
    DBusError, BusLost or TimeoutError.
    """
    if way.port is None or await manager.active(way.socket):
        return ""
    holder = await _holder(manager, way.port)
    return _TAKEN.format(port=way.port, holder=holder, advice=way.advice) if holder else ""


async def _problem(configuration: Configuration, manager: Pid1, way: Way) -> str:
    """What is wrong with the units that a lease has wanted, or an empty string."""
    state = await manager.state(way.socket)
    if way.port is None:
        return "" if state in ("active", "") else f"{way.socket} failed; see: systemctl status {way.socket}"
    if state != "active":
        if holder := await _holder(manager, way.port):
            return _TAKEN.format(port=way.port, holder=holder, advice=way.advice)
        return _UNKNOWN.format(port=way.port, socket=way.socket, advice=way.advice)
    if configuration.firewall:
        for unit in way.firewalls:
            if await manager.state(unit) == _FAILED:
                return _FIREWALL_FAILED.format(port=way.port, unit=unit)
    return ""


async def _holder(manager: Pid1, port: int) -> str:
    """Who listens on a port, or an empty string where nobody does or nobody can tell."""
    program = Program(
        "portholder", f"Who has TCP port {port}", "acmed.portholder", {"port": port}, _HOLDER_TIMEOUT, _HOLDER
    )
    return await transient.ask(manager, program)


async def _wait_closed(manager: Pid1, way: Way) -> None:
    units, leases = (way.socket, *way.firewalls), way.leases.format("*")
    try:
        async with asyncio.timeout(_CLOSED_TIMEOUT):
            while await manager.active(*units) and not await manager.active(leases):
                await asyncio.sleep(_POLL)
    except TimeoutError:
        journal.warning("The way is still not closed; see: systemctl status %s", " ".join(units))
