# SPDX-License-Identifier: LGPL-2.1-or-later
"""A far acme-keyd's signer in this process, and the whole program beside it."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from acmed import base64url
from acmed.keyd.far.conversation import Conversation, Ended
from acmed.keyd.far.hourly import Hourly
from acmed.keyd.far.names import Glob
from acmed.keyd.far.policy import Policy
from acmed.keyd.far.record import Record
from acmed.keyd.far.signer import Signer
from acmed.keyd.keys import Key
from acmed.varlink import Call
from tests.unit.keyd.far import anybody
from tests.unit.keyd.far.program import Program, ending
from tests.unit.keyd.rig import new_key, pem, verify

CHECKOUT = Path(__file__).parents[4]
CA = "https://ca.example:14000"
URI = f"{CA}/acct/1"
NONCE = "bm9uY2U"
PEER = Call(7, 8, 9)
NAMES = ("www.example.com", "*.sub.example.com")


@dataclass
class Far:
    """A signer; conversation() is one client's connection to it. log has what was put on record."""

    directory: Path
    key: Key = field(default_factory=new_key)
    uri: str | None = URI
    names: tuple[str, ...] = NAMES
    operations: tuple[str, ...] = ("order",)
    signatures: int = 1000
    refusals: int = 1000
    hide_jwk: bool = False

    @property
    def signer(self) -> Signer:
        globs = tuple(map(Glob.parse, self.names))
        policy = Policy("www", "", (f"{CA}/dir",), globs, frozenset(self.operations), self.signatures, self.hide_jwk)
        signatures = Hourly(self.directory / "state" / "count", "signatures", self.signatures)
        refusals = Hourly(self.directory / "state" / "refusals", "refusals", self.refusals)
        record = Record("www", self.directory / "log")
        return Signer("default", self.key, self.uri, policy, signatures, refusals, record)

    def conversation(self) -> Conversation:
        return Conversation(self.signer, PEER)

    def line(self, payload: Any, url: str = f"{CA}/any", by_key: bool = False, **header: Any) -> bytes:
        """A signing input as lacme makes it, with another header where that is given."""
        return line(self.key, payload, url, None if by_key else self.uri or URI, **header)

    def sign(self, payload: Any, url: str = f"{CA}/any", by_key: bool = False, **header: Any) -> None:
        """It is signed, as it is."""
        wanted = self.line(payload, url, by_key, **header)
        (answer,) = self.answers(wanted + b"\r\n")
        check(self.key, wanted, answer)

    def answers(self, data: bytes) -> list[bytes]:
        """Of one connection, to what is sent at once. Raises Ended."""
        talk = self.conversation()
        return [talk.answer(line) for line in talk.receive(data)]

    def refusal(self, payload: Any, url: str = f"{CA}/any", by_key: bool = False, **header: Any) -> str:
        return self.end(self.line(payload, url, by_key, **header) + b"\r\n")

    def end(self, data: bytes) -> str:
        """Why the connection ends; there is no answer."""
        with pytest.raises(Ended) as caught:
            self.answers(data)
        return str(caught.value)

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in (self.directory / "log").read_text().splitlines()]


def line(key: Key, payload: Any, url: str, account: str | None, **header: Any) -> bytes:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    protected: dict[str, Any] = {"alg": key.algorithm, "nonce": NONCE, "url": url}
    protected |= {"jwk": key.jwk} if account is None else {"kid": account}
    chosen = {name: value for name, value in (protected | header).items() if value is not ...}
    return f"{base64url.encode(json.dumps(chosen).encode())}.{base64url.encode(body)}".encode()


def check(key: Key, wanted: bytes, answer: bytes) -> None:
    """The signature is of exactly these bytes. Raises InvalidSignature."""
    assert answer.endswith(b"\r\n")
    protected, _, payload = wanted.decode().partition(".")
    verify({"protected": protected, "payload": payload, "signature": answer[:-2].decode()}, key)


def order(*names: str) -> dict[str, Any]:
    return {"identifiers": [{"type": "dns", "value": name} for name in names]}


def csr(*names: str, common_name: str | None = None) -> bytes:
    subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


