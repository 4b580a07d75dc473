# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does a chain lead to one of the certificates that root trusts?"""

import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509

from acmed import journal
from acmed.verify import links

_MOST_FAULTS = 3  # that a message has


class Untrusted(Exception):
    """It does not; the message says in one line what there is instead."""


def check(certificates: Sequence[x509.Certificate], anchors: Sequence[bytes], now: datetime) -> None:
    """certificates: leaf first, each signed by the next. anchors: DER; any certificate of a CA's may be one, not roots
    alone, and it may have issued any of those in the chain: some CAs send roots, too, signed by other roots. What of
    them cannot be read is as if it were not there. Raises Untrusted.
    """
    trusted = list(_readable(anchors))
    faults = []
    for below, certificate in enumerate(certificates):
        for anchor in trusted:
            if anchor.subject == certificate.issuer:
                fault = _fault(certificate, anchor, below, now)
                if not fault:
                    return
                faults.append(f"{_quoted(anchor.subject)} {fault}")
    if faults:
        raise Untrusted("; ".join(dict.fromkeys(faults[:_MOST_FAULTS])))
    issuers = dict.fromkeys(_quoted(certificate.issuer) for certificate in certificates)
    unread = len(anchors) - len(trusted)
    besides = f" ({unread} of the {len(anchors)} there cannot be read)" if unread else ""
    raise Untrusted(f"it was issued by {', under '.join(issuers)}, and none of these is there{besides}")


def _readable(anchors: Iterable[bytes]) -> Iterable[x509.Certificate]:
    for der in anchors:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old roots have serial numbers that cryptography deplores
            try:
                certificate = x509.load_der_x509_certificate(der)
                _ = certificate.subject
            except Exception:  # cryptography raises a dozen unrelated types for what others have encoded
                continue
        yield certificate


def _fault(certificate: x509.Certificate, anchor: x509.Certificate, below: int, now: datetime) -> str:
    """Why the one cannot be the issuer of the other, although it has its name; empty where it is."""
    try:
        links.check_validity(anchor, now)
        links.check_authority(anchor, below)
        links.check_link(certificate, anchor)
    except links.InvalidChain as error:
        return str(error)
    except Exception as error:  # cryptography raises a dozen unrelated types for what others have encoded
        return f"cannot be read ({type(error).__name__})"
    return ""


def _quoted(name: x509.Name) -> str:
    return f"'{journal.printable(name.rfc4514_string())}'"
