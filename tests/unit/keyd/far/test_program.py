# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-keyd --socket and --stdio as somebody starts them: files, permissions, signals."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from tests.unit.keyd.far.rig import CA, CHECKOUT, URI, Home, check, connected, line, order
from tests.unit.keyd.rig import new_key, pem


def test_the_socket(home: Home) -> None:
    home.policy()
    with home.serving():
        status = home.address.lstat()
        assert stat.S_ISSOCK(status.st_mode) and status.st_mode & 0o777 == 0o600
    assert home.address.exists(), "SIGKILL leaves it"
    assert "exists already" in home.error("--socket")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(home: Home, number: int) -> None:
    home.policy()
    path = home.path / "run" / "other.sock"
    with home.serving("--socket", str(path)) as process, connected(path) as client:
        client.greeting()
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr and process.stderr.read() == b""
        assert not path.exists()
        assert client.is_left()


def test_another_ones_socket_is_not_removed(home: Home) -> None:
    home.policy()
    with home.serving() as process:
        home.address.unlink()
        home.address.write_text("another's")
        process.terminate()
        assert process.wait(30) == 0
    assert home.address.read_text() == "another's"


@pytest.mark.parametrize("what", ["file", "dangling link", "directory", "socket"])
def test_what_is_there_is_not_touched(home: Home, what: str) -> None:
    home.policy()
    if what == "file":
        home.address.write_text("content")
    elif what == "dangling link":
        home.address.symlink_to("nowhere")
    elif what == "directory":
        home.address.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(home.address))
    before = home.address.lstat()
    assert "exists already" in home.error("--socket")
    assert home.address.lstat() == before


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o720])
def test_a_directory_that_others_may_write(home: Home, mode: int) -> None:
    home.policy()
    home.address.parent.chmod(mode)
    assert "may be written by others" in home.error("--socket")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_a_directory_of_another_user(home: Home) -> None:
    """Nobody else may write to it, but that user."""
    home.policy()
    os.chown(home.address.parent, 4711, -1)
    assert home.address.parent.stat().st_mode & 0o777 == 0o700
    assert "use a directory of your own" in home.error("--socket")


def test_places_for_the_socket(home: Home) -> None:
    home.policy()
    assert "XDG_RUNTIME_DIR is not set" in home.error("--socket", XDG_RUNTIME_DIR="")
    assert "No such file" in home.error("--socket", str(home.path / "nowhere" / "socket"))
    assert "too long" in home.error("--socket", str(home.path / "run" / ("x" * 120)))
    assert "'%z' is no specifier" in home.error("--socket", "%z/socket")
    with home.serving("--socket", "%h/run/%u%%.sock"):
        assert [path.name.endswith("%.sock") for path in (home.path / "run").iterdir()] == [True]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_other_users() -> None:
    """The mode is one thing, and SO_PEERCRED another: somebody may change the first."""
    script = "import socket, sys\ns = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(99))"
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(directory) / "home")
        home.policy()
        for folder in (Path(directory), home.path, home.address.parent):
            folder.chmod(0o711)
        connect = ["/usr/bin/python3", "-c", script, str(home.address)]
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *connect]
        with home.serving():
            refused = subprocess.run(command, capture_output=True, check=False)
            assert b"PermissionError" in refused.stderr
            home.address.chmod(0o666)
            refused = subprocess.run(command, capture_output=True, check=False)
            assert (refused.stdout, refused.stderr) == (b"b''\n", b"")


def test_the_default_configuration_may_be_missing(home: Home) -> None:
    """Then nothing may be ordered; a client is greeted."""
    with home.serving("--key", home.source) as process, connected(home.address) as client:
        about, jwk = client.greeting()
        assert (about, jwk) == ({"alg": "ES256", "jwk-thumbprint": home.key.thumbprint}, home.key.jwk)
        directory = "https://acme-v02.api.letsencrypt.org"
        for payload, url in ((b"", f"{directory}/order/1"), (order("www.example.com"), f"{directory}/new-order")):
            wanted = line(home.key, payload, url, f"{directory}/acct/1")
            client.send(wanted + b"\r\n")
            if not payload:
                check(home.key, wanted, client.line())
        assert client.is_left()
        process.terminate()
    missing = home.path / "missing.toml"
    assert f"{missing} is not there" in home.error("--socket", "--config", str(missing), "--key", home.source)
    assert "no key: give --key" in home.error("--socket")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_keys_in_pem(home: Home, form: PrivateFormat) -> None:
    """PKCS#8, and what openssl made before."""
    for command in (["ecparam", "-name", "prime256v1", "-genkey"], ["genrsa", "-traditional", "2048"]):
        made = subprocess.run(["openssl", *command], capture_output=True, check=True).stdout
        home.write("account.key", made)
        said = home.start("--stdio", "--key", home.source).communicate()
        assert said[0].startswith(b"1 OK {"), said


