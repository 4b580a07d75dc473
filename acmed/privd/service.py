# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Priv: each method finds what the caller names in root's configuration, and hands over to one module.

Files are written in threads, so that one certificate's RSA key holds up no other; calls for the same certificate or
account wait for each other.
"""

import asyncio
import base64
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from acmed import daemon, journal, varlink
from acmed.bus import BusLost, DBusError
from acmed.config.model import Http01Mode
from acmed.privd import (
    accounts,
    challenge,
    configure,
    deliver,
    install,
    lookup,
    ownership,
    pid1,
    request,
    revocation,
    sets,
    tokens,
)
from acmed.privd.permits import Permits
from acmed.privd.pid1 import Pid1
from acmed.privd.places import Places
from acmed.privd.refusal import explained, host_errors, refusal
from acmed.varlink import Call

_IDLE = 15.0  # seconds
_KEYD = "acme-keyd.service"
_RESTART_TIMEOUT = 30.0

Answer = dict[str, Any]


class Priv:
    """Answers org.acmed.Priv."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._permits = Permits(places.permit_socket)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def configure(
        self,
        _: Call,
        job: int,
        certificate: str,
        names: list[str],
        account: str | None,
        key_type: str | None,
        services: list[str] | None,
        replace: bool,
    ) -> Answer:
        async with self._certificate(job, certificate):
            wish = configure.Wish(certificate, names, account, key_type, services)
            await asyncio.to_thread(configure.configure, self._places, wish, replace)
            return {}

    async def forget(self, _: Call, job: int, certificate: str) -> Answer:
        async with self._certificate(job, certificate):
            account = await asyncio.to_thread(configure.forget, self._places, certificate)
            if account is not None:
                await self._permits.drop_order(account, certificate)
            return {}

    async def new_account(
        self,
        _: Call,
        job: int,
        account: str,
        directory: str,
        contact: list[str],
        key_type: str,
        ca_pem: str | None,
    ) -> Answer:
        async with self._account(job, account):
            wish = accounts.checked(account, directory, contact, key_type, ca_pem)
            created = await asyncio.to_thread(accounts.create, self._places, wish)
            await self._restart_keyd(account)
            await self._permits.new_account(account, created.contact)
            return {}

    async def set_account_uri(self, _: Call, job: int, account: str, uri: str) -> Answer:
        async with self._account(job, account):
            known = lookup.account(self._places.configuration(), account)
            if await asyncio.to_thread(accounts.set_uri, self._places, known, uri):
                await self._restart_keyd(account)
            return {}

    async def new_request(self, _: Call, job: int, certificate: str, new_key: bool) -> Answer:
        async with self._certificate(job, certificate):
            configuration = self._places.configuration()
            wanted = lookup.certificate(configuration, certificate)
            lookup.account(configuration, wanted.account)
            # A group that is not there is told now, not when the CA has issued.
            ownership.key_access(configuration.services[service] for service in wanted.services)
            material = await asyncio.to_thread(request.prepare, self._places, wanted, job, new_key)
            made = material.request
            await self._permits.order(made.account, certificate, made.identifiers, made.csr_sha256)
            return {
                "request": made.id,
                "account": made.account,
                "identifiers": [{"type": one.type, "value": one.value} for one in made.identifiers],
                "csr": base64.b64encode(material.csr).decode(),
            }

    async def install(self, _: Call, job: int, certificate: str, request: str, chain: str) -> Answer:
        async with self._certificate(job, certificate):
            installed = await self._install(certificate, request, chain)
            return {
                "serialNumber": installed.serial_number,
                "issuer": installed.issuer,
                "fingerprint": installed.fingerprint,
                "notBefore": installed.not_before,
                "notAfter": installed.not_after,
            }

    async def _install(self, name: str, request_id: str, chain: str) -> sets.Set:
        configuration = self._places.configuration()
        certificate = lookup.certificate(configuration, name)
        material = await asyncio.to_thread(request.read, self._places, name)
        if material is None or material.request.id != request_id:
            raise refusal("NoSuchRequest", certificate=name, request=request_id)
        verified = await install.verify(self._places, name, material.request, chain)
        return await asyncio.to_thread(install.install, self._places, configuration, certificate, material, verified)

    async def deliver(self, _: Call, job: int, certificate: str, services: list[str]) -> Answer:
        async with self._certificate(job, certificate):
            configuration = self._places.configuration()
            known = lookup.certificate(configuration, certificate)
            current = sets.current(self._places, certificate)
            if current is None:
                raise refusal("NotIssued", certificate=certificate)
            return {"deliveries": await deliver.deliver(self._places, configuration, known, current, services)}

    async def open_challenge(self, _: Call, job: int, certificate: str) -> Answer:
        lookup.checked_name(certificate, "certificate")
        configuration = self._places.configuration()
        with journal.fields(job=job, certificate=certificate):
            if configuration.http01.mode is Http01Mode.WEBROOT:
                tokens.webroot(configuration)
                return {"method": challenge.WEBROOT}
            async with _pid1() as manager:
                await challenge.open_challenge(configuration, manager, job)
            await install.warm(self._places)
            return {"method": challenge.DIRECTORY}

    async def close_challenge(self, _: Call, job: int, certificate: str) -> Answer:
        lookup.checked_name(certificate, "certificate")
        with journal.fields(job=job, certificate=certificate):
            async with _pid1() as manager:
                await challenge.close_challenge(manager, job)
            return {}

    async def publish_token(self, _: Call, job: int, certificate: str, token: str, key_authorization: str) -> Answer:
        tokens.check_token(token, key_authorization)
        return await self._write_token(job, certificate, token, key_authorization)

    async def withdraw_token(self, _: Call, job: int, certificate: str, token: str) -> Answer:
        tokens.check_token(token)
        return await self._write_token(job, certificate, token, None)

    async def _write_token(self, job: int, certificate: str, token: str, content: str | None) -> Answer:
        lookup.checked_name(certificate, "certificate")
        with journal.fields(job=job, certificate=certificate):
            async with _pid1() as manager:
                await tokens.write(self._places.configuration(), manager, token, content)
            return {}

    async def permit_revoke(self, _: Call, job: int, certificate: str, reason: int) -> Answer:
        revocation.check_reason(reason)
        async with self._certificate(job, certificate):
            current, der = await asyncio.to_thread(revocation.installed, self._places, certificate)
            lookup.account(self._places.configuration(), current.account)
            await self._permits.revoke(current.account, current.fingerprint, reason)
            return {"account": current.account, "der": base64.b64encode(der).decode()}

    @asynccontextmanager
    async def _certificate(self, job: int, name: str) -> AsyncIterator[None]:
        """One at a time for a certificate; what the host prevents is InstallFailed."""
        lookup.checked_name(name, "certificate")
        with journal.fields(job=job, certificate=name), host_errors(name):
            async with self._locks[f"certificate {name}"]:
                yield

    @asynccontextmanager
    async def _account(self, job: int, name: str) -> AsyncIterator[None]:
        """One at a time for an account; what the host prevents is KeyUnavailable."""
        lookup.checked_name(name, "account")
        with journal.fields(job=job, account=name):
            try:
                async with self._locks[f"account {name}"]:
                    yield
            except OSError as error:
                raise refusal("KeyUnavailable", account=name, reason=explained(error)) from error

    async def _restart_keyd(self, account: str) -> None:
        """acme-keyd reads keys and accounts when it starts. Where it does not run, there is nothing to do."""
        try:
            async with pid1.connected() as manager:
                result = await manager.job("TryRestartUnit", _KEYD, "replace", timeout=_RESTART_TIMEOUT)
        except (DBusError, BusLost, TimeoutError) as error:
            result = str(error) or "not done in time"
        if result != pid1.DONE:
            reason = f"restart of {_KEYD}: {result}; see: journalctl -u {_KEYD}"
            raise refusal("KeyUnavailable", account=account, reason=reason)


@asynccontextmanager
async def _pid1() -> AsyncIterator[Pid1]:
    """A connection to PID 1 for a challenge; what it cannot do is ChallengeUnavailable."""
    try:
        async with pid1.connected() as manager:
            yield manager
    except (DBusError, BusLost) as error:
        raise refusal("ChallengeUnavailable", message=f"PID 1 cannot do it: {error}") from error
    except TimeoutError as error:
        raise refusal("ChallengeUnavailable", message="PID 1 was not done in time") from error


def main() -> None:
    """Runs until idle or SIGTERM."""
    places = Places()
    journal.setup("acme-privd", places.configuration().log_level("acme-privd"))
    service = varlink.Service(varlink.load("org.acmed.Priv"), Priv(places))
    asyncio.run(daemon.serve({"priv": service}, _IDLE))
