# SPDX-License-Identifier: LGPL-2.1-or-later
"""A token behind a PKCS #11 module (v2.40): finds it, logs in, finds the key, and signs; nothing is written to it.

Runs in a process of its own (tokenworker.py): PyKCS11 holds the interpreter's lock while the module works, and a module
may hang or crash.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import PyKCS11

from acmed.config.pkcs11uri import Pkcs11Uri
from acmed.config.words import listed, quoted
from acmed.store.opened import Unavailable
from acmed.store.tokenpin import NotTried, PinMissing, PinRefused, RefusedPin, refused_pin

_IDENTITY = ("manufacturer", "model", "serial")

_REFUSED = (
    PyKCS11.CKR_PIN_INCORRECT,
    PyKCS11.CKR_PIN_INVALID,
    PyKCS11.CKR_PIN_LEN_RANGE,
    PyKCS11.CKR_PIN_EXPIRED,
    PyKCS11.CKR_PIN_LOCKED,
)

# By PKCS #11 v2.40 (section 5.1) these are of what was so before the call, so that the token has not seen the PIN. Any
# other error may have come after it, as CKR_DEVICE_REMOVED or CKR_FUNCTION_FAILED.
_NOT_TRIED = (
    PyKCS11.CKR_ARGUMENTS_BAD,
    PyKCS11.CKR_CRYPTOKI_NOT_INITIALIZED,
    PyKCS11.CKR_OPERATION_NOT_INITIALIZED,
    PyKCS11.CKR_SESSION_HANDLE_INVALID,
    PyKCS11.CKR_TOKEN_NOT_PRESENT,
    PyKCS11.CKR_USER_ALREADY_LOGGED_IN,
    PyKCS11.CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
    PyKCS11.CKR_USER_PIN_NOT_INITIALIZED,
    PyKCS11.CKR_USER_TOO_MANY_TYPES,
    PyKCS11.CKR_USER_TYPE_INVALID,
)

# SoftHSM, for one, has no token where it may not read its directory.
_SANDBOX = "what it needs may be closed to acme-store-pkcs11.service, see acme-keyd(8)"

# Where modules are that are given by their name; Debian's packages have them in these.
_DIRECTORIES = ("/usr/lib/pkcs11", "/usr/lib/*/pkcs11", "/usr/lib/softhsm", "/usr/lib", "/usr/lib/*")


class Slot(NamedTuple):
    """A token in its slot. attributes: by their names in RFC 7512."""

    number: int
    attributes: dict[str, str]
    flags: int

    def __str__(self) -> str:
        return f"{quoted(self.attributes['token'])} (serial {quoted(self.attributes['serial'])})"


@dataclass
class Token:
    """A session with a token, logged in where it wants that. pin: kept for keys that want it for each signature, and
    refused_to_sign has it when the token refuses it then.
    """

    session: Any
    slot: Slot
    pin: bytes | None
    refused_to_sign: RefusedPin | None


def load(module: str) -> Any:
    """Loads and initialises a module. Raises Unavailable."""
    path = _path(module)
    library = PyKCS11.PyKCS11Lib()
    try:
        library.load(str(path))
    except PyKCS11.PyKCS11Error as error:
        if error.value >= 0:
            raise Unavailable(f"{path} cannot be initialised: {error}; {_SANDBOX}") from error
        raise Unavailable(
            f"{path} is no PKCS #11 module, or may not be executed, which a unit's ExecPaths= has to allow outside of "
            "/usr/lib"
        ) from error
    return library


def _path(module: str) -> Path:
    if module.startswith("/"):
        found = [Path(module)]
    else:
        names = (f"lib{module}.so", f"{module}.so")
        found = [path for place in _DIRECTORIES for name in names for path in Path("/").glob(f"{place[1:]}/{name}")]
    try:
        with found[0].open("rb"):
            return found[0]
    except OSError as error:
        raise Unavailable(f"the module {module} cannot be read: {error.strerror}") from error
    except IndexError:
        raise Unavailable(f"there is no module {module} in {listed(_DIRECTORIES)}: use module-path") from None


def find(library: Any, uri: Pkcs11Uri) -> Slot:
    """The one token that it means. Raises Unavailable."""
    try:
        slots = list(_slots(library))
    except PyKCS11.PyKCS11Error as error:
        raise Unavailable(f"{uri.module} does not list its tokens: {error}") from error
    matching = [slot for slot in slots if uri.place.items() <= slot.attributes.items()]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise Unavailable(f"several tokens match, {listed(sorted(map(str, matching)))}: add serial to the URI")
    others = listed(sorted(map(str, slots)), f"none; {_SANDBOX}")
    raise Unavailable(f"there is no such token; {uri.module} has {others}")


def _slots(library: Any) -> Iterator[Slot]:
    about = library.getInfo()
    for number in library.getSlotList(tokenPresent=True):
        try:
            slot, token = library.getSlotInfo(number), library.getTokenInfo(number)
        except PyKCS11.PyKCS11Error:
            continue  # pulled just now, or nothing that the module knows
        if not token.flags & PyKCS11.CKF_TOKEN_INITIALIZED:
            continue
        major, minor = about.libraryVersion
        attributes = {
            "token": token.label,
            "manufacturer": token.manufacturerID,
            "model": token.model,
            "serial": token.serialNumber,
            "slot-id": str(number),
            "slot-description": slot.slotDescription,
            "slot-manufacturer": slot.manufacturerID,
            "library-manufacturer": about.manufacturerID,
            "library-description": about.libraryDescription,
            "library-version": f"{major}.{minor}",
        }
        # They are padded with blanks; some modules do so with NUL.
        yield Slot(number, {name: text.rstrip(" \0") for name, text in attributes.items()}, token.flags)


def open_session(library: Any, slot: Slot, pin: bytes | None, runtime: Path | None) -> Token:
    """A session of this slot, for reading. runtime: where the PIN that it refuses is kept.

    Raises Unavailable, PinRefused without asking the token where it has refused this PIN before.
    """
    identity = [slot.attributes[name] for name in _IDENTITY]
    refused = refused_pin(runtime, str(slot), *identity) if runtime else None
    # Apart, as the token may take a PIN for its user, and refuse it for a signature.
    refused_to_sign = refused_pin(runtime, str(slot), *identity, "sign") if runtime else None
    try:
        token = Token(library.openSession(slot.number), slot, pin, refused_to_sign)
    except PyKCS11.PyKCS11Error as error:
        raise Unavailable(f"the token {slot} does not open: {error}") from error
    if pin is not None:
        if refused_to_sign:
            refused_to_sign.check(pin)
        log_in(token, pin, PyKCS11.CKU_USER, refused)
    elif slot.flags & PyKCS11.CKF_LOGIN_REQUIRED:
        raise PinMissing(f"the token {slot} wants a PIN")
    return token


def log_in(token: Token, pin: bytes, user: int, refused: RefusedPin | None) -> None:
    """user: CKU_USER, or CKU_CONTEXT_SPECIFIC. Raises Unavailable, PinRefused where this may have been a wrong try."""
    with refused.tried(pin) if refused else nullcontext():
        if user == PyKCS11.CKU_USER:
            _check_tries(token.slot)
        try:
            token.session.login(pin, user)
        except PyKCS11.PyKCS11Error as error:
            if error.value in _NOT_TRIED:
                raise NotTried(f"the token {token.slot} lets nobody log in: {error}") from error
            how = "refuses" if error.value in _REFUSED else "fails at, and may have counted as wrong,"
            raise PinRefused(f"the token {token.slot} {how} the PIN: {error}; it is not tried again") from error


def _check_tries(slot: Slot) -> None:
    if slot.flags & PyKCS11.CKF_USER_PIN_LOCKED:
        raise NotTried(f"the PIN of the token {slot} is locked, after too many that were wrong")
    if slot.flags & PyKCS11.CKF_USER_PIN_FINAL_TRY:
        raise NotTried(
            f"the token {slot} takes one wrong PIN more before it locks, so none is tried; log in once by hand, as "
            "with pkcs11-tool --login"
        )