def finalize(*names: str, common_name: str | None = None) -> dict[str, str]:
    return {"csr": base64url.encode(csr(*names, common_name=common_name))}


@dataclass
class Home:
    """A user's home directory, with a key and a configuration for the program."""

    path: Path
    key: Key = field(default_factory=new_key)

    def __post_init__(self) -> None:
        (self.path / "config" / "acmed").mkdir(parents=True)
        (self.path / "run").mkdir(mode=0o700)
        self.write("account.key", pem(self.key.private))

    @property
    def source(self) -> str:
        return f"file:{self.path}/account.key"

    @property
    def address(self) -> Path:
        return self.path / "run" / "acme-keyd.sock"

    def write(self, name: str, content: bytes | str, mode: int = 0o600) -> Path:
        path = self.path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def configure(self, text: str) -> Path:
        return self.write("config/acmed/keyd.toml", text, 0o644)

    def greets(self, **variables: str) -> None:
        """It has opened the key."""
        said, errors = self.start("--stdio", "--quiet", **variables).communicate()
        assert said.startswith(b"1 OK {"), errors
        assert self.key.jwk["x"].encode() in said

    def policy(self, more: str = "") -> Path:
        """The usual configuration."""
        return self.configure(
            f'log-file = "{self.path}/log"\n[key]\nsource = "{self.source}"\nuri = "{URI}"\n'
            f'[policy]\ndirectories = ["{CA}/dir"]\nnames = ["www.example.com"]\n{more}'
        )

    def start(self, *words: str, **variables: str) -> Program:
        return Program(words, self._environment(variables), self.path)

    def start_on(self, stdio: int, *words: str) -> Program:
        """With one socket for standard input and output."""
        return Program(words, self._environment({}), self.path, stdio)

    def popen(self, *words: str, **variables: str) -> "subprocess.Popen[bytes]":
        """Starts it as an interpreter of its own, which takes longer."""
        return subprocess.Popen(
            [sys.executable, "-m", anybody.__name__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment(variables),
            cwd=self.path,
            start_new_session=True,  # without the terminal that we may have
        )

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        base = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "PYTHONPYCACHEPREFIX")}
        places = {
            "HOME": str(self.path),
            "XDG_CONFIG_HOME": str(self.path / "config"),
            "XDG_RUNTIME_DIR": str(self.path / "run"),
            "PYTHONPATH": str(CHECKOUT),
        }
        return {name: value for name, value in (base | places | variables).items() if value}

    def error(self, *words: str, **variables: str) -> str:
        """What it complains about; it does not start."""
        process = self.start(*words, **variables)
        _, said = process.communicate()
        assert process.returncode not in (0, -signal.SIGTERM), said
        text = said.decode()
        assert "Traceback" not in text
        return text

    @contextlib.contextmanager
    def serving(self, *words: str) -> Iterator[Program]:
        """The program with --socket, once it listens."""
        with ending(self.start(*(words or ("--socket",)))) as process:
            assert process.stderr
            said = b""
            while b"Listening" not in said:
                more = process.stderr.readline()
                assert more, said
                said += more
            yield process


class Client:
    """Somebody at the other end of a socket or of pipes, with a deadline."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._data = b""

    def send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._outgoing, data) :]

    def line(self) -> bytes:
        """The next line; nothing at the end."""
        while b"\n" not in self._data:
            if not (more := self._more()):
                return b""
            self._data += more
        found, _, self._data = self._data.partition(b"\n")
        return found + b"\n"

    def greeting(self) -> tuple[dict[str, Any], dict[str, Any]]:
        version, jwk = self.line(), self.line()
        assert version.startswith(b"1 OK ") and version.endswith(b"\r\n")
        return json.loads(version[5:]), json.loads(jwk)

    def is_left(self) -> bool:
        """Whether the other side closes the connection, without another word."""
        try:
            return self.line() == b""
        except ConnectionResetError:
            return True

    def _more(self) -> bytes:
        ready, _, _ = select.select([self._incoming], [], [], 30)
        assert ready, "nothing came"
        return os.read(self._incoming, 65536)


@contextlib.contextmanager
def connected(path: Path) -> Iterator[Client]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        yield Client(connection.fileno(), connection.fileno())
