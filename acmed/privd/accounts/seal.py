# SPDX-License-Identifier: LGPL-2.1-or-later
"""Secrets as credentials (systemd-creds(1)) for acme-keyd. None is ever on a disk, in an argument or in a log without
encryption: it goes to systemd-creds through a socket.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acmed import journal
from acmed.bus import BusLost, DBusError
from acmed.privd import files
from acmed.privd.accounts import creds
from acmed.privd.places import Places
from acmed.privd.refusal import explained, refusal

# What LoadCredentialEncrypted= of acme-keyd.service calls the directories; a blob is good under its own name only.
ACCOUNT, NEXT, BINDING = "account", "next", "binding"

# A credential begins with the ID of what it is sealed with (systemd's creds-util.h). The second of the two with a TPM
# is where signed policies for PCRs are in use.
_HOST, _TPM, _BOTH = "the host's key", "the TPM", "the host's key and the TPM"
_KEYS = {
    "5a1c6a86df9d4096b1d5a65e0862f19a": _HOST,
    "0c7cc07b117645919c4b0bea08bc20fe": _TPM,
    "faf7eb9341e3412ca1a436f95a29362f": _TPM,
    "93a894094874449090caf2fc93cab553": _BOTH,
    "af4950a849134eb1a73846304ff30c05": _BOTH,
}

_REFUSED = "exit status 1"  # of systemd-creds itself; all else ended it before


class SealingFailed(Exception):
    """The message has what systemd-creds said."""


class NotTried(SealingFailed):
    """systemd-creds has not come to say anything: that is nothing against the secret."""


def seal(kind: str, account: str, secret: bytes, credential: Path) -> None:
    """Writes an account's secret, sealed, for acme-keyd. Raises SealingFailed or OSError.

    A blob that cannot be decrypted would keep acme-keyd from starting at all, so it is tried first. The temporary
    file's name begins with a dot: PID 1 does not read it.
    """
    name = _name(kind, account)
    try:
        sealed = _run("encrypt", name, secret)
    except NotTried:
        raise
    except SealingFailed as error:
        raise SealingFailed(f"{error} ({_hint(credential.parent.parent)})") from error
    if unseal(kind, account, sealed) != secret:
        raise SealingFailed("systemd-creds decrypts the sealed secret to something else")
    files.replace(credential, sealed, files.PRIVATE)
    journal.notice("Sealed %s with %s", name, _sealed_with(sealed), account=account)


def unseal(kind: str, account: str, sealed: bytes) -> bytes:
    """The secret in a credential. Raises SealingFailed."""
    return _run("decrypt", _name(kind, account), sealed)


def unreadable(places: Places) -> Iterator[str]:
    """The sealed secrets that cannot be decrypted, each with what is wrong. One is enough that PID 1 does not start
    acme-keyd at all. Ends with the first that could not be tried: it may be good, and each takes its time.
    """
    kinds = ((ACCOUNT, places.credentials), (NEXT, places.next_credentials), (BINDING, places.bindings))
    for kind, directory in kinds:
        for path in sorted(directory.glob("[!.]*")):
            try:
                unseal(kind, path.name, path.read_bytes())
            except (NotTried, OSError):
                return
            except SealingFailed as error:
                yield f"{path} ({error})"


@contextmanager
def errors(account: str) -> Iterator[None]:
    """Makes KeyUnavailable of what goes wrong with a secret."""
    try:
        yield
    except SealingFailed as error:
        raise refusal("KeyUnavailable", account=account, reason=str(error)) from error
    except OSError as error:
        raise refusal("KeyUnavailable", account=account, reason=explained(error)) from error


def _name(kind: str, account: str) -> str:
    """As LoadCredentialEncrypted=KIND:DIRECTORY names the file ACCOUNT in it."""
    return f"{kind}_{account}"


def _hint(sealed: Path) -> str:
    """What to do where nothing can be sealed. acme-credential-key.service asks the same of /etc/credstore.encrypted."""
    if any(sealed.glob("acmed.*/[!.]*")):
        return "is the host's key lost? See CLONES AND RESTORED HOSTS in acmed(8)"
    return "is there a host key? Run: systemd-creds setup"


def _sealed_with(sealed: bytes) -> str:
    """systemd-creds takes the TPM where it finds one, and says nothing where it does not."""
    return _KEYS.get(base64.b64decode(sealed[:24])[:16].hex(), "a key of another kind")


def _run(verb: str, name: str, data: bytes) -> bytes:
    try:
        outcome = creds.run(verb, name, data)
    except (DBusError, BusLost, TimeoutError) as error:
        raise NotTried(f"systemd-creds {verb} could not be run: {str(error) or 'not done in time'}") from error
    if outcome.failure or not outcome.output:
        said = ": ".join(filter(None, [outcome.failure, outcome.said.rpartition("\n")[2]])) or "it said nothing"
        refused = outcome.failure in ("", _REFUSED)
        raise (SealingFailed if refused else NotTried)(f"systemd-creds {verb} failed: {said}")
    for line in outcome.said.splitlines():
        journal.info("systemd-creds %s: %s", verb, line)
    return outcome.output
