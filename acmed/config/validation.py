# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether names can be validated as the configuration says: directories for http-01, zones for dns-01."""

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote

from acmed.config.load import Loaded
from acmed.config.model import Certificate, ChallengeType, Configuration, Http01Mode, Problem, ZoneMethod
from acmed.config.sandbox import UNIT, home_above
from acmed.config.table import Place
from acmed.config.words import listed, title
from acmed.names import Identifier

_DOCUMENT_ROOT = "it is the web server's document root"


def problems(loaded: Loaded) -> list[Problem]:
    return [*_webroot(loaded), *_webroots(loaded), *_zones(loaded), *_without_zone(loaded)]


def _webroot(loaded: Loaded) -> Iterator[Problem]:
    http01 = loaded.configuration.http01
    if http01.webroot is None:
        return
    place = loaded.tables.plain["http01"].places["webroot"]
    if http01.mode is not Http01Mode.WEBROOT:
        message = f"'webroot' has no effect: the mode of [http01] is '{http01.mode}'"
        yield place.note(message)
    elif "{" not in http01.webroot:
        yield from _directory(place, Path(http01.webroot), _DOCUMENT_ROOT)
    else:
        names = [name for name in _over_http(loaded.configuration) if name not in http01.webroots]
        for directory, name in {http01.directory(name): name for name in names}.items():
            if directory is not None:
                yield from _directory(place, directory, f"it is the document root of {name}")


def _over_http(configuration: Configuration) -> Iterator[str]:
    """What may be validated by http-01."""
    for certificate in configuration.certificates.values():
        for identifier in certificate.identifiers:
            word = _type(certificate, identifier)
            by_itself = word is None and not _wildcard(identifier) and not configuration.zone_above(identifier.value)
            if word is ChallengeType.HTTP_01 or by_itself:
                yield identifier.value


def _webroots(loaded: Loaded) -> Iterator[Problem]:
    configuration = loaded.configuration
    if not configuration.http01.webroots:
        return
    place = loaded.tables.plain["http01"].places["webroots"]
    names = {identifier.value for one in configuration.certificates.values() for identifier in one.identifiers}
    names |= {identifier.value for one in configuration.accounts.values() for identifier in one.authorize}
    for name, path in configuration.http01.webroots.items():
        yield from _directory(place, Path(path), f"it is the document root of {name}")
        if name not in names and not configuration.broken:
            message = f"'webroots' has {name}, which no certificate is for"
            yield place.note(message)


def _zones(loaded: Loaded) -> Iterator[Problem]:
    for zone in loaded.configuration.zones.values():
        table = loaded.tables.zone[zone.name]
        if zone.directory is not None:
            hint = f"mkdir -p {quote(str(zone.directory))}"
            yield from _directory(table.places["directory"], zone.directory, hint)
        if zone.method is ZoneMethod.UPDATE and zone.key is None:
            message = f"{title('zone', zone.name)} has no 'key': its server must allow updates by this host's address"
            hint = "an address can be forged; make a key with tsig-keygen(8) where you can"
            yield table.place.note(message, hint)


def _directory(place: Place, path: Path, hint: str) -> Iterator[Problem]:
    """Why it cannot be written to: by a transient unit, as the directory's owner, once acme-privd has looked at it."""
    if home := home_above(path):
        yield place.problem(f"{path} is in {home}, which {UNIT} does not see", "use a directory such as /srv/NAME")
        return
    try:
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        yield place.problem(f"the directory {path} is not there", hint)
        return
    except OSError as error:
        message = f"{path} is not checked: {error.strerror}"
        yield place.note(message, "check as root")
        return
    if not is_directory:
        yield place.problem(f"{path} is not a directory")


def _without_zone(loaded: Loaded) -> Iterator[Problem]:
    """Names that take a DNS record, where no zone is configured that it could get into."""
    configuration = loaded.configuration
    for certificate in configuration.certificates.values():
        names = [one.value for one in certificate.identifiers if _over_dns(certificate, one)]
        yield from _lacking(loaded, loaded.tables.certificate[certificate.name].places["names"], names)
    for account in configuration.accounts.values():
        wildcards = [one.value for one in account.authorize if _wildcard(one)]
        if wildcards:
            yield from _lacking(loaded, loaded.tables.account[account.name].places["authorize"], wildcards)


def _lacking(loaded: Loaded, place: Place, names: Iterable[str]) -> Iterator[Problem]:
    configuration = loaded.configuration
    bases = {name: name.removeprefix("*.") for name in names}
    lacking = [name for name, base in bases.items() if not configuration.zone_above(base)]
    if not lacking:
        return
    base = bases[lacking[0]]
    message = f"{listed(lacking)} can be validated by DNS alone, and no [zone] of acmed.toml is {base} or above it"
    if loaded.tables.zone:
        hint = f"needed unless _acme-challenge.{base} is a CNAME into a [zone] that there is"
        yield place.note(message, hint)
    else:
        hint = f"add {title('zone', base)}, or the zone that it is in; see acmed.toml(5)"
        yield place.problem(message, hint)


def _type(certificate: Certificate, identifier: Identifier) -> ChallengeType | None:
    return certificate.challenges.get(identifier.value, certificate.challenge)


def _over_dns(certificate: Certificate, identifier: Identifier) -> bool:
    word = _type(certificate, identifier)
    return word in (ChallengeType.DNS_01, ChallengeType.DNS_ACCOUNT_01) or (word is None and _wildcard(identifier))


def _wildcard(identifier: Identifier) -> bool:
    return identifier.value.startswith("*.")
