# SPDX-License-Identifier: LGPL-2.1-or-later
"""lacme's wire protocol, with clients that do not keep to it, over a socket and over pipes."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from acmed import base64url
from acmed.keyd.far import conversation
from acmed.keyd.keys import Key, parse
from tests.unit.keyd.far.program import ending
from tests.unit.keyd.far.rig import CA, URI, Client, Far, Home, check, connected, line, order
from tests.unit.keyd.rig import pem
from tests.unit.rsakeys import rsa_key

Way = Callable[[Home], AbstractContextManager[Client]]


@contextmanager
def by_socket(home: Home) -> Iterator[Client]:
    with home.serving(), connected(home.address) as client:
        yield client


@contextmanager
def by_pipes(home: Home) -> Iterator[Client]:
    with ending(home.start("--stdio", "--quiet")) as process:
        assert process.stdin and process.stdout
        yield Client(process.stdout.fileno(), process.stdin.fileno())


@contextmanager
def by_one_socket(home: Home) -> Iterator[Client]:
    """As lacme has it for its [accountd]."""
    ours, its = socket.socketpair()
    with ours, its, ending(home.start_on(its.fileno(), "--stdio", "--quiet")):
        its.close()
        yield Client(ours.fileno(), ours.fileno())


@pytest.fixture(params=[by_socket, by_pipes, by_one_socket])
def client(request: pytest.FixtureRequest, home: Home) -> Iterator[Client]:
    home.policy()
    way: Way = request.param
    with way(home) as client:
        yield client


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of one that goes on while clients come and go."""
    home = Home(tmp_path_factory.mktemp("far") / "home")
    home.policy()
    with home.serving():
        yield home.address


def test_what_a_client_is_told(client: Client, home: Home) -> None:
    about, jwk = client.greeting()
    assert about == {"alg": "ES256", "jwk-thumbprint": home.key.thumbprint, "kid": URI}
    assert jwk == home.key.jwk


def test_signatures_in_order(client: Client, home: Home) -> None:
    """Also of lines that come at once, or in pieces."""
    client.greeting()
    wanted = [line(home.key, b"", f"{CA}/order/{number}", URI) for number in range(20)]
    client.send(b"".join(data + b"\r\n" for data in wanted[:10]))
    for data in wanted[:10]:
        check(home.key, data, client.line())
    for data in wanted[10:]:
        for piece in (data[:7], data[7:], b"\r", b"\n"):
            client.send(piece)
        check(home.key, data, client.line())


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n",
        b"e30\r\n",
        b".e30\r\n",
        b"e30.e30.e30\r\n",
        b"e30=.e30\r\n",
        b"e31.\r\n",
        b"e30.e30\n",
        b"e30.e30 \r\n",
        b"\xff\xfe.\r\n",
        b"GET / HTTP/1.1\r\n",
        b'{"method":"org.acmed.Key.Sign"}\0\r\n',
    ],
    ids=repr,
)
def test_what_is_no_signing_input(address: Path, sent: bytes) -> None:
    with connected(address) as client:
        client.greeting()
        client.send(sent)
        assert client.is_left()


def test_a_good_signing_input_with_a_bare_lf(client: Client, home: Home) -> None:
    client.greeting()
    client.send(line(home.key, b"", f"{CA}/order/1", URI) + b"\n")
    assert client.is_left()


def test_a_refusal_ends_the_connection_without_an_answer(client: Client, home: Home) -> None:
    client.greeting()
    client.send(line(home.key, order("bank.example.com"), f"{CA}/new-order", URI) + b"\r\n")
    assert client.is_left()


def test_keys_of_every_kind(tmp_path: Path) -> None:
    for private in (
        rsa_key(2048),
        ec.generate_private_key(ec.SECP384R1()),
        Ed25519PrivateKey.generate(),
    ):
        key = parse(pem(private))
        far = Far(tmp_path, key=key)
        far.sign(b"")
        assert f'"alg":"{key.algorithm}"'.encode() in far.conversation().greeting()


def test_a_line_of_50_mib(home: Home) -> None:
    """lacme's signer took it, and 297 MB of memory."""
    home.policy()
    with home.serving() as process, connected(home.address) as client:
        client.greeting()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.send(b"A" * 50 * 1024 * 1024)
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next(text for text in status.splitlines() if text.startswith("VmHWM"))
        assert int(peak.split()[1]) < 80 * 1024
        assert b"at most 65536 bytes" in (home.path / "log").read_bytes()