def test_a_key_that_others_may_read(home: Home) -> None:
    home.write("account.key", pem(new_key().private), 0o644)
    assert "account.key: others may read or write it: chmod 600" in home.error("--stdio", "--key", home.source)
    home.write("account.key", b"")
    assert "account.key cannot be used: it is empty" in home.error("--stdio", "--key", home.source)
    (home.path / "account.key").unlink()
    assert "account.key: No such file" in home.error("--stdio", "--key", home.source)
    (home.path / "account.key").mkdir()
    assert "account.key: " in home.error("--stdio", "--key", home.source)


@pytest.mark.parametrize("source", ["unix:/run/x", "ssh:host", "nonsense"])
def test_keys_that_are_elsewhere(home: Home, source: str) -> None:
    """They are for who asks for signatures."""
    said = home.error("--stdio", "--key", source)
    assert f"--key is '{source}'; it must be file:PATH, gpg:PATH or pkcs11:URI" in said
    home.configure(f'[key]\nsource = "{source}"\n')
    assert f"keyd.toml:2: 'source' in [key] is '{source}'" in home.error("--stdio")


def test_the_log_file(home: Home) -> None:
    home.policy()
    home.write("log", "", 0o644)
    assert "log: others may read or write it" in home.error("--stdio")
    (home.path / "log").unlink()
    (home.path / "log").symlink_to("elsewhere")
    assert "log-file" in home.error("--stdio")
    (home.path / "log").unlink()
    sent = line(home.key, b"", f"{CA}/order/1", URI) + b"\r\n"
    said = home.start("--stdio", "--quiet").communicate(sent)
    assert said[0].count(b"\r\n") == 3 and said[1] == b""
    (entry,) = map(json.loads, (home.path / "log").read_text().splitlines())
    assert entry["operation"] == "POST-as-GET"
    assert (home.path / "log").stat().st_mode & 0o777 == 0o600


def test_stdio_with_lacmes_options(home: Home) -> None:
    """lacme gives both of the last where it is told to say more."""
    home.policy()
    config = home.path / "config" / "acmed" / "keyd.toml"
    other = home.write("other.toml", config.read_text())
    said = home.start("--stdio", f"--config={other}", "--quiet", "--debug").communicate()
    assert said[0].count(b"\r\n") == 2 and b"the client has hung up" in said[1]


@pytest.mark.parametrize("words", [["--socket", "x", "--stdio"], ["--nonsense"], ["--sock"], ["--key"], ["extra"]])
def test_the_command_line(home: Home, words: list[str]) -> None:
    assert "usage: acme-keyd" in home.error(*words)


def test_clients(home: Home) -> None:
    text = "".join(f'[client.{name}]\nnames = ["{name}.example.com"]\n' for name in ("one", "two"))
    home.configure(f'[key]\nsource = "{home.source}"\nuri = "https://acme-v02.api.letsencrypt.org/acct/1"\n{text}')
    assert "which client? --client NAME, of one, two" in home.error("--stdio")
    assert "there is no [client.three]; there are: one, two" in home.error("--stdio", "--client", "three")
    for name, signed in (("one", 3), ("two", 2)):
        url = "https://acme-v02.api.letsencrypt.org/new-order"
        sent = line(home.key, order("one.example.com"), url, "https://acme-v02.api.letsencrypt.org/acct/1") + b"\r\n"
        process = home.start("--stdio", "--client", name)
        said, errors = process.communicate(sent)
        assert said.count(b"\r\n") == signed
        assert process.returncode == 0
        assert b"newOrder" in errors


def test_signatures_an_hour_of_one_client(home: Home) -> None:
    """A new connection is no new hour."""
    home.policy("signatures = 1\n")
    sent = line(home.key, b"", f"{CA}/order/1", URI) + b"\r\n"
    for answers in (3, 2):
        assert home.start("--stdio").communicate(sent)[0].count(b"\r\n") == answers


def test_it_does_not_need_a_terminal(home: Home) -> None:
    """Its standard error is gone, as after the terminal was closed; it goes on."""
    home.policy()
    with home.serving() as process, connected(home.address) as client:
        assert process.stderr
        process.stderr.close()
        client.greeting()
        for number in range(3):
            wanted = line(home.key, b"", f"{CA}/order/{number}", URI)
            client.send(wanted + b"\r\n")
            check(home.key, wanted, client.line())
        process.terminate()
        assert process.wait(30) == 0
        process.stderr = None


def test_the_unit_loads_none_of_it() -> None:
    script = "import sys, acmed.keyd.main; print([name for name in sys.modules if 'far' in name or name == 'argparse'])"
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, check=True, cwd=CHECKOUT).stdout == b"[]\n"
