# SPDX-License-Identifier: LGPL-2.1-or-later
"""The errors of org.acmed1, and those of the other daemons as such. org.acmed1(5) lists them."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from acmed import journal, varlink
from acmed.bus import DBusError
from acmed.manager import advice, clock
from acmed.varlink import VarlinkError
from acmed.varlink.idl import TypeMismatch

_OWN = "org.acmed1.Error."
ACCOUNT_EXISTS = _OWN + "AccountExists"
BUSY = _OWN + "Busy"
CERTIFICATE_EXISTS = _OWN + "CertificateExists"
CHALLENGE_UNAVAILABLE = _OWN + "ChallengeUnavailable"
HOOK_FAILED = _OWN + "HookFailed"
INSTALL_FAILED = _OWN + "InstallFailed"
INVALID_CONFIGURATION = _OWN + "InvalidConfiguration"
INVALID_NAME = _OWN + "InvalidName"
KEY_UNAVAILABLE = _OWN + "KeyUnavailable"
NO_SUCH_ACCOUNT = _OWN + "NoSuchAccount"
NO_SUCH_CERTIFICATE = _OWN + "NoSuchCertificate"
NO_SUCH_JOB = _OWN + "NoSuchJob"
NOT_DUE = _OWN + "NotDue"
NOT_ISSUED = _OWN + "NotIssued"
POLICY_VIOLATION = _OWN + "PolicyViolation"
PREFLIGHT_FAILED = _OWN + "PreflightFailed"
RATE_LIMITED = _OWN + "RateLimited"
TERMS_NOT_AGREED = _OWN + "TermsNotAgreed"
TIMED_OUT = _OWN + "TimedOut"
UNAVAILABLE = _OWN + "Unavailable"
UNREACHABLE = _OWN + "Unreachable"
_ACME = "org.acmed1.AcmeError."
UNTYPED = _ACME + "unknown"  # may be the page of somebody in between
UNKNOWN_TO_CA = _ACME + "accountDoesNotExist"
# What a CA says to a key of a type that it does not take (RFC 8555 section 6.2).
KEY_REFUSED = (_ACME + "badPublicKey", _ACME + "badSignatureAlgorithm")
ALREADY_REVOKED = _ACME + "alreadyRevoked"

# What a CA says is cut to this length (characters): it ends in a property and in the journal. An order has 100 names,
# and each may have failed.
_LONGEST = 16_000
# Rate limits are counted over weeks at most (seconds).
_LONGEST_WAIT = 30 * 24 * 3600
_REQUEST_TIMEOUT = 408  # the word of somebody in between, who does not know what the CA does


class Failure(DBusError):
    """Why a step failed.

    retry_after: seconds that the CA asks to wait, or None. of_ca: it is the CA's own, so that another one may do it.
    lost: the CA's order cannot become valid any more. refused: the CA said no to the request, or was not sent it, so
    that it has done nothing. unsent: the latter. identifiers: those that the CA says it is about.
    """

    def __init__(
        self,
        name: str,
        message: str,
        retry_after: int | None = None,
        *,
        of_ca: bool = False,
        lost: bool = False,
        refused: bool = False,
        unsent: bool = False,
        identifiers: Iterable[str] = (),
    ) -> None:
        super().__init__(name, journal.printable(message)[:_LONGEST])
        self.retry_after = retry_after
        self.of_ca = of_ca or name == RATE_LIMITED
        self.lost = lost
        self.refused = refused
        self.unsent = unsent
        self.identifiers = tuple(identifiers)

    @property
    def result(self) -> str:
        """What JobRemoved says of a job that ends with it."""
        return "timeout" if self.name == TIMED_OUT else "failed"


class ChainRefused(Failure):
    """What the CA issued cannot be installed, now or later."""

    def __init__(self, message: str) -> None:
        super().__init__(INSTALL_FAILED, message)


class NextKeyRefused(Failure):
    """The CA does not take the key that was to follow an account's, and the account keeps its own."""


class DeliveryFailed(Failure):
    """The certificate is installed, and a service has not got it."""

    def __init__(self, message: str) -> None:
        super().__init__(INSTALL_FAILED, message)


def from_varlink(daemon: str, error: VarlinkError) -> Failure:
    """An error that a daemon answered with."""
    interface, _, kind = error.name.rpartition(".")
    if interface in INTERFACES and _is_declared(interface, kind, error.parameters):
        if kind == "Acme":
            return _acme(error.parameters)
        if kind == "NextKeyRefused":
            return _next_key_refused(error.parameters)
        name, describe = _TRANSLATIONS[kind]
        if kind == "InvalidChain":
            return ChainRefused(describe(error.parameters))
        retry_after, words = _wait(error.parameters)
        message = describe(error.parameters) + words
        unsent = kind in _UNSENT or bool(error.parameters.get("unsent"))
        return Failure(name, message, retry_after, of_ca=kind in _OF_CA, refused=unsent, unsent=unsent)
    return Failure(UNAVAILABLE, f"{daemon} failed ({error.name}); see 'journalctl -u {daemon}.service'")


def _is_declared(interface: str, kind: str, parameters: dict[str, Any]) -> bool:
    """acme-clientd and acme-dnsd read what the network sends: they are believed as far as their interfaces go."""
    declared = varlink.load(interface)
    try:
        declared.check(parameters, declared.errors[kind])
    except (KeyError, TypeMismatch):
        return False
    return True


