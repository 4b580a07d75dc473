# SPDX-License-Identifier: LGPL-2.1-or-later
"""What to do after an error: one sentence for each error that has one. What a CA says comes with acmed's own advice.

Whether acmed tries again by itself is not the error's to say: acmed/ctl/outlook.py.
"""

from acmed.ctl.exits import Exit, for_error

_ACME = "org.acmed1.AcmeError."
_OWN = "org.acmed1.Error."
_DBUS = "org.freedesktop.DBus.Error."
_UNREACHABLE = _OWN + "Unreachable"

_ADVICE = {
    _ACME + "alreadyReplaced": "Another order has replaced this certificate already: 'acmectl status CERT'.",
    _ACME + "alreadyRevoked": "Nothing is left to do: it was revoked before.",
    _ACME + "badNonce": "The CA refused its own nonces again and again.",
    _OWN + "RateLimited": "acmed keeps to the CA's limits by itself; the message says until when.",
    _OWN + "TermsNotAgreed": "Read them; then run the same command with --agree-tos.",
    _OWN + "PreflightFailed": "'acmectl check CERT' looks again; preflight = false in its file orders all the same.",
    _OWN + "HookFailed": "The journal of the unit in the message has what the hook wrote.",
    _OWN + "NoSuchCertificate": "'acmectl list' shows the certificates that there are.",
    _OWN + "NoSuchAccount": "'acmectl account list' shows the accounts; 'acmectl account add' makes one.",
    _OWN + "NoSuchJob": "'acmectl jobs' shows the jobs that run.",
    _OWN + "CertificateExists": "'acmectl renew CERT' renews it; --name gives the new one another name.",
    _OWN + "AccountExists": "'acmectl account list' shows the accounts; this one can have another name.",
    _OWN + "Busy": "'acmectl jobs' shows the job that runs; 'acmectl watch' waits for it.",
    _OWN + "NotDue": "'acmectl renew CERT --force' renews it all the same.",
    _OWN + "NotIssued": "'acmectl order --name CERT' orders it.",
    _OWN + "ChallengeUnavailable": "'acmectl check CERT' looks for what is in the way.",
    _OWN
    + "InstallFailed": "What was installed before is as it was. The message says what is in the way, such as a full "
    "disk or a wrong owner; 'acmectl config check' finds it where the configuration is to blame.",
    _OWN + "InvalidConfiguration": "The message says what is wrong; 'acmectl config check' finds it where the text of "
    "the configuration is to blame.",
    _UNREACHABLE: "The CA could not be reached from this host.",
    _OWN + "Unavailable": "'systemctl --failed' and the journal of the unit in the message have more.",
    _OWN
    + "KeyUnavailable": "'systemctl status acme-keyd.service acme-store-*.service' has more about the account's key.",
    _DBUS + "InteractiveAuthorizationRequired": "Run it in a terminal without --no-ask-password, or as root.",
    _DBUS + "AccessDenied": "Run it as root, or have a polkit rule allow it: org.acmed1(5) lists the actions.",
    _DBUS + "UnknownMethod": "acmed and acmectl are of different versions: 'systemctl restart acmed.service'.",
    _DBUS + "ServiceUnknown": "Is acmed installed? 'systemctl status acmed.service' says how it is.",
}
# What a limit is to blame for, and what time alone may mend.
_LIMITS = (_ACME + "rateLimited", _OWN + "RateLimited")
_TRANSIENT = (_ACME + "badNonce", _ACME + "serverInternal", _OWN + "TimedOut", _UNREACHABLE)

# Unreachable is also what time does not mend, in these words of acme-clientd's.
_NO_DIRECTORY = (
    "That is no ACME directory, or no CA any more: 'acmectl account list' shows the URLs that are configured, and the "
    "CA's documentation has the right one."
)
_LASTING = {
    "server's certificate is not trusted": "This host does not trust that server. For a CA of your own, give the "
    "certificates that vouch for it: 'acmectl account add ACCOUNT --ca-file FILE', or ca-file below [account.ACCOUNT].",
    "the CA file ": "Put the CA's certificates (PEM) there, or others elsewhere: "
    "'acmectl account add ACCOUNT --ca-file FILE', or ca-file below [account.ACCOUNT].",
    "answered 404 ": _NO_DIRECTORY,
    "is no JSON object": _NO_DIRECTORY,
    "is no ACME directory": _NO_DIRECTORY,
    "directory of ACME v1": _NO_DIRECTORY,
    "the directory redirects": _NO_DIRECTORY,
}

# The same where no certificate is meant: an account, or names that were to be validated.
_ELSEWHERE = {
    _OWN + "ChallengeUnavailable": "'acmectl config check' looks for what is in the way.",
    _OWN + "InvalidConfiguration": "",
    _OWN + "PreflightFailed": "",
    _UNREACHABLE: "The CA could not be reached from this host. Is that its directory?",
}
_LATER = "Run the same command again later."
_THEN = "Then run the same command again."

UNREVOKED = (
    "Take it as NOT revoked. acmed does not try that again by itself: run the same 'acmectl revoke' again once the "
    "cause is gone."
)


def advice(name: str, certificate: str = "", message: str = "") -> str:
    """What to do after the D-Bus error of this name; empty where nothing is known. certificate stands in for CERT."""
    text = _lasting(name, message) or _ADVICE.get(name, "")
    if not text and for_error(name) is Exit.UNREACHABLE:
        text = "'systemctl status acmed.service' and 'journalctl -u acmed.service' have more."
    return text.replace("CERT", certificate) if certificate else text


def elsewhere(name: str, message: str = "") -> str:
    """As advice(), where what failed is about no certificate, and is never tried again by itself."""
    text = _lasting(name, message)
    if text:
        return f"{text} {_THEN}"
    text = _ELSEWHERE[name] if name in _ELSEWHERE else advice(name)
    return f"{text} {_LATER}".lstrip() if is_transient(name) or is_limit(name) else text


def is_transient(name: str) -> bool:
    """Whether trying again may be all that there is to do."""
    return name in _TRANSIENT


def is_limit(name: str) -> bool:
    """Whether trying again at once leads nowhere."""
    return name in _LIMITS


def _lasting(name: str, message: str) -> str:
    found = [text for words, text in _LASTING.items() if words in message] if name == _UNREACHABLE else []
    return found[0] if found else ""
