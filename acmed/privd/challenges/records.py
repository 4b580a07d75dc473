# SPDX-License-Identifier: LGPL-2.1-or-later
"""TXT records in zones that acme-dnsd cannot update: by a challenge file and a reload, or by a hook."""

import re

from acmed.config import Configuration
from acmed.config.model import Zone, ZoneMethod
from acmed.privd import pid1
from acmed.privd.challenges import outside
from acmed.privd.challenges.outside import Directory
from acmed.privd.delivery import hooks
from acmed.privd.pid1 import Pid1
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.varlink import VarlinkError, invalid_parameter

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
# What a challenge's record says: base64url of a SHA-256 (RFC 8555 section 8.4), or, for dns-persist-01, the issuer's
# name and parameters. Nothing else gets into DNS, whoever asks.
_VALUE = re.compile(
    r"[A-Za-z0-9_-]{43}|[a-z0-9.-]{1,253}; accounturi=https://[!#-:<-\[\]-~]{1,500}(?:; policy=wildcard)?"
)
_CHALLENGE = "_acme-challenge."


def check(name: str, value: str) -> None:
    """Raises InvalidParameter."""
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise invalid_parameter("name")
    if not _VALUE.fullmatch(value):
        raise invalid_parameter("value")


def wanted(configuration: Configuration, zone: str, name: str) -> Zone:
    """The configured zone, which a record of that name must lie in. Raises ChallengeUnavailable."""
    found = configuration.zones.get(zone)
    if found is None or found.method is ZoneMethod.UPDATE:
        message = f'there is no [zone."{zone}"] with method = "local" or method = "hook" in acmed.toml'
        raise refusal("ChallengeUnavailable", message=message)
    if not f".{name}".endswith(f".{zone}"):
        raise refusal("ChallengeUnavailable", message=f"{name} does not lie in the zone {zone}")
    return found


async def change(places: Places, zone: Zone, name: str, value: str, present: bool) -> None:
    """Sets a value of a record, or clears it. Calls for one zone must come one after the other.

    Raises ChallengeUnavailable, HookFailed, DBusError, BusLost or TimeoutError.
    """
    if zone.method is ZoneMethod.LOCAL:
        await _change_local(zone, name, value, present)
        return
    if zone.hook is None:
        raise refusal("ChallengeUnavailable", message=f'[zone."{zone.name}"] of acmed.toml has no hook')
    environment = {"ACMED_ZONE": zone.name, "ACMED_NAME": name, "ACMED_VALUE": value}
    verb = "set" if present else "clear"
    async with pid1.connected() as manager:
        await hooks.hook(places, manager, zone.hook, verb, environment, _timeout(zone))


async def _change_local(zone: Zone, name: str, value: str, present: bool) -> None:
    if zone.directory is None or not zone.reload:
        raise refusal("ChallengeUnavailable", message=f'[zone."{zone.name}"] of acmed.toml has no directory or reload')
    if not name.startswith(_CHALLENGE):
        message = f"the challenge file of the zone {zone.name} can have _acme-challenge records only, and not {name}"
        raise refusal("ChallengeUnavailable", message=message)
    directory = outside.look(zone.directory, f'[zone."{zone.name}"] directory')
    async with pid1.connected() as manager:
        await _write(manager, directory, zone, name, value, present)
        try:
            await hooks.reload(manager, zone.name, zone.reload, _timeout(zone))
        except VarlinkError:
            if present:  # the name server may take it up later, when nobody expects it
                await _write(manager, directory, zone, name, value, False)
            raise


async def _write(manager: Pid1, directory: Directory, zone: Zone, name: str, value: str, present: bool) -> None:
    order = {"zone": zone.name, "host": name.removeprefix(_CHALLENGE), "value": value, "present": present}
    description = f"ACME challenge for the DNS zone {zone.name}"
    failure = await outside.write(manager, directory, "localzone", description, order)
    if failure:
        message = f"cannot write to {directory.path} as user {directory.user}: {failure}"
        raise refusal("ChallengeUnavailable", message=message)


def _timeout(zone: Zone) -> int:
    return max(zone.timeout, hooks.SHORTEST)
