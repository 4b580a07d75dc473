# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kinds of values that more than one table has."""

import re
from dataclasses import dataclass

from acmed.config.pathnames import BadPath, absolute
from acmed.config.section import Section
from acmed.config.words import did_you_mean, listed, quoted, title
from acmed.names import dns_name

# What needs no escape in a mailto URL (RFC 6068 section 2), without what a URL or a list of addresses would give a
# meaning: RFC 8555 section 7.3 allows one address and no header fields.
_MAIL_USER = re.compile(r"[A-Za-z0-9.!$'*+=_~-]{1,64}")

_HOOK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True)
class Names:
    """The accounts or services that may be used, and those that are there but broken."""

    known: frozenset[str]
    broken: frozenset[str]


def absolute_path(section: Section, key: str) -> str | None:
    """A path that is absolute and has no "..", "." or empty part, its %-specifiers replaced."""
    text = section.text(key)
    if text is None:
        return None
    try:
        return absolute(text)
    except BadPath as fault:
        section.wrong(key, f"is {quoted(text)}; {fault}")
        return None


def hook_name(section: Section, key: str) -> str | None:
    """The name of a file in hooks.d."""
    text = section.text(key)
    if text is not None and not _HOOK.fullmatch(text):
        what = "it must be the name of a file in /etc/acmed/hooks.d: letters, digits, '.', '_' and '-'"
        section.wrong(key, f"is {quoted(text)}; {what}")
    return text


def mail_address(text: str, local: bool = False) -> str:
    """With the domain in A-labels. local: one of this host may be without a domain. Raises ValueError."""
    if local and _MAIL_USER.fullmatch(text):
        return text
    user, at, domain = text.rpartition("@")
    if not at or not _MAIL_USER.fullmatch(user) or domain.startswith("*."):
        raise ValueError
    return f"{user}@{dns_name(domain)}"


def known_names(section: Section, key: str, kind: str, there: Names) -> tuple[str, ...] | None:
    """An array of names of services, or of another kind, that there are."""
    names = section.texts(key, '["nginx"]' if kind == "service" else '["letsencrypt"]')
    for index, name in enumerate(names or ()):
        if name in there.broken:
            section.wrong(key, f"has {quoted(name)}, and {title(kind, name)} has a problem of its own", index=index)
        elif name not in there.known:
            what = f"has {quoted(name)}, which is no {kind}; known are {listed(sorted(there.known))}"
            section.wrong(key, what, did_you_mean(name, there.known), index)
        elif names and name in names[:index]:
            section.wrong(key, f"has {quoted(name)} twice", index=index)
    return None if key in section.broken else names


def account_name(section: Section, there: Names) -> str | None:
    """The key "account": the name of an account that there is."""
    name = section.text("account")
    if name is None or name in there.known:
        return name
    if name in there.broken:
        section.wrong("account", f"is {quoted(name)}, and {title('account', name)} has a problem of its own")
    else:
        what = f"is {quoted(name)}, which is no account; known are {listed(sorted(there.known))}"
        section.wrong("account", what, did_you_mean(name, there.known))
    return None
