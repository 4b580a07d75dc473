# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key of an acme-keyd that somebody starts: encrypted, under gpg, on a token; and the terminal that is asked."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.unit.keyd.far import anybody
from tests.unit.keyd.far.rig import CHECKOUT, Home
from tests.unit.keyd.rig import pem

SECRET = "open sesame"
needs_gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="no gpg here; the machines have it")


def encrypt(home: Home, form: PrivateFormat = PrivateFormat.PKCS8) -> None:
    assert isinstance(home.key.private, ec.EllipticCurvePrivateKey)
    encryption = BestAvailableEncryption(SECRET.encode())
    home.write("account.key", home.key.private.private_bytes(Encoding.PEM, form, encryption))


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_passphrase_file(home: Home, form: PrivateFormat) -> None:
    encrypt(home, form)
    home.policy()
    said = home.error("--stdio")
    assert "account.key needs a passphrase: there is no terminal to ask for it, so give passphrase-file" in said
    home.configure(f'[key]\nsource = "{home.source}"\npassphrase-file = "%h/passphrase"\n')
    home.write("passphrase", f"{SECRET}\n")
    home.greets()
    home.write("passphrase", "wrong")
    said = home.error("--stdio")
    assert "is not encrypted PEM of this passphrase" in said
    assert "wrong" not in said
    home.write("passphrase", f"{SECRET}\n", 0o640)
    assert "passphrase: others may read" in home.error("--stdio")


def test_a_key_that_needs_none(home: Home) -> None:
    home.write("passphrase", SECRET)
    home.configure(f'[key]\nsource = "{home.source}"\npassphrase-file = "%h/passphrase"\n')
    home.greets()


def at_a_terminal(home: Home, *words: str, types: str) -> str:
    """What is to be seen at the terminal at which somebody types this when it is silent; the program's input and output
    are others.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs the tests in the background may have it ignored
        environment = {"HOME": str(home.path), "PYTHONPATH": str(CHECKOUT), "PATH": os.environ["PATH"]}
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(home.path / "output", os.O_WRONLY | os.O_CREAT), 1)
        os.execve(sys.executable, [sys.executable, "-m", anybody.__name__, *words], environment)
    seen = b""
    try:
        while select.select([terminal], [], [], 60)[0]:
            piece = os.read(terminal, 1024)
            seen += piece
            if types and b": " in seen and not termios.tcgetattr(terminal)[3] & termios.ECHO:
                os.write(terminal, types.encode())
                types = ""
    except OSError:  # it is closed
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    return seen.decode()


def test_the_terminal_is_asked(home: Home) -> None:
    """By --stdio too, whose input is its client's."""
    encrypt(home)
    words = ["--stdio", "--quiet", "--key", home.source]
    seen = at_a_terminal(home, *words, types=f"{SECRET}\n")
    assert f"The passphrase of {home.path}/account.key: " in seen
    assert SECRET not in seen
    assert home.key.jwk["x"] in (home.path / "output").read_text()
    assert "is not encrypted PEM of this passphrase" in at_a_terminal(home, *words, types="wrong\n")
    assert "needs a passphrase, and none was given" in at_a_terminal(home, *words, types="\x04")
    seen = at_a_terminal(home, *words, types="\x03")
    assert "Traceback" not in seen


