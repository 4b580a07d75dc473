# SPDX-License-Identifier: LGPL-2.1-or-later
"""[http01]: how a CA reaches the answers to its http-01 challenges."""

import re

from acmed.config import schema
from acmed.config.identifiers import identifier_key
from acmed.config.model import Http01, Http01Mode, Problem
from acmed.config.pathnames import BadPath, expanded, path_fault
from acmed.config.section import Section
from acmed.config.table import Tables
from acmed.config.words import quoted, title

_FIELD = re.compile(r"\{(fqdn|zone|host)\}")


def http01(tables: Tables, problems: list[Problem]) -> Http01:
    """As if the table were not there, where it has a problem."""
    table = tables.plain.get("http01")
    if table is None:
        return Http01()
    section = Section(table, "[http01]", schema.HTTP01, problems)
    word = section.choice("mode", [mode.value for mode in Http01Mode])
    mode = Http01Mode(word) if word else Http01Mode.STANDALONE
    webroot = _webroot(section)
    if mode is Http01Mode.WEBROOT and not section.has("webroot"):
        section.missing("webroot", 'webroot = "/var/www/html", because mode is "webroot"')
    webroots = _webroots(section)
    return Http01() if section.broken else Http01(mode, webroot, webroots)


def _webroot(section: Section) -> str | None:
    text = section.text("webroot")
    try:
        return None if text is None else _pattern(text)
    except BadPath as fault:
        section.wrong("webroot", f"is {quoted(text or '')}; {fault}")
        return None


def _webroots(section: Section) -> dict[str, str]:
    """Directories by the identifiers' values."""
    inner = section.inner("webroots", title("http01", "webroots"), None)
    if inner is None:
        return {}
    found: dict[str, str] = {}
    for key in inner.keys:
        name = identifier_key(inner, key)
        text = None if name is None else inner.text(key)
        if name is None or text is None:
            continue
        if name in found:
            inner.wrong(key, "is there under another spelling too", "remove one of the two")
            continue
        try:
            found[name] = _single(text)
        except BadPath as fault:
            inner.wrong(key, f"is {quoted(text)}; {fault}")
    return found


def _pattern(text: str) -> str:
    """A path that may have fields in it. Raises BadPath."""
    pattern = expanded(text)
    plain = _FIELD.sub("x", pattern)
    if "{" in plain or "}" in plain:
        fields = "{fqdn}, {zone} (the name without its first label) and {host} (that label)"
        raise BadPath(f"in braces there may be {fields} alone")
    _check(plain)
    return pattern


def _single(text: str) -> str:
    path = expanded(text)
    if _FIELD.search(path):
        raise BadPath("{fqdn}, {zone} and {host} have a meaning in 'webroot' alone")
    _check(path)
    return path


def _check(path: str) -> None:
    """Raises BadPath."""
    if path == "/":
        raise BadPath("it must be the document root of a web server")
    if fault := path_fault(path):
        raise BadPath(fault)
