# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opens and closes the way to http-01 tokens, by leases that PID 1 counts: acme-http01-lease@JOB.service wants the
socket on port 80 and the firewall's opening, and both end when no lease is left.
"""

import asyncio
from contextlib import suppress

from acmed import journal
from acmed.bus import BusLost, DBusError
from acmed.config import Configuration
from acmed.config.model import Http01Mode
from acmed.privd import pid1
from acmed.privd.pid1 import Pid1
from acmed.privd.refusal import refusal

# How acmed passes the tokens on.
DIRECTORY = "directory"
WEBROOT = "webroot"

_SOCKET = "acme-http01.socket"
_PROXIED_SOCKET = "acme-http01-proxied.socket"
_FIREWALLS = (
    "acme-firewall@80.service",
    "acme-firewall-firewalld@80.service",
    "acme-firewall-iptables@80.service",
)
_LEASES = "acme-http01-lease@{}.service"
_PROXIED_LEASES = "acme-http01-proxied-lease@{}.service"

_START_TIMEOUT = 60.0  # seconds; a firewall of thousands of rules is slow to list
_STOP_TIMEOUT = 30.0
_CLOSED_TIMEOUT = 10.0
_POLL = 0.02

_FAILED = "failed"
_PORT_TAKEN = (
    "port 80 cannot be opened, most likely because another program listens on it (ss -ltnp 'sport = :80' tells which)."
    ' Where that is a web server, set mode = "webroot" or mode = "proxied" in [http01] of acmed.toml.'
    " systemctl status acme-http01.socket has the error"
)
_FIREWALL_FAILED = (
    "the firewall cannot be opened for port 80; see: journalctl -u {unit}."
    ' Where port 80 is open already, set firewall = "off" in acmed.toml'
)


async def open_challenge(configuration: Configuration, manager: Pid1, job: int) -> None:
    """Starts the lease of a job, for the modes standalone and proxied. Raises ChallengeUnavailable, DBusError, BusLost
    or TimeoutError; then nothing stays open.
    """
    proxied = configuration.http01.mode is Http01Mode.PROXIED
    lease = (_PROXIED_LEASES if proxied else _LEASES).format(job)
    try:
        result = await manager.job("StartUnit", lease, "replace", timeout=_START_TIMEOUT)
        if result != pid1.DONE:
            raise refusal("ChallengeUnavailable", message=f"{lease}: {result}; see: journalctl -u {lease}")
        if proxied:
            await _check_proxied(manager)
        else:
            await _check_standalone(configuration, manager)
    except BaseException:
        with suppress(BusLost, DBusError, TimeoutError):
            await _stop(manager, lease)
        raise


async def close_challenge(manager: Pid1, job: int) -> None:
    """Stops the lease of a job, of whatever mode, and waits until the port and the firewall are closed, unless
    another lease holds them. Raises DBusError, BusLost or TimeoutError.
    """
    for leases in (_LEASES, _PROXIED_LEASES):
        await _stop(manager, leases.format(job))
    units = [_SOCKET, *_FIREWALLS]
    try:
        async with asyncio.timeout(_CLOSED_TIMEOUT):
            while await _still_open(manager, units) and not await manager.active(_LEASES.format("*")):
                await asyncio.sleep(_POLL)
    except TimeoutError:
        journal.warning("Port 80 is still not closed; see: systemctl status %s", " ".join(units))


async def _stop(manager: Pid1, lease: str) -> None:
    if await manager.active(lease):
        await manager.job("StopUnit", lease, "replace", timeout=_STOP_TIMEOUT)


async def _still_open(manager: Pid1, units: list[str]) -> bool:
    return any([await manager.active(unit) for unit in units])


async def _check_standalone(configuration: Configuration, manager: Pid1) -> None:
    if await manager.state(_SOCKET) != "active":
        raise refusal("ChallengeUnavailable", message=_PORT_TAKEN)
    if not configuration.firewall:
        return
    for unit in _FIREWALLS:
        if await manager.state(unit) == _FAILED:
            raise refusal("ChallengeUnavailable", message=_FIREWALL_FAILED.format(unit=unit))


async def _check_proxied(manager: Pid1) -> None:
    if await manager.state(_PROXIED_SOCKET) not in ("active", ""):
        message = f"{_PROXIED_SOCKET} failed; see: systemctl status {_PROXIED_SOCKET}"
        raise refusal("ChallengeUnavailable", message=message)
