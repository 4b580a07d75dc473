# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kinds of values that more than one table has."""

from dataclasses import dataclass
from os.path import normpath

from acmed.config.section import Section
from acmed.config.words import did_you_mean, listed, quoted, title

_LONGEST_PATH = 4095  # bytes, PATH_MAX without its NUL


@dataclass(frozen=True)
class Names:
    """The accounts or services that may be used, and those that are there but broken."""

    known: frozenset[str]
    broken: frozenset[str]


def absolute_path(section: Section, key: str) -> str | None:
    """A path that is absolute and has no "..", "." or empty part."""
    text = section.text(key)
    if text is None:
        return None
    if fault := path_fault(text):
        section.wrong(key, f"is {quoted(text)}; {fault}")
        return None
    return text


def path_fault(text: str) -> str:
    """What is wrong with a path, or an empty string."""
    if not text.startswith("/"):
        return "it must be an absolute path, beginning with '/'"
    if not text.isprintable() or len(text.encode()) > _LONGEST_PATH:
        return "it must be a path of printable characters, at most 4095 bytes"
    if text.startswith("//") or normpath(text) != text:
        return f"it must be written without '..', '.', '//' or a final '/': {quoted(normpath(text).replace('//', '/'))}"
    return ""


def service_names(section: Section, there: Names) -> tuple[str, ...] | None:
    """The key "services": names of services that there are."""
    names = section.texts("services", '["nginx"]')
    for index, name in enumerate(names or ()):
        if name in there.broken:
            section.wrong(
                "services", f"has {quoted(name)}, and {title('service', name)} has a problem of its own", index=index
            )
        elif name not in there.known:
            what = f"has {quoted(name)}, which is no service; known are {listed(sorted(there.known))}"
            section.wrong("services", what, did_you_mean(name, there.known), index)
        elif names and name in names[:index]:
            section.wrong("services", f"has {quoted(name)} twice", index=index)
    return None if "services" in section.broken else names


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
