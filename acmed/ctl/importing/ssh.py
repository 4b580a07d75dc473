# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ssh(1) command line: where it connects to, as whom, with which key, and what it starts there."""

from dataclasses import dataclass, field

from acmed.config.words import quoted

_WITH_VALUE = frozenset("BbcDEeFIiJLlmOoPpQRSWw")
_WITHOUT_EFFECT = frozenset("TqxaC")  # acmed's ssh does so anyway, or it makes no difference


class NotUnderstood(ValueError):
    """The words are not those of ssh; the message says why."""


@dataclass
class Call:
    """options: those that acmed's ssh does not get."""

    host: str = ""
    user: str = ""
    port: str = ""
    identity: str = ""
    command: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """[USER@]HOST[:PORT], as in key = "ssh:…"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (f"{self.user}@" if self.user else "") + host + (f":{self.port}" if self.port else "")

    @property
    def known(self) -> str:
        """The host as known_hosts has it, sshd(8)."""
        return f"'[{self.host}]:{self.port}'" if self.port and self.port != "22" else self.host


def understand(words: list[str]) -> Call:
    """The words behind "ssh". Raises NotUnderstood."""
    call, rest = Call(), list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            continue
        if word.startswith("-") and len(word) > 1:
            _options(call, word[1:], rest)
        elif call.host:
            call.command = [word, *rest]
            break
        else:
            _destination(call, word)
    if not call.host:
        raise NotUnderstood("names no host")
    return call


def _options(call: Call, letters: str, rest: list[str]) -> None:
    """Letters behind a "-"; the value of one of them may be the next word."""
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter not in _WITH_VALUE:
            if letter not in _WITHOUT_EFFECT:
                call.options.append(f"-{letter}")
            continue
        if not letters and not rest:
            raise NotUnderstood(f"has an option -{letter} without a value")
        _valued(call, letter, letters or rest.pop(0))
        return


def _valued(call: Call, letter: str, value: str) -> None:
    name, _, setting = value.partition("=") if letter == "o" else (letter, "", value)
    match name.lower():
        case "l" | "user":
            call.user = call.user or setting
        case "p" | "port":
            call.port = call.port or setting
        case "i" | "identityfile":
            call.identity = call.identity or setting
        case _:
            call.options.append(f"-{letter} {value}")


def _destination(call: Call, word: str) -> None:
    """[USER@]HOST, or ssh://[USER@]HOST[:PORT]. An option before it counts more."""
    text = word.removeprefix("ssh://").removesuffix("/") if word.startswith("ssh://") else word
    user, at, host = text.rpartition("@")
    if at:
        call.user = call.user or user
    if word.startswith("ssh://"):
        name, colon, port = host.rpartition(":")
        if colon and port.isdigit():
            host, call.port = name, call.port or port
    call.host = host.strip("[]")
    if not call.host:
        raise NotUnderstood(f"has {quoted(word)} for a host")
