# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where lacme's account key is, when lacme starts what signs with it itself: lacme-accountd, here or by ssh(1)."""

import grp
import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path

from acmed import paths
from acmed.config.keysource import COMMANDS, BadKeySource, Kind, parse
from acmed.config.sandbox import home_above
from acmed.config.words import quoted
from acmed.ctl.importing import lacmefiles, ssh, tiny
from acmed.ctl.importing.report import Report
from acmed.ctl.importing.tiny import BadSource, Setting, Settings, TinyFile
from acmed.ctl.importing.writing import Table, path_text
from acmed.specifiers import OF_ROOT

_ACCOUNTD = "/usr/bin/lacme-accountd"
_HINT = "an import from a copy of lacme.conf with another command is possible: --config"
_SPECIFIER = re.compile(r"%(.?)", re.DOTALL)


@dataclass(frozen=True)
class User:
    """Who lacme-accountd runs as: root, unless [accountd] says something else."""

    home: Path
    meanings: dict[str, str]

    def expand(self, setting: Setting, text: str) -> str:
        """text with its specifiers replaced. Raises BadSource."""

        def meaning(match: re.Match[str]) -> str:
            if match[1] not in self.meanings:
                where = f"{setting.path}:{setting.line}: {setting.title}"
                raise BadSource(f"{where} has {match[0]!r} in it, which stands for nothing there")
            return self.meanings[match[1]]

        return _SPECIFIER.sub(meaning, text)


def key(accountd: Settings, report: Report) -> tuple[Table, TinyFile | None]:
    """key, key-command and uri of the account, as far as they are known, and lacme-accountd.conf where it was read.

    Raises BadSource.
    """
    user = _user(accountd)
    given = accountd.get("command")
    words = [user.expand(given, word) for word in given.value.split()] if given else [_ACCOUNTD]
    for name in ("user", "group"):
        report.dropped(accountd.get(name), "what reads the key (acme-store-*.service) has a user of its own")
    program = Path(words[0]).name if words else ""
    if program == "ssh":
        return _far(words[1:], accountd, user, report), None
    report.dropped(accountd.get("quiet"), "the journal has every signature: acmectl account log")
    if program == Path(_ACCOUNTD).name:
        return _near(words[1:], accountd, user, report)
    assert given
    report.wrong(given, f"is neither lacme-accountd nor ssh, so nobody knows where its key is; {_HINT}")
    return {}, None


def _user(accountd: Settings) -> User:
    """Raises BadSource."""
    given = accountd.get("user")
    if given is None or not given.value:
        return User(Path("/root"), OF_ROOT)
    try:
        entry = pwd.getpwnam(given.value)
    except KeyError:
        raise BadSource(f"{given.path}:{given.line}: {given.title}: there is no user {quoted(given.value)}") from None
    home = entry.pw_dir
    if entry.pw_uid == 0:
        return User(Path(home), OF_ROOT)
    # lacme clears the environment, so %t stands for nothing; and it keeps root's group where none is given.
    own = {"C": f"{home}/.cache", "E": f"{home}/.config", "T": "/tmp", "h": home, "u": entry.pw_name, "%": "%"}
    return User(Path(home), own | {"U": str(entry.pw_uid)} | _group(accountd.get("group")))


def _group(given: Setting | None) -> dict[str, str]:
    """Raises BadSource."""
    if given is None or not given.value:
        return {name: OF_ROOT[name] for name in "gG"}
    try:
        return {"g": given.value, "G": str(grp.getgrnam(given.value).gr_gid)}
    except KeyError:
        raise BadSource(f"{given.path}:{given.line}: {given.title}: there is no group {quoted(given.value)}") from None


def _far(words: list[str], accountd: Settings, user: User, report: Report) -> Table:
    setting = accountd["command"]
    try:
        call = ssh.understand(words)
        parse(f"{Kind.SSH}:{call.place}")
    except (ssh.NotUnderstood, BadKeySource) as error:
        report.wrong(setting, f"{error}; {_HINT}")
        return {}
    command = [*(call.command or ["lacme-accountd"]), "--stdio"]
    for name in ("config", "privkey"):
        if (given := accountd.get(name)) and given.value:
            command.append(f"--{name}={given.value}")
            report.kept(given, f"key-command has --{name}")
    quiet = accountd.get("quiet")
    if quiet is None or quiet.value.lower() != "no":
        command.append("--quiet")
    report.kept(quiet, "key-command")
    left = f"; without {' '.join(call.options)}: ssh reads no configuration of its own there" if call.options else ""
    text = f'key = "ssh:{call.place}", and key-command{left}'
    (report.changed if call.options else report.kept)(setting, text)
    identity = call.identity or f"one of those in {user.home}/.ssh"
    report.notes.append(
        f"lacme's ssh showed the key {identity}, and knew the other host by its own known_hosts, from which"
        f" ssh-keygen -F {call.known} prints the line for {paths.KNOWN_HOSTS}"
    )
    return {"key": f"ssh:{call.place}", "key-command": command}


