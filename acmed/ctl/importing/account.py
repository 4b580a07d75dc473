# SPDX-License-Identifier: LGPL-2.1-or-later
"""[client] and [accountd] of lacme.conf as an account: which CA, and where the key is."""

import os

from acmed.config.keysource import Kind
from acmed.config.model import DIRECTORIES
from acmed.config.words import quoted
from acmed.ctl.importing import signer
from acmed.ctl.importing.lacmefiles import Lacme
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.tiny import BadSource, Settings
from acmed.ctl.importing.writing import Table, path_text
from acmed.specifiers import UnknownSpecifier, expand_as_root

_SERVER = DIRECTORIES["letsencrypt"]
_SOCKET = "%t/S.lacme"
_WORDS = {url: word for word, url in DIRECTORIES.items()}
_NOT_MAPPED = {
    "user": "acme-clientd.service talks to the CA, as a user of its own, in a sandbox",
    "group": "acme-clientd.service talks to the CA, as a user of its own, in a sandbox",
    "command": "acme-clientd.service talks to the CA, as a user of its own, in a sandbox",
    "timeout": "acmed waits longer, and goes on later: [account.lacme.deadlines] has defaults of 300 s",
    "SSL_version": "acmed takes TLS 1.2 and later, as the system's OpenSSL does",
    "SSL_cipher_list": "acmed takes what the system's OpenSSL takes: /etc/ssl/openssl.cnf",
}


def account(lacme: Lacme, report: Report) -> Table:
    """[account.lacme]. Raises BadSource."""
    client = lacme.client
    for name, why in _NOT_MAPPED.items():
        report.dropped(client.get(name), why)
    _verification(client, report)
    table = _directory(client, report)
    if lacme.accountd is None:
        return table | _socket(client, report)
    report.dropped(client.get("socket"), "lacme ignores it beside [accountd]")
    source, file = signer.key(lacme.accountd, report)
    if file:
        lacme.files.append(file)
    return table | source


def _directory(client: Settings, report: Report) -> Table:
    given = client.get("server")
    url = given.value if given and given.value else _SERVER
    directory = _WORDS.get(url, url)
    if given and not url.startswith("https://"):
        report.wrong(given, "acmed speaks https alone")
    else:
        report.kept(given, f"[account.lacme] directory = {quoted(directory)}")
    return {"directory": directory}


def _verification(client: Settings, report: Report) -> None:
    given = client.get("SSL_verify")
    if given is None:
        return
    if given.value.lower() != "no":
        report.kept(given, "acmed always verifies the CA's server")
        return
    report.dropped(given, "acmed always verifies the CA's server, its name too: ca-file of [account.lacme]")


def _socket(client: Settings, report: Report) -> Table:
    """Raises BadSource."""
    given = client.get("socket")
    try:
        path = os.path.normpath(expand_as_root(given.value if given else _SOCKET))
    except UnknownSpecifier as error:
        raise BadSource(f"{given.path}:{given.line}: {given.title}: {error}" if given else str(error)) from None
    if not path.startswith("/"):
        assert given
        report.wrong(given, "is relative to where lacme was started; give its absolute path")
    report.kept(given, f'key = "unix:{path}"')
    report.notes.append(
        f"lacme-accountd, which listens at {path}, stays as it is: acme-store-unix.service connects to it"
    )
    return {"key": f"{Kind.UNIX}:{path_text(path)}"}
