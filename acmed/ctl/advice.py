# SPDX-License-Identifier: LGPL-2.1-or-later
"""What to do after an error: one sentence for each error that has one. What a CA says comes with acmed's own advice."""

from acmed.ctl.exits import Exit, for_error

_ACME = "org.acmed1.AcmeError."
_OWN = "org.acmed1.Error."
_DBUS = "org.freedesktop.DBus.Error."
_LATER = "acmed tries again by itself at the next renewal run; 'acmectl renew CERT --force' tries at once."

_ADVICE = {
    _ACME + "alreadyReplaced": "Another order has replaced this certificate already: 'acmectl status CERT'.",
    _ACME + "alreadyRevoked": "Nothing is left to do: it was revoked before.",
    _ACME + "badNonce": f"The CA refused its own nonces again and again. {_LATER}",
    _OWN + "RateLimited": "acmed keeps to the CA's limits by itself, and tries again at the time in the message.",
    _OWN + "TermsNotAgreed": "Read them; then run the same command with --agree-tos.",
    _OWN + "PreflightFailed": "'acmectl check CERT' looks again; preflight = false in its file orders all the same.",
    _OWN + "HookFailed": "The journal of the unit in the message has what the hook wrote.",
    _OWN + "NoSuchCertificate": "'acmectl list' shows the certificates that there are.",
    _OWN + "NoSuchAccount": "'acmectl account list' shows the accounts; 'acmectl account add' makes one.",
    _OWN + "NoSuchJob": "'acmectl jobs' shows the jobs that run.",
    _OWN + "CertificateExists": "'acmectl renew CERT' renews it; --name gives the new one another name.",
    _OWN + "AccountExists": "'acmectl account list' shows the accounts; --name gives this one another name.",
    _OWN + "Busy": "'acmectl jobs' shows the job that runs; 'acmectl watch' waits for it.",
    _OWN + "NotDue": "'acmectl renew CERT --force' renews it all the same.",
    _OWN + "NotIssued": "'acmectl order --name CERT' orders it.",
    _OWN + "ChallengeUnavailable": "'acmectl check CERT' looks for what is in the way.",
    _OWN + "InstallFailed": "What was installed before is as it was. 'acmectl config check' looks for the cause.",
    _OWN + "InvalidConfiguration": "'acmectl config check' says where and what.",
    _OWN + "Unreachable": f"The CA could not be reached from this host. {_LATER}",
    _OWN + "TimedOut": f"What was ordered is kept. {_LATER}",
    _OWN + "Unavailable": "'systemctl --failed' and the journal of the unit in the message have more.",
    _OWN
    + "KeyUnavailable": "'systemctl status acme-keyd.service acme-store-*.service' has more about the account's key.",
    _DBUS + "InteractiveAuthorizationRequired": "Run it in a terminal without --no-ask-password, or as root.",
    _DBUS + "AccessDenied": "Run it as root, or have a polkit rule allow it: org.acmed1(5) lists the actions.",
    _DBUS + "UnknownMethod": "acmed and acmectl are of different versions: 'systemctl restart acmed.service'.",
    _DBUS + "ServiceUnknown": "Is acmed installed? 'systemctl status acmed.service' says how it is.",
}
# The same where no certificate is meant: an account, or names that were to be validated.
_AGAIN = "Run the same command again later."
_ELSEWHERE = {
    _ACME + "badNonce": f"The CA refused its own nonces again and again. {_AGAIN}",
    _OWN + "ChallengeUnavailable": "'acmectl config check' looks for what is in the way.",
    _OWN + "InvalidConfiguration": "",
    _OWN + "PreflightFailed": "",
    _OWN + "TimedOut": _AGAIN,
    _OWN + "Unreachable": f"The CA could not be reached from this host. Is that its directory? {_AGAIN}",
}


def elsewhere(name: str) -> str:
    """As advice(), where what failed is about no certificate."""
    return _ELSEWHERE[name] if name in _ELSEWHERE else advice(name)


def advice(name: str, certificate: str = "") -> str:
    """What to do after the D-Bus error of this name; empty where nothing is known. certificate stands in for CERT."""
    text = _ADVICE.get(name, "")
    if not text and for_error(name) is Exit.UNREACHABLE:
        text = "'systemctl status acmed.service' and 'journalctl -u acmed.service' have more."
    return text.replace("CERT", certificate) if certificate else text