@pytest.fixture
def gnupg(home: Home) -> Iterator[str]:
    """A home of gpg's, with a short path, and the account's key encrypted with a passphrase."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        (Path(directory) / "gpg-agent.conf").write_text("s2k-count 65536\n")
        options = ["--homedir", directory, "--batch", "--pinentry-mode", "loopback", "--passphrase", SECRET]
        content = pem(home.key.private)
        subprocess.run(["gpg", *options, "--symmetric", "-o", home.path / "account.gpg"], input=content, check=True)
        kill = ["gpgconf", "--homedir", directory, "--kill", "all"]
        subprocess.run(kill, check=True)
        yield directory
        subprocess.run(kill, check=True)


@needs_gpg
def test_gpg(home: Home, gnupg: str) -> None:
    """With a passphrase from a file; a relative path is one below the current directory."""
    home.write("passphrase", SECRET)
    source = '[key]\nsource = "gpg:%h/account.gpg"\n'
    home.configure(f'{source}passphrase-file = "%h/passphrase"\n')
    home.greets(GNUPGHOME=gnupg)
    home.write("passphrase", "wrong")
    subprocess.run(["gpgconf", "--homedir", gnupg, "--kill", "all"], check=True)
    said = home.error("--stdio", GNUPGHOME=gnupg)
    assert "account.gpg cannot be used: gpg ended with status 2: gpg: decryption failed" in said
    home.configure(f'{source}key-command = ["gpg", "--homedir", "{gnupg}/none"]\n')
    assert "account.gpg cannot be used: gpg ended with status 2: " in home.error("--stdio", GNUPGHOME=gnupg)
    assert "account.gpg cannot be used: gpg ended" in home.error("--stdio", "--key", "gpg:account.gpg", GNUPGHOME=gnupg)
    (home.path / "account.gpg").chmod(0o666)
    assert "others may write it" in home.error("--stdio", GNUPGHOME=gnupg)


@needs_gpg
def test_gpg_asks_at_the_terminal(home: Home, gnupg: str) -> None:
    """Its agent's pinentry is told which one."""
    pinentry = home.write("pinentry", PINENTRY, 0o755)
    (Path(gnupg) / "gpg-agent.conf").write_text(f"s2k-count 65536\npinentry-program {pinentry}\n")
    home.configure(f'[key]\nsource = "gpg:%h/account.gpg"\nkey-command = ["gpg", "--quiet", "--homedir", "{gnupg}"]\n')
    at_a_terminal(home, "--stdio", "--quiet", "--config", f"{home.path}/config/acmed/keyd.toml", types="")
    assert home.key.jwk["x"] in (home.path / "output").read_text()
    assert (home.path / "terminal").read_text().startswith("/dev/pts/")


# Assuan, as pinentry(1) speaks it: it knows the passphrase, and writes down where it was to ask for it.
PINENTRY = f"""#!/bin/sh
echo OK
while read -r word rest; do
    case "$word $rest" in
        "OPTION ttyname="*) echo "${{rest#ttyname=}}" >"$(dirname "$0")/terminal" ;;
        GETPIN*) echo "D {SECRET}" ;;
        GETINFO*) echo "D 0" ;;
        BYE*) echo OK; exit ;;
    esac
    echo OK
done
"""


def test_a_wrong_pin_is_tried_once_by_all_connections(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PyKCS11", reason="tools/setup installs it")
    from tests.unit.store import softhsm  # noqa: PLC0415  it needs PyKCS11

    monkeypatch.setenv("SOFTHSM2_CONF", str(home.path / "softhsm2.conf"))
    hsm = softhsm.new(home.path)
    hsm.key("acme", "P-256")
    home.write("pin", "4321\n")
    source = f"pkcs11:token=acme?module-path={softhsm.MODULE}"
    home.configure(f'[key]\nsource = "{source}"\npin-file = "%h/pin"\n')
    state = {"XDG_STATE_HOME": str(home.path / "lasting"), "SOFTHSM2_CONF": str(hsm.config)}
    assert "refuses the PIN: CKR_PIN_INCORRECT" in home.error("--stdio", **state)
    with hsm.session("acme") as session:
        session.setPin(softhsm.PIN, "4321")
    assert "refused this PIN before" in home.error("--stdio", **state)
    (marker,) = home.path.glob("**/refused-pin-*")
    assert marker.parent.stat().st_mode & 0o777 == 0o700
    marker.unlink()
    said, errors = home.start("--stdio", "--quiet", **state).communicate()
    assert said.startswith(b"1 OK {"), errors