def test_the_longest_line(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = far.line(b"") + b"\r\n"
    monkeypatch.setattr(conversation, "MAX_LINE", len(wanted))
    assert len(far.answers(wanted * 2)) == 2
    monkeypatch.setattr(conversation, "MAX_LINE", len(wanted) - 1)
    assert "a line has at most" in far.end(wanted)
    monkeypatch.setattr(conversation, "MAX_LINE", len(wanted) - 2)
    assert "a line has at most" in far.end(wanted[:-1])


def test_the_end_of_the_stream(far: Far) -> None:
    assert "hung up" in far.end(b"")
    talk = far.conversation()
    assert list(talk.receive(b"e30.")) == []
    (end,) = itertools.islice(talk.receive(b""), 1)
    with pytest.raises(conversation.Ended, match="inside a line"):
        talk.answer(end)


def test_patience(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may wait for its CA for long, but one that is within a line may not, however it drips."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    talk = far.conversation()
    assert talk.patience() == 900
    now += 500
    list(talk.receive(b"e"))
    assert talk.patience() == 10
    now += 6
    list(talk.receive(b"3"))
    assert talk.patience() == 4
    now += 6
    assert talk.patience() == 0
    talk = far.conversation()
    wanted = far.line(b"")
    list(talk.receive(wanted[:5]))
    now += 9
    list(talk.receive(wanted[5:] + b"\r\n"))
    assert talk.patience() == 900
    for _ in talk.receive(wanted + b"\r\n" + wanted[:5]):
        now += 20  # what a token takes for a signature is not the client's
    assert talk.patience() == 10


def test_nobody_holds_up_another(home: Home) -> None:
    """lacme's signer served one at a time, to its end, and a bare LF or an end within a line was its own end."""
    home.policy()
    wanted = line(home.key, b"", f"{CA}/order/1", URI)
    with home.serving() as process:
        with connected(home.address), connected(home.address) as dripping, connected(home.address) as deaf:
            dripping.send(wanted[:9])
            deaf_writer = threading.Thread(target=_send_for_ever, args=(deaf, wanted + b"\r\n"))
            deaf_writer.start()
            for breaking in (b"\n", b"x", b"\r\n", wanted + b"\n", wanted[:-3]):
                with connected(home.address) as other:
                    other.send(breaking)
            with connected(home.address) as client:
                client.greeting()
                client.send(wanted + b"\r\n")
                check(home.key, wanted, client.line())
            process.terminate()
            deaf_writer.join()
        assert process.wait(30) == 0


def _send_for_ever(client: Client, data: bytes) -> None:
    try:
        while True:
            client.send(data)
    except OSError:
        pass


def test_more_clients_than_are_served(home: Home) -> None:
    """Who has been silent for longest makes room."""
    home.policy()
    wanted = line(home.key, b"", f"{CA}/order/1", URI)
    with home.serving(), connected(home.address) as busy, connected(home.address) as idle:
        busy.greeting()
        idle.greeting()
        busy.send(wanted + b"\r\n")
        check(home.key, wanted, busy.line())
        others = [socket.socket(socket.AF_UNIX) for _ in range(63)]
        for other in others:
            other.connect(str(home.address))
        assert idle.is_left()
        busy.send(wanted + b"\r\n")
        check(home.key, wanted, busy.line())
        for other in others:
            other.close()


def test_many_at_once(home: Home) -> None:
    home.policy()
    with home.serving():
        failed: list[object] = []
        threads = [threading.Thread(target=_one_of_many, args=(home.address, home.key, failed)) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
    assert len((home.path / "log").read_text().splitlines()) == 16 * 10


def _one_of_many(path: Path, key: Key, failed: list[object]) -> None:
    try:
        with connected(path) as client:
            client.greeting()
            for number in range(10):
                wanted = line(key, b"", f"{CA}/order/{number}", URI)
                client.send(wanted + b"\r\n")
                check(key, wanted, client.line())
    except Exception as error:
        failed.append(error)


def test_a_header_in_another_spelling_is_signed_as_it_is(far: Far) -> None:
    """The very bytes that came, not what they say: the CA gets those."""
    text = f'{{ "url":"{CA}/order/1" , "nonce":"x","kid":"{URI}","alg":"ES256" }}'
    wanted = f"{base64url.encode(text.encode())}.".encode()
    (answer,) = far.answers(wanted + b"\r\n")
    check(far.key, wanted, answer)
