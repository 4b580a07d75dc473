# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brings an installed set to where it is used: to a service, and to what the certificate's own file asks for."""

import asyncio

from acmed import journal
from acmed.config import Certificate, Configuration, Service
from acmed.config.schema import SECRET_FILES
from acmed.names import HOOK_OF, OWN_FILES
from acmed.privd import files
from acmed.privd.delivery import copies, telling
from acmed.privd.delivery.telling import Told
from acmed.privd.installed import ownership, sets, whole
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.varlink import VarlinkError


async def deliver(
    places: Places, configuration: Configuration, certificate: Certificate, current: sets.Set, names: list[str]
) -> list[dict[str, str]]:
    """One Delivery (org.acmed.Priv) for each name. What fails for one does not stop the others. Raises InstallFailed:
    what is kept is damaged, and nothing of it is brought over files that may be good; or OSError.
    """
    content = await asyncio.to_thread(whole.content, places, certificate.name, current)
    if content is None:
        message = (
            f"the copy of {certificate.name} that acme-privd keeps is damaged (see: journalctl -u acme-privd.service),"
            f" and nothing was changed; to have it ordered again, run: acmectl restore {certificate.name}"
        )
        raise refusal("InstallFailed", certificate=certificate.name, message=message)
    delivery = _Delivery(places, configuration, certificate, current, content)
    answers = []
    for name in names:
        told = await delivery.to(name)
        if told.error:
            journal.warning("Delivery of %s to %s failed: %s", certificate.name, name, told.error, service=name)
        else:
            journal.info("Delivered %s to %s", certificate.name, name, service=name)
        if told.remark:
            journal.warning("%s", told.remark, service=name)
        answers.append({"service": name, "error": told.error, "remark": told.remark})
    return answers


class _Delivery:
    """Of one set; each method answers with what came of it, or raises OSError or a refusal."""

    def __init__(
        self,
        places: Places,
        configuration: Configuration,
        certificate: Certificate,
        current: sets.Set,
        content: sets.Content,
    ) -> None:
        self._places = places
        self._configuration = configuration
        self._certificate = certificate
        self._current = current
        self._content = content

    async def to(self, name: str) -> Told:
        """Without an exception."""
        try:
            return await self._to(name)
        except OSError as failure:
            return Told(copies.problem(failure))
        except VarlinkError as failure:
            return Told(str(failure.parameters.get("message", failure)))

    async def _to(self, name: str) -> Told:
        if name == OWN_FILES:
            return await self._own()
        service = name.removeprefix(HOOK_OF)
        if service not in self._configuration.services:
            known = ", ".join(sorted(self._configuration.services)) or "none"
            return Told(f"there is no [service.{service}]; known services: {known}")
        if service not in self._certificate.services:
            return Told(f"it is not among the services of {self._certificate.path}")
        if name == service:
            return await self._service(self._configuration.services[service])
        return Told(
            await telling.run_hook(
                self._places, self._certificate, self._configuration.services[service], self._content
            )
        )

    async def _own(self) -> Told:
        """To the certificate's own copies, and to whom its own file gives the key."""
        configuration, certificate = self._configuration, self._certificate
        self._grant()
        access = {kind: ownership.own_access(configuration, certificate, kind) for kind in certificate.files}
        await asyncio.to_thread(copies.write, certificate.files, self._content, access.__getitem__)
        return Told()

    async def _service(self, service: Service) -> Told:
        if self._content.privkey is None and (problem := ownership.keyless_problem(service)):
            return Told(problem)
        if service.group is not None:
            self._grant()
        access = ownership.service_access(service)
        await asyncio.to_thread(
            copies.write,
            service.targets(self._certificate.name),
            self._content,
            lambda kind: access if kind in SECRET_FILES else files.PUBLIC,
        )
        return await telling.reload(service)

    def _grant(self) -> None:
        access = ownership.key_access(self._configuration, self._certificate)
        sets.grant(self._places, self._certificate.name, self._current, self._content, access)
