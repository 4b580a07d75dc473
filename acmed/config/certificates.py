# SPDX-License-Identifier: LGPL-2.1-or-later
"""certificates.d/NAME.toml: one certificate."""

from dataclasses import dataclass

from acmed.config import schema
from acmed.config.model import Certificate, KeyType, Problem, Service
from acmed.config.section import Section
from acmed.config.settings import Defaults
from acmed.config.table import Table
from acmed.config.values import Names, account_name, service_names
from acmed.config.words import listed, quoted
from acmed.names import Identifier, InvalidName

MAX_NAMES = 100  # what Let's Encrypt and most public CAs allow in one certificate
_LONGEST_NAME = 1000  # characters; a DNS name has 253 at most, in A-labels

_ADD_ACCOUNT = "acmectl account add --directory letsencrypt-staging --contact admin@example.com --agree-tos"


@dataclass(frozen=True)
class Context:
    """What a certificate's file refers to."""

    defaults: Defaults
    accounts: Names
    services: dict[str, Service]
    service_names: Names


def certificate(name: str, table: Table, context: Context, problems: list[Problem]) -> Certificate | None:
    """The certificate, or None where its file has a problem."""
    section = Section(table, "", schema.CERTIFICATE, problems)
    defaults = context.defaults
    identifiers = _identifiers(section)
    for key in schema.CERTIFICATE:
        if key in defaults.broken and not section.has(key):
            section.wrong(key, f"is not given here, and the one in [defaults] has a problem ({defaults.broken[key]})")
    account = _account(section, defaults, context.accounts)
    key_type = section.choice("key-type", [word.value for word in KeyType])
    reuse_key = section.flag("reuse-key")
    services = service_names(section, context.service_names)
    services = defaults.services if services is None else services
    _one_group(section, [context.services[service] for service in services])
    if section.broken or account is None:
        return None
    return Certificate(
        name,
        table.place.path,
        identifiers,
        account,
        KeyType(key_type) if key_type else defaults.key_type,
        defaults.reuse_key if reuse_key is None else reuse_key,
        services,
    )


def _identifiers(section: Section) -> tuple[Identifier, ...]:
    texts = section.texts("names", '["www.example.com"]')
    if texts is None:
        if not section.has("names"):
            section.missing("names", 'names = ["www.example.com"]')
        return ()
    if not 1 <= len(texts) <= MAX_NAMES:
        section.wrong("names", f"has {len(texts)} names; a certificate has at least 1 and at most {MAX_NAMES}")
        return ()
    found: dict[Identifier, int] = {}
    for index, text in enumerate(texts):
        identifier = _identifier(section, text, index)
        if identifier in found:
            first = texts[found[identifier]]
            same = "twice" if text == first else f"and {quoted(first)}, which are the same name"
            section.wrong("names", f"has {quoted(text)} {same}", index=index)
        elif identifier is not None:
            found[identifier] = index
    _refuse_covered(section, found)
    return tuple(found)


def _identifier(section: Section, text: str, index: int) -> Identifier | None:
    try:
        if len(text) > _LONGEST_NAME:
            raise InvalidName(f"{quoted(text)} is too long for a DNS name")
        return Identifier.parse(text)
    except InvalidName as error:
        section.refuse("names", str(error), index=index)
        return None


def _refuse_covered(section: Section, found: dict[Identifier, int]) -> None:
    """A name that a wildcard beside it covers: Let's Encrypt answers such an order with an error."""
    for identifier, index in found.items():
        wildcard = "*." + identifier.value.partition(".")[2]
        if identifier.type == "dns" and identifier.value != wildcard and Identifier("dns", wildcard) in found:
            what = f"has {quoted(identifier.value)}, which {quoted(wildcard)} covers"
            section.wrong("names", what, "remove one of the two", index)


def _account(section: Section, defaults: Defaults, accounts: Names) -> str | None:
    if section.has("account"):
        return account_name(section, accounts)
    if defaults.account is None and "account" not in section.broken:
        if accounts.known or accounts.broken:
            hint = (
                f'known are {listed(sorted(accounts.known))}: add account = "NAME" here, or in [defaults] of acmed.toml'
            )
            section.refuse("account", "no account is given, and there is no default one", hint)
        else:
            section.refuse("account", "there is no account yet", f"run: {_ADD_ACCOUNT}")
    return defaults.account


def _one_group(section: Section, services: list[Service]) -> None:
    """The private key has one group."""
    groups = {service.group: service.name for service in services if service.group}
    if len(groups) > 1:
        wanted = " and ".join(f"{name} wants {group}" for group, name in groups.items())
        hint = (
            "make a group with both users in it and set it as 'group' of both services in acmed.toml,"
            " or order a certificate for each"
        )
        section.wrong("services", f"give the private key to two groups: {wanted}", hint)
