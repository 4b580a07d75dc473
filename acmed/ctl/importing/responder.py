# SPDX-License-Identifier: LGPL-2.1-or-later
"""[webserver] of lacme.conf: how a CA reaches the answers to http-01 challenges."""

import os
import re

from acmed import paths
from acmed.config.model import Http01Mode
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.tiny import Settings
from acmed.ctl.importing.writing import Table, path_text
from acmed.specifiers import UnknownSpecifier, expand_as_root

_LISTEN = "/run/lacme-www.socket"
_SNIPPETS = "/usr/share/doc/acmed/webserver"
_SEPARATOR = re.compile(r"[ \t,]\s*", re.ASCII)
_PORT_80 = re.compile(r"(?:\d+(?:\.\d+){3}|\[[0-9A-Fa-f:.]{2,39}\])(?::0*80)?", re.ASCII)
_WELL_KNOWN = "/.well-known/acme-challenge"


def responder(webserver: Settings, report: Report) -> tuple[Table, str | None]:
    """[http01], and firewall = where it differs from the default."""
    for name in ("user", "group", "command"):
        report.dropped(webserver.get(name), "acme-http01.service answers the CA, as a user of its own, in a sandbox")
    given = webserver.get("challenge-directory")
    if given and given.value:
        for name in ("listen", "iptables"):
            report.dropped(webserver.get(name), "lacme ignores it beside challenge-directory")
        return _webroot(webserver, report), None
    report.dropped(given, "it is empty, and lacme cannot answer a challenge so")
    table = _listening(webserver, report)
    return table, _firewall(webserver, report, table)


def _webroot(webserver: Settings, report: Report) -> Table:
    given = webserver["challenge-directory"]
    try:
        directory = os.path.normpath(expand_as_root(given.value))
    except UnknownSpecifier as error:
        report.wrong(given, str(error))
        return {}
    if not directory.startswith("/"):
        report.wrong(given, "is relative to where lacme was started; give its absolute path")
        return {}
    if directory.endswith(_WELL_KNOWN) and directory != _WELL_KNOWN:
        root = directory.removesuffix(_WELL_KNOWN)
        report.kept(given, f'[http01] mode = "webroot", webroot = "{root}"')
    else:
        root = directory
        report.changed(given, f'[http01] mode = "webroot": files will be in {root}{_WELL_KNOWN}/')
        report.task(
            f"Let the web server look for {_WELL_KNOWN}/ in {root}{_WELL_KNOWN}/, not in {root}/. In nginx:\n"
            f"alias {root}{_WELL_KNOWN}/;\nIn Apache:\nAlias {_WELL_KNOWN}/ {root}{_WELL_KNOWN}/"
        )
    return {"mode": Http01Mode.WEBROOT.value, "webroot": path_text(root)}


def _listening(webserver: Settings, report: Report) -> Table:
    """The mode for where lacme listens."""
    given = webserver.get("listen")
    places = [place for place in _SEPARATOR.split(given.value if given else _LISTEN) if place]
    if any(_PORT_80.fullmatch(place) for place in places):
        mode, why = Http01Mode.STANDALONE, "systemd listens on port 80, of all addresses, while a challenge is pending"
    elif places:
        mode, why = Http01Mode.PROXIED, f"the socket is {paths.HTTP01_SOCKET}"
        report.task(
            f"Let the web server pass {_WELL_KNOWN}/ on to unix:{paths.HTTP01_SOCKET}, and no longer to"
            f" {', '.join(places)}; there are snippets for nginx and Apache in {_SNIPPETS}."
        )
    else:
        report.dropped(given, "it is empty, and lacme cannot answer a challenge so")
        return {}
    report.changed(given, f'[http01] mode = "{mode}": {why}')
    return {"mode": mode.value}


def _firewall(webserver: Settings, report: Report, http01: Table) -> str | None:
    given = webserver.get("iptables")
    if http01.get("mode") != Http01Mode.STANDALONE:
        report.dropped(given, "no port is opened for this mode")
        return None
    if given is None:
        report.notes.append(
            "lacme does not touch the firewall; acmed opens port 80 in it while a challenge is pending, unless"
            ' acmed.toml says firewall = "off"'
        )
        return None
    if given.value.lower() == "yes":
        report.kept(given, 'the default, firewall = "auto"; also with nftables and firewalld')
        return None
    report.kept(given, 'firewall = "off"')
    return "off"
