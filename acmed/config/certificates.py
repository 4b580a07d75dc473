# SPDX-License-Identifier: LGPL-2.1-or-later
"""certificates.d/NAME.toml: one certificate."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from acmed.config import copies, schema
from acmed.config.challenges import challenges, check_challenge
from acmed.config.common import Common, common
from acmed.config.identifiers import MAX_NAMES, identifiers
from acmed.config.model import Certificate, Problem, Service
from acmed.config.section import Section
from acmed.config.settings import Defaults
from acmed.config.subject import common_name, subject
from acmed.config.table import Table
from acmed.config.values import Names, absolute_path
from acmed.config.words import listed
from acmed.names import Identifier

__all__ = ["MAX_NAMES", "Context", "certificate"]

_ADD_ACCOUNT = "acmectl account add --directory letsencrypt-staging --contact admin@example.com --agree-tos"

_WHY = "nobody but their owner may write them"

# What only the maker of a key, or of a CSR, decides.
_NOT_WITH_A_CSR = ("key-type", "reuse-key", "must-staple", "common-name", "subject", "key-usage", "hash")


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
    names = _names(section)
    for key in schema.CERTIFICATE:
        if key in defaults.broken and not section.has(key):
            section.wrong(key, f"is not given here, and the one in [defaults] has a problem ({defaults.broken[key]})")
    own = common(section, context.accounts, context.service_names)
    account = _account(section, own, defaults, context.accounts)
    types = challenges(section, names)
    others = tuple(identifier for identifier in names if identifier.value not in types)
    check_challenge(section, others, own.challenge, defaults.common.challenge)
    cn = common_name(section, names)
    dn = subject(section, names)
    key_file = absolute_path(section, "key-file")
    csr = section.flag("csr") or False
    files = copies.files(section, "[files]")
    owner, group = copies.user_or_group(section, "owner"), copies.user_or_group(section, "group")
    _exclude(section, csr)
    _keyless(section, csr, files)
    values = {**defaults.common.said(), **own.said(), "account": account}
    users = [context.services[service] for service in values.get("services", ())]
    if group is None:
        _one_group(section, users)
    # Of a provided key the mode is not what it says here, but what services say.
    shared = None if key_file else next((service.group for service in users if service.group), None)
    mode = copies.mode(section, group or shared, copies.MODES, _WHY)
    if section.broken or account is None:
        return None
    if own.failover is None:
        values["failover"] = tuple(other for other in values.get("failover", ()) if other != account)
    if csr:
        # The CSR says it.
        values |= {"must_staple": False, "key_usage": Certificate.key_usage, "hash": Certificate.hash}
    return Certificate(
        name,
        table.place.path,
        names,
        **values,
        challenges=types,
        common_name=cn,
        subject=dn,
        key_file=Path(key_file) if key_file else None,
        csr=csr,
        files={kind: Path(target.replace("{name}", name)) for kind, target in files.items()},
        owner=owner,
        group=group,
        mode=mode,
    )


def _names(section: Section) -> tuple[Identifier, ...]:
    texts = section.value("names")
    if texts is None:
        section.missing("names", 'names = ["www.example.com"]')
    elif isinstance(texts, list) and not 1 <= len(texts) <= MAX_NAMES:
        section.wrong("names", f"has {len(texts)} names; a certificate has at least 1 and at most {MAX_NAMES}")
        return ()
    return identifiers(section, "names")


def _account(section: Section, own: Common, defaults: Defaults, accounts: Names) -> str | None:
    """The account of the file, or else the default one, that is not also in failover."""
    if section.has("account"):
        return own.account
    account = defaults.common.account
    if account is None and "account" not in section.broken:
        if accounts.known or accounts.broken:
            hint = (
                f'known are {listed(sorted(accounts.known))}: add account = "NAME" here, or in [defaults] of acmed.toml'
            )
            section.refuse("account", "no account is given, and there is no default one", hint)
        else:
            section.refuse("account", "there is no account yet", f"run: {_ADD_ACCOUNT}")
    if own.failover and account in own.failover:
        what = f"has '{account}', which is the default account and tried first anyway"
        section.wrong("failover", what, "remove it", own.failover.index(account))
    return account


def _exclude(section: Section, csr: bool) -> None:
    """What has no meaning beside a CSR, or a key, that comes from elsewhere."""
    if csr:
        for key in _NOT_WITH_A_CSR:
            if section.has(key):
                section.wrong(key, "has no meaning beside csr = true: whoever makes the CSR decides it", "remove it")
    if section.has("key-file"):
        if csr:
            section.wrong("key-file", "has no meaning beside csr = true: the key is elsewhere", "remove one of the two")
        elif section.has("reuse-key"):
            what = "has no meaning beside 'key-file': the key stays until you replace that file"
            section.wrong("reuse-key", what, "remove it")


def _keyless(section: Section, csr: bool, files: Iterable[str]) -> None:
    """There is no key to copy where it is elsewhere."""
    if csr and (secret := [kind for kind in files if kind in schema.SECRET_FILES]):
        section.wrong("files", f"has {' and '.join(secret)} beside csr = true: the key is elsewhere", "remove them")


def _one_group(section: Section, services: list[Service]) -> None:
    """The private key has one group."""
    groups = {service.group: service.name for service in services if service.group}
    if len(groups) > 1:
        wanted = " and ".join(f"{name} wants {group}" for group, name in groups.items())
        hint = "make a group with both users in it and set it as 'group' here, or order a certificate for each"
        section.wrong("services", f"give the private key to two groups: {wanted}", hint)
