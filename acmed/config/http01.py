# SPDX-License-Identifier: LGPL-2.1-or-later
"""[http01]: how a CA reaches the answers to its http-01 challenges."""

import re

from acmed.config import schema
from acmed.config.identifiers import identifier_key
from acmed.config.model import Http01, Http01Mode, Problem
from acmed.config.pathnames import path_fault
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
    webroot = section.text("webroot")
    if webroot is not None and (fault := _pattern_fault(webroot)):
        section.wrong("webroot", f"is {quoted(webroot)}; {fault}")
    if mode is Http01Mode.WEBROOT and not section.has("webroot"):
        section.missing("webroot", 'webroot = "/var/www/html", because mode is "webroot"')
    webroots = _webroots(section)
    return Http01() if section.broken else Http01(mode, webroot, webroots)


def _webroots(section: Section) -> dict[str, str]:
    """Directories by the identifiers' values."""
    inner = section.inner("webroots", title("http01", "webroots"), None)
    if inner is None:
        return {}
    found: dict[str, str] = {}
    for key in inner.keys:
        name = identifier_key(inner, key)
        path = None if name is None else inner.text(key)
        if name is None or path is None:
            continue
        if name in found:
            inner.wrong(key, "is there under another spelling too", "remove one of the two")
        elif fault := _single_fault(path):
            inner.wrong(key, f"is {quoted(path)}; {fault}")
        found[name] = path
    return found


def _pattern_fault(pattern: str) -> str:
    """What is wrong with a path that has fields in it, or an empty string."""
    plain = _FIELD.sub("x", pattern)
    if "{" in plain or "}" in plain:
        return "in braces there may be {fqdn}, {zone} (the name without its first label) and {host} (that label) alone"
    return _path_fault(plain)


def _single_fault(path: str) -> str:
    if _FIELD.search(path):
        return "{fqdn}, {zone} and {host} have a meaning in 'webroot' alone"
    return _path_fault(path)


def _path_fault(path: str) -> str:
    if path == "/":
        return "it must be the document root of a web server"
    return path_fault(path)
