# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys that were sealed with a TPM outlive a change of what boots, or of what is known of Secure Boot. The TPM is one
in software (swtpm, and libtss2-tcti-swtpm0 for systemd-creds); it is told what a boot would have told it.
"""

import ctypes
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acmed.privd.accounts import creds
from tests.unit.privd import starter

SECRET = b"a secret"
# TPM 2.0 Library, part 3: TPM2_Shutdown(CLEAR), without which swtpm counts a wrong try, and TPM2_PCR_Extend by an empty
# password session with one SHA-256 digest.
SHUTDOWN = bytes.fromhex("80010000000c000001450000")
SESSION = struct.pack(">IHBH", 0x40000009, 0, 0, 0)
BEFORE_SYSTEM_RUNS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14)


def _is_there() -> bool:
    try:
        ctypes.CDLL("libtss2-tcti-swtpm.so.0")
    except OSError:
        return False
    return all(map(shutil.which, ("swtpm", "systemd-creds")))


pytestmark = pytest.mark.skipif(not _is_there(), reason="no TPM in software here")


def extend(number: int) -> bytes:
    body = struct.pack(">II", number, len(SESSION)) + SESSION + struct.pack(">IH", 1, 0x000B) + b"\x42" * 32
    return struct.pack(">HII", 0x8002, 10 + len(body), 0x182) + body


def tell(at: Path, command: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(at))
        peer.sendall(command)
        assert struct.unpack(">HII", peer.recv(10))[2] == 0


def listens(at: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as peer:
        return peer.connect_ex(str(at)) == 0


@contextmanager
def booted(place: Path, measured: tuple[int, ...]) -> Iterator[None]:
    """A TPM that has just been started, and whose registers of these numbers were extended."""
    state, at = place / "tpm", place / "tpm.sock"
    state.mkdir(exist_ok=True)
    ends = [f"type=unixio,path={path}" for path in (at, f"{at}.ctrl")]  # systemd-creds adds .ctrl, too
    words = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", ends[0], "--ctrl", ends[1]]
    with subprocess.Popen([*words, "--flags", "not-need-init,startup-clear"]) as program:
        try:
            while not listens(at) or not listens(Path(f"{at}.ctrl")):
                assert program.poll() is None
                time.sleep(0.01)
            for number in measured:
                tell(at, extend(number))
            yield
            tell(at, SHUTDOWN)
        finally:
            program.kill()
    at.unlink(missing_ok=True)


def test_what_is_sealed_with_a_tpm_is_opened_when_other_things_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter.install(monkeypatch, tmp_path)
    program = tmp_path / "program"
    tpm = f"--with-key=tpm2 --tpm2-device=swtpm:path={tmp_path}/tpm.sock"
    program.write_text(f'#!/bin/sh\nverb=$1\nshift\nexec systemd-creds "$verb" {tpm} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(creds, "_PROGRAM", str(program))
    with booted(tmp_path, BEFORE_SYSTEM_RUNS):
        sealed = creds.run("encrypt", "account_main", SECRET)
    assert sealed.failure == "", sealed.said
    with booted(tmp_path, BEFORE_SYSTEM_RUNS * 2):
        opened = creds.run("decrypt", "account_main", sealed.output)
    assert opened.output == SECRET, opened.said