def _near(words: list[str], accountd: Settings, user: User, report: Report) -> tuple[Table, TinyFile | None]:
    """Raises BadSource."""
    report.kept(accountd.get("command"), "key")
    options = _options(words, accountd)
    for name in ("config", "privkey"):
        if (given := accountd.get(name)) and given.value:
            options[name] = given
    file = _configuration(options.get("config"), user)
    own = file.defaults if file else {}
    report.kept(accountd.get("config"), "key: the file was read")
    for name, why in (
        ("socket", "lacme starts lacme-accountd without one"),
        ("logfile", "the journal has every signature: acmectl account log"),
        ("quiet", "the journal has every signature: acmectl account log"),
    ):
        report.dropped(own.get(name), why)
    if "privkey" in options:
        report.dropped(own.get("privkey"), "lacme gives lacme-accountd another one")
    given = options.get("privkey", own.get("privkey"))
    if given is None:
        where = file.path if file else "lacme-accountd.conf, which is not there,"
        raise BadSource(f"{where} has no 'privkey', and lacme-accountd refuses to start")
    return _source(given, own.get("gpg"), user, report) | _uri(own.get("keyid"), report), file


def _options(words: list[str], accountd: Settings) -> dict[str, Setting]:
    """--config and --privkey, as they stand in the command. Raises BadSource."""
    found, rest, setting = {}, iter(words), accountd.get("command")
    for word in rest:
        name, equals, value = word.removeprefix("--").partition("=")
        assert setting
        if name in ("config", "privkey") and word.startswith("--"):
            value = value if equals else next(rest, "")
            found[name] = Setting(setting.path, setting.line, setting.section, setting.key, value)
        elif word not in ("--quiet", "-q", "--debug", "--stdio"):
            raise BadSource(f"{setting.path}:{setting.line}: lacme-accountd has no option {quoted(word)}")
    return found


def _configuration(given: Setting | None, user: User) -> TinyFile | None:
    """lacme-accountd.conf; None where there is no default one. Raises BadSource."""
    if given:
        path = Path("/", user.expand(given, given.value))
    else:
        path = Path(user.meanings["E"], "lacme/lacme-accountd.conf")
        if not os.path.lexists(path):
            return None
    file = tiny.read(path)
    lacmefiles.check_accountd(file)
    return file


def _source(given: Setting, gpg: Setting | None, user: User, report: Report) -> Table:
    """Raises BadSource."""
    kind, colon, place = given.value.partition(":")
    if not colon or kind not in (Kind.FILE, Kind.GPG) or not place:
        where = f"{given.path}:{given.line}: {given.title} = {given.value}"
        raise BadSource(f"{where}: lacme-accountd takes file:PATH and gpg:PATH, and refuses to start")
    path = os.path.normpath(f"/{user.expand(given, place)}".replace("//", "/"))
    source: Table = {"key": f"{kind}:{path_text(path)}"}
    report.kept(given, f'key = "{source["key"]}"')
    if kind == Kind.FILE:
        report.dropped(gpg, "the key is not encrypted by gpg")
        if home := home_above(Path(path)):
            report.task(f"Move {path} out of {home}, which acme-store-file.service does not see; then change key.")
        return source
    command = gpg.value.split() if gpg else []
    if command and tuple(command) != COMMANDS[Kind.GPG]:
        source["key-command"] = command
    report.kept(gpg, "key-command" if "key-command" in source else "the default of key-command")
    report.task(
        f"{path} is encrypted to a gpg key in {user.home}/.gnupg: give it to the user acme-gpg, see acme-keyd(8)."
    )
    return source


def _uri(keyid: Setting | None, report: Report) -> Table:
    if keyid is None or not keyid.value:
        report.dropped(keyid, "it is empty")
        return {}
    report.kept(keyid, "uri; nobody manages the account without a permit of root's")
    return {"uri": keyid.value}
