# SPDX-License-Identifier: LGPL-2.1-or-later
"""What to do after an error: one sentence for each error that has one."""

from acmed.ctl.exits import Exit, for_error

_ACME = "org.acmed1.AcmeError."
_OWN = "org.acmed1.Error."
_DBUS = "org.freedesktop.DBus.Error."
_REACH = (
    "The CA must reach this host under each name: check the A and AAAA records of the name, port 80, "
    "and what forwards it."
)
_LATER = "acmed tries again by itself at the next renewal run; 'acmectl renew CERT --force' tries at once."

_ADVICE = {
    _ACME + "unauthorized": _REACH,
    _ACME + "connection": _REACH,
    _ACME + "incorrectResponse": _REACH,
    _ACME + "dns": "Check that each name has an A or AAAA record in the public DNS, and that its DNSSEC is right.",
    _ACME + "tls": _REACH,
    _ACME + "caa": "A CAA record of the name or of a parent forbids this CA: allow it there, or take another CA.",
    _ACME + "rejectedIdentifier": "This CA does not issue for one of the names; the message says which.",
    _ACME + "unsupportedIdentifier": "This CA does not issue for identifiers of this type; take another CA.",
    _ACME + "rateLimited": "Wait until the time in the message; trying again before only makes it longer.",
    _ACME + "accountDoesNotExist": "The CA does not know the account (any more): run 'acmectl account add' again.",
    _ACME + "externalAccountRequired": "This CA wants an account made at its web site first.",
    _ACME + "userActionRequired": "Open the page that the message names, most often new terms of service.",
    _ACME + "invalidContact": "Give an address that the CA accepts: 'acmectl account add --contact MAIL'.",
    _ACME + "unsupportedContact": "Give a mail address: 'acmectl account add --contact MAIL'.",
    _ACME + "alreadyRevoked": "Nothing is left to do: it was revoked before.",
    _ACME + "badRevocationReason": "Give another --reason; 'superseded' is accepted by most CAs.",
    _ACME + "badPublicKey": "The CA does not accept this key: 'acmectl renew CERT --new-key', or another --key-type.",
    _ACME + "serverInternal": f"The CA has a problem of its own. {_LATER}",
    _ACME + "badNonce": f"The CA refused its own nonces again and again. {_LATER}",
    _OWN + "RateLimited": "Wait until the time in the message; trying again before only makes it longer.",
    _OWN + "NoSuchCertificate": "'acmectl list' shows the certificates that there are.",
    _OWN + "NoSuchAccount": "'acmectl account list' shows the accounts; 'acmectl account add' makes one.",
    _OWN + "NoSuchJob": "'acmectl jobs' shows the jobs that run.",
    _OWN + "CertificateExists": "'acmectl renew CERT' renews it; --name gives the new one another name.",
    _OWN + "Busy": "'acmectl jobs' shows the job that runs; 'acmectl watch' waits for it.",
    _OWN + "NotDue": "'acmectl renew CERT --force' renews it all the same.",
    _OWN + "NotIssued": "'acmectl order --name CERT' orders it.",
    _OWN + "ChallengeUnavailable": "'acmectl config check' looks for what is in the way.",
    _OWN + "InstallFailed": "The certificate before it is still in place. 'acmectl config check' looks for the cause.",
    _OWN + "InvalidConfiguration": "'acmectl config check' says where and what.",
    _OWN + "Unreachable": f"The CA could not be reached from this host. {_LATER}",
    _OWN + "TimedOut": f"The CA was not done in time; the order is kept. {_LATER}",
    _OWN + "Unavailable": "'systemctl --failed' and the journal of the unit in the message have more.",
    _OWN + "KeyUnavailable": "'systemctl status acme-keyd.service' has more about the account's key.",
    _DBUS + "InteractiveAuthorizationRequired": "Run it in a terminal without --no-ask-password, or as root.",
    _DBUS + "AccessDenied": "Run it as root, or have a polkit rule allow it: org.acmed1(5) lists the actions.",
    _DBUS + "UnknownMethod": "acmed and acmectl are of different versions: 'systemctl restart acmed.service'.",
    _DBUS + "ServiceUnknown": "Is acmed installed? 'systemctl status acmed.service' says how it is.",
}


def advice(name: str, certificate: str = "") -> str:
    """What to do after the D-Bus error of this name; empty where nothing is known. certificate stands in for CERT."""
    text = _ADVICE.get(name, "")
    if not text and for_error(name) is Exit.UNREACHABLE:
        text = "'systemctl status acmed.service' and 'journalctl -u acmed.service' have more."
    return text.replace("CERT", certificate) if certificate else text
