# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a server has against an update, as the end of a sentence that begins with the server; and what to do."""

import dns.message
import dns.rcode
import dns.tsig

from acmed.dnsd import tsig


def refusal(answer: dns.message.Message, zone: str, table: str, key: dns.tsig.Key | None) -> str:
    """By the answer's code (RFC 2136 section 2.2); empty where it took the update. table: where its settings are.

    Knot says NOTAUTH, or in older versions BADKEY, where its acl refuses.
    """
    code = answer.rcode()
    if code == dns.rcode.NOERROR:
        if key and not answer.had_tsig:
            return "answers without a signature, so that the answer may be anybody's: something in between changes it"
        return ""
    server = f"set server in {table} to the zone's primary"
    refused = (
        f"its allow-update, update-policy (BIND) or acl (Knot) does not let the key {key.name} do that, if it has it"
        if key
        else f"it does not allow this host's address: set key in {table}, or allow the address there"
    )
    advice = {
        dns.rcode.REFUSED: f"{refused}; or it is not the zone's primary: {server}",
        dns.rcode.NOTAUTH: f"it is not the zone's primary: {server}; or, if it is Knot, {refused}",
        dns.rcode.NOTZONE: f"its zone {zone} is not the one that this host's resolver sees: {server}",
        dns.rcode.SERVFAIL: "see its log; it may not be able to write its zone file or its journal",
        dns.rcode.NOTIMP: f"it takes no updates: {server}, or use another method",
    }.get(code, "see its log")
    return f"answers {dns.rcode.to_text(code)}; {advice}"


def key_refusal(error: dns.tsig.PeerError, key: dns.tsig.Key) -> str:
    """By the error in its TSIG record (RFC 8945 section 5.2)."""
    named = f"{key.name} ({tsig.algorithm(key)})"
    match error:
        case dns.tsig.PeerBadKey():
            acl = f"or, if it is Knot, its acl does not let the key {key.name} do that"
            return f"answers BADKEY; it has no key {named}, of that name and algorithm; {acl}"
        case dns.tsig.PeerBadSignature():
            return f"answers BADSIG; its secret of the key {named} is another one: seal the one that it has"
        case dns.tsig.PeerBadTime():
            return "answers BADTIME; its clock and this host's differ by more than 5 minutes: see timedatectl on both"
        case _:
            return f"does not take the signature with key {named}: {error}"
