# SPDX-License-Identifier: LGPL-2.1-or-later
"""[zone.NAME]: how TXT records get into a DNS zone."""

import ipaddress
import re
from contextlib import suppress
from pathlib import Path

from acmed.config import schema
from acmed.config.model import DAY, Problem, Propagation, Zone, ZoneMethod
from acmed.config.pathnames import BadPath, absolute
from acmed.config.section import Section
from acmed.config.table import Table
from acmed.config.values import absolute_path, hook_name
from acmed.config.words import did_you_mean, kind_of, listed, quoted, title, without_quotes
from acmed.names import InvalidName, object_name, zone_name

_LONGEST_TIMEOUT = 600  # seconds
_LONGEST_ARGUMENT = 4096  # characters
_OTHER_FIELD = re.compile(r"\{(?!zone\})[a-z_]*\}")

# Which keys have a meaning for one method only, or two.
_METHODS = {
    "server": (ZoneMethod.UPDATE,),
    "port": (ZoneMethod.UPDATE,),
    "key": (ZoneMethod.UPDATE,),
    "ttl": (ZoneMethod.UPDATE,),
    "directory": (ZoneMethod.LOCAL,),
    "reload": (ZoneMethod.LOCAL,),
    "hook": (ZoneMethod.HOOK,),
}
_NEEDED = {
    ZoneMethod.UPDATE: {},
    ZoneMethod.LOCAL: {
        "directory": 'directory = "/var/lib/bind/challenges"',
        "reload": 'reload = ["/usr/sbin/rndc", "reload", "{zone}"]',
    },
    ZoneMethod.HOOK: {"hook": 'hook = "provider"'},
}


def zone(name: str, table: Table, problems: list[Problem]) -> Zone | None:
    """The zone, or None where it has a problem. name: as Tables.zone has it."""
    if whole := _taken_apart(name, table):
        message = f"{title('zone')[:-1]}.{whole}] is a table in a table: in TOML, a dot in a name needs quotes"
        problems.append(table.place.problem(message, f"write {title('zone', whole)}"))
        return None
    section = Section(table, title("zone", name), schema.ZONE, problems)
    try:
        zone_name(name)
    except InvalidName as error:
        section.refuse("", str(error), "rename the table")
    word = section.choice("method", [method.value for method in ZoneMethod])
    method = ZoneMethod(word) if word else ZoneMethod.UPDATE
    if "method" not in section.broken:
        _check_keys(section, method)
    server = _server(section)
    port = section.integer("port", 1, 65535)
    key = _key(section)
    ttl = section.integer("ttl", 0, DAY)
    timeout = section.integer("timeout", 1, _LONGEST_TIMEOUT)
    propagation = _propagation(section)
    directory = absolute_path(section, "directory")
    reload = _reload(section)
    hook = hook_name(section, "hook")
    if section.broken:
        return None
    return Zone(
        name,
        method,
        server,
        Zone.port if port is None else port,
        key,
        Zone.ttl if ttl is None else ttl,
        Zone.timeout if timeout is None else timeout,
        propagation,
        Path(directory) if directory else None,
        reload,
        hook,
    )


def _taken_apart(name: str, table: Table) -> str:
    """The zone's name where it was written as [zone.example.com], or an empty string."""
    for key, value in table.values.items():
        if key not in schema.ZONE and isinstance(value, dict):
            labels = without_quotes(key, value).split(".")
            while labels and labels[-1] in schema.ZONE:
                labels.pop()
            return ".".join([name, *labels])
    return ""


def _check_keys(section: Section, method: ZoneMethod) -> None:
    """Refuses what has no meaning for the method, and the lack of what it needs."""
    for key, methods in _METHODS.items():
        if section.has(key) and method not in methods:
            said = "is the method" if section.has("method") else "is the method where none is given"
            allowed = " or ".join(f'method = "{word}"' for word in methods)
            section.wrong(key, f"has no meaning here: '{method}' {said}", f"it is for {allowed}")
    for key, example in _NEEDED[method].items():
        if not section.has(key):
            section.missing(key, f'{example}, because method is "{method}"')


def _server(section: Section) -> str | None:
    """A host's name, or an address."""
    text = section.text("server")
    if text is None:
        return None
    try:
        address = ipaddress.ip_address(text.strip("[]"))
        if "%" not in text:  # an interface's name, which is another one on another host
            return str(address)
    except ValueError:
        with suppress(InvalidName):
            name = zone_name(text)
            if not name.rpartition(".")[2].isdigit():
                return name
    hint = "the port has a key of its own" if ":" in text else ""
    section.wrong("server", f"is {quoted(text)}; it must be a host's name or an IP address", hint)
    return None


def _key(section: Section) -> str | None:
    text = section.text("key")
    try:
        return object_name(text) if text is not None else None
    except InvalidName as error:
        hint = "it is the name of a file in /etc/credstore.encrypted/acmed.dns; the key itself is in that, sealed"
        section.wrong("key", f"has a name that cannot be: {error}", hint)
        return None


def _propagation(section: Section) -> Propagation | int:
    value = section.value("propagation")
    words = [word.value for word in Propagation]
    if type(value) is int:
        return section.integer("propagation", 1, DAY) or Propagation.CHECK
    if value is None or value in words:
        return Propagation(value or Propagation.CHECK)
    what = quoted(value) if isinstance(value, str) else kind_of(value)
    hint = did_you_mean(value, words) if isinstance(value, str) else ""
    section.wrong("propagation", f"is {what}; allowed are {listed(words)} and a number of seconds", hint)
    return Propagation.CHECK


def _reload(section: Section) -> tuple[str, ...]:
    """A program by its absolute path, and its arguments, in which a percent sign has no meaning; no shell."""
    words = section.texts("reload", '["/usr/sbin/rndc", "reload", "{zone}"]') or ()
    if section.has("reload") and not words and "reload" not in section.broken:
        section.wrong("reload", "is empty; it must be a program and its arguments")
    program = _program(section, words[0]) if words else None
    for index, word in enumerate(words):
        if index == 0 and program is None:
            continue
        if other := _OTHER_FIELD.search(word):
            what = f"has {other[0]} in it; the only thing in braces may be {{zone}}, the zone's name"
            section.wrong("reload", what, index=index)
        elif not word.isprintable() or len(word) > _LONGEST_ARGUMENT:
            section.wrong("reload", "has an argument that is too long or not printable", index=index)
    return words if program is None else (program, *words[1:])


def _program(section: Section, word: str) -> str | None:
    try:
        return absolute(word)
    except BadPath as fault:
        hint = 'no shell is used: ["/usr/sbin/rndc", "reload", "{zone}"]' if " " in word else ""
        section.wrong("reload", f"begins with {quoted(word)}; {fault}", hint, 0)
        return None