INTERFACES = ("org.acmed.Priv", "org.acmed.Client", "org.acmed.DNS")
_OF_CA = ("Unreachable", "TimedOut")
_UNSENT = ("NoSuchAccount", "KeyUnavailable", "NotPermitted")  # no request is sent without a signature
# By the last part of the error's name: the interfaces use a name for one thing only.
_TRANSLATIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "NoSuchCertificate": (NO_SUCH_CERTIFICATE, lambda it: f"There is no certificate '{it['certificate']}'"),
    "NoSuchAccount": (NO_SUCH_ACCOUNT, lambda it: f"There is no account '{it['account']}' in the configuration"),
    "CertificateExists": (CERTIFICATE_EXISTS, lambda it: f"There is a certificate '{it['certificate']}' already"),
    "AccountExists": (
        ACCOUNT_EXISTS,
        lambda it: f"Account '{it['account']}' has another key already, which is not overwritten: take another name",
    ),
    "InvalidConfiguration": (INVALID_CONFIGURATION, lambda it: it["message"]),
    "NotIssued": (NOT_ISSUED, lambda it: f"Nothing is installed as '{it['certificate']}'"),
    "InvalidChain": (INSTALL_FAILED, lambda it: f"The CA's answer was refused, nothing was changed: {it['message']}"),
    "NoSuchRequest": (
        INSTALL_FAILED,
        lambda it: f"The configuration of '{it['certificate']}' was changed while it was ordered; order it again",
    ),
    "InstallFailed": (INSTALL_FAILED, lambda it: it["message"]),
    "ChallengeUnavailable": (CHALLENGE_UNAVAILABLE, lambda it: it["message"]),
    "HookFailed": (HOOK_FAILED, lambda it: it["message"]),
    "NotConfigured": (
        INVALID_CONFIGURATION,
        lambda it: (
            f"acme-dnsd sets no record for {it['identifier']}: no configured certificate has that name, and no "
            "account's authorize ="
        ),
    ),
    "LookupFailed": (CHALLENGE_UNAVAILABLE, lambda it: f"{it['name']}: {it['message']}"),
    "UpdateFailed": (CHALLENGE_UNAVAILABLE, lambda it: it["message"]),
    "NotPropagated": (
        CHALLENGE_UNAVAILABLE,
        lambda it: f"{it['name']} is not seen by all name servers: {it['message']}",
    ),
    "KeyUnavailable": (KEY_UNAVAILABLE, lambda it: f"The key of account '{it['account']}': {it['reason']}"),
    "NotPermitted": (
        POLICY_VIOLATION,
        lambda it: f"acme-keyd refused to sign for account '{it['account']}': it would have needed {it['rule']}",
    ),
    "Unreachable": (UNREACHABLE, lambda it: f"{it['url']}: {it['message']}"),
    "TimedOut": (TIMED_OUT, lambda it: f"The CA was not done in time ({it['step']}): {it['message']}"),
}


def _acme(parameters: dict[str, Any]) -> Failure:
    """org.acmed.Client.Acme, whose texts come from the CA."""
    kind, status, problems = _kind(parameters), parameters["status"], parameters["subproblems"]
    message = parameters["detail"] or f"The CA refused with HTTP {status}"
    for problem in problems:
        if problem["detail"] in message:
            continue  # acme-clientd has put it together from these
        about = problem["identifier"]["value"] if problem.get("identifier") else "the order"
        message += f"; {about}: {problem['detail']} ({problem['type']})"
    retry_after, words = _wait(parameters)
    message += words
    # Where no name is told, "unauthorized" is about the account, and not about what answers for a name.
    about_names = kind != "unauthorized" or parameters["final"] or problems
    kinds = [*([kind] if about_names else []), *(problem["type"] for problem in problems)]
    if hint := advice.to_do(kinds, parameters["detail"]):
        message += f". To do: {hint}"
    unsent = bool(parameters.get("unsent")) and not parameters["final"]
    return Failure(
        f"{_ACME}{kind}",
        message,
        retry_after,
        of_ca=kind in ("badNonce", "rateLimited", "serverInternal") or status >= 500,
        lost=parameters["final"],
        refused=unsent or (not parameters["final"] and _is_refusal(status)),
        unsent=unsent,
        identifiers=[problem["identifier"]["value"] for problem in problems if problem.get("identifier")],
    )


def _is_refusal(status: int) -> bool:
    """As acmed.clientd.errors.AcmeError.is_refusal; 0 is what acme-clientd knew without asking."""
    return status == 0 or (400 <= status < 500 and status != _REQUEST_TIMEOUT)


def _next_key_refused(parameters: dict[str, Any]) -> NextKeyRefused:
    kind, detail = _kind(parameters), parameters["detail"]
    said = detail or f"The CA refused with HTTP {parameters['status']}"
    message = f"{said}; the account keeps the key that it has. To do: {advice.about_next_key(kind, detail)}"
    return NextKeyRefused(f"{_ACME}{kind}", message)


def _kind(parameters: dict[str, Any]) -> str:
    """The last part of the CA's type of error, as an error of D-Bus may have it."""
    kind: str = parameters["type"]
    return kind if re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,99}", kind) else UNTYPED.removeprefix(_ACME)


def _wait(parameters: dict[str, Any]) -> tuple[int | None, str]:
    """The seconds that the CA asks to wait, or None, and what is said of that."""
    asked = parameters.get("retryAfter")
    if asked is None:
        return None, ""
    seconds = min(max(asked, 0), _LONGEST_WAIT)
    return seconds, f"; not before {clock.text(clock.now() + seconds * clock.SECOND)}"
