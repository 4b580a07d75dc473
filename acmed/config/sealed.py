# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether systemd can open all that is there for a daemon with LoadCredentialEncrypted=. With one that it cannot open
it starts no unit, whether anything needs that one or not: one bad file is the end of all accounts, or of all zones.
"""

import base64
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from acmed import paths
from acmed.config.model import Problem

# Who has the credentials in a directory, and how their names there begin: units/.
_DAEMONS = {
    paths.ACCOUNT_CREDENTIALS: ("acme-keyd.service", "account"),
    paths.NEXT_ACCOUNT_CREDENTIALS: ("acme-keyd.service", "next"),
    paths.BINDING_CREDENTIALS: ("acme-keyd.service", "binding"),
    paths.DNS_CREDENTIALS: ("acme-dnsd.service", "tsig"),
    paths.PASSPHRASE_CREDENTIALS: ("acme-store-file.service and acme-store-gpg.service", "passphrase"),
    paths.PIN_CREDENTIALS: ("acme-store-pkcs11.service", "pin"),
    paths.SSH_KEY_CREDENTIALS: ("acme-store-ssh.service", "sshkey"),
}
_SYSTEMD_CREDS = "systemd-creds"
_TIMEOUT = 30.0  # seconds; a TPM is slow

# The IDs that a credential sealed with a TPM begins with (systemd's creds-util.h), with or without the host's key.
_WITH_TPM = tuple(
    map(
        bytes.fromhex,
        (
            "0c7cc07b117645919c4b0bea08bc20fe",
            "faf7eb9341e3412ca1a436f95a29362f",
            "93a894094874449090caf2fc93cab553",
            "af4950a849134eb1a73846304ff30c05",
        ),
    )
)
_OTHER_NAME = re.compile(r"Embedded credential name '([^']+)' does not match")


def unsealed(directory: Path) -> Iterator[Problem]:
    """What does not even look sealed. directory: /etc/credstore.encrypted, whose directories root alone may see."""
    for file, unit, name in _files(directory):
        if _blob(file) == b"":
            message = f"is not sealed, and keeps {unit} from starting"
            yield Problem(file, 0, message, f"move it away, or seal it: {how_to_seal(name, 'FILE', file)}")


def how_to_seal(name: str, source: str, target: Path) -> str:
    """The command. source: for a shell as it is. With a TPM, systemd-creds (before 258) would bind to what has booted:
    acme-keyd(8).
    """
    return f"systemd-creds encrypt {quote(f'--name={name}')} --tpm2-pcrs=23 {source} {quote(str(target))}"


def undecryptable(directory: Path) -> Iterator[Problem]:
    """What looks sealed and cannot be opened, asked by root. The content goes nowhere. Takes at most 30 s for each."""
    for file, unit, name in _files(directory):
        if not (blob := _blob(file)):
            continue
        try:
            said = _said(file, name)
        except OSError as error:
            message = f"whether what is sealed can be opened is not checked: {_SYSTEMD_CREDS}: {error.strerror}"
            yield Problem(directory, 0, message, note=True)
            return
        except subprocess.TimeoutExpired:
            message = f"whether it can be opened is not checked: {_SYSTEMD_CREDS} was not done within {_TIMEOUT:g} s"
            yield Problem(file, 0, message, note=True)
            continue
        if said:
            yield _problem(file, unit, name, said, with_tpm=blob.startswith(_WITH_TPM))


def _said(file: Path, name: str) -> str:
    """The last words of systemd-creds about a file that it cannot open, or an empty string. Raises OSError or
    subprocess.TimeoutExpired.
    """
    command = [_SYSTEMD_CREDS, "decrypt", f"--name={name}", "--", str(file), "-"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode == 0:
        return ""
    words = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return words or f"systemd-creds ended with {done.returncode}"


def _problem(file: Path, unit: str, name: str, said: str, with_tpm: bool) -> Problem:
    keeps = f"and so it keeps {unit} from starting"
    if other := _OTHER_NAME.search(said):
        message = f"is sealed under the name {other[1]}, where it has to be {name}, {keeps}"
        hint = f"seal it under its name, or move it away:\n{_seal_again(file, other[1], name)}"
        return Problem(file, 0, message, hint)
    away = "else move the file away, and run 'acmectl config check' again: it says how to do without"
    if with_tpm:
        message = f"is sealed with a TPM, and cannot be opened with this host's as it is now, {keeps}: {said}"
        return Problem(file, 0, message, f"is the TPM there, and the one that it was sealed with? {away}")
    message = f"cannot be opened, {keeps}: {said}"
    hint = "where /var/lib/systemd/credential.secret is not the key that it was sealed with, bring that back"
    return Problem(file, 0, message, f"{hint}; {away}")


def _seal_again(file: Path, before: str, name: str) -> str:
    """The command. What it reads may be the only copy, and a shell goes on where the left side of a pipe has failed: so
    it is replaced when the new one can be opened, and has something in it.
    """
    new = file.with_name(f".{file.name}.new")
    old_path, new_path = quote(str(file)), quote(str(new))
    return (
        f"systemd-creds decrypt {quote(f'--name={before}')} {old_path} - | {how_to_seal(name, '-', new)} && "
        f"systemd-creds decrypt {quote(f'--name={name}')} {new_path} - | grep -q '' && mv {new_path} {old_path}"
    )


def _files(directory: Path) -> Iterator[tuple[Path, str, str]]:
    """Each credential, who does not start without it, and the name that it has to be sealed under. Those that begin
    with a dot systemd passes over.
    """
    for path, (unit, kind) in _DAEMONS.items():
        try:
            found = sorted(file for file in (directory / path.name).iterdir() if file.is_file())
        except OSError:  # nothing is there, or credentials.problems() tells
            continue
        for file in found:
            if not file.name.startswith("."):
                yield file, unit, f"{kind}_{file.name}"


def _blob(file: Path) -> bytes | None:
    """What a sealed credential is, without the base64 around it; empty where it is none, None where nobody can tell."""
    try:
        return base64.b64decode(b"".join(file.read_bytes().split()), validate=True)
    except ValueError:
        return b""
    except OSError:
        return None
