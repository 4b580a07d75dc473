# SPDX-License-Identifier: LGPL-2.1-or-later
"""The times, counts and sizes that acme-clientd keeps to; the deadlines are the account's (acmed.config.model)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Times are seconds, sizes bytes."""

    connect: float = 10
    body: int = 192 * 1024  # of any answer; a chain, escaped as JSON, fits into a frame (acmed.varlink.wire)
    threads: int = 32

    nonce_tries: int = 40  # badNonce answers in a row to one request
    backoff: tuple[float, ...] = (0.25, 1, 2.5)  # pauses after lost answers, and after 5xx to what may be repeated
    short_wait: float = 10  # a longer Retry-After of a refusal is the caller's to schedule
    waits: int = 3  # refusals with a short Retry-After that are waited for

    first_poll: float = 0.1  # of a validation: a CA nearby is done by then, as acme-http01 is up before it is told
    first_issuance_poll: float = 0.05
    slowest_poll: float = 5
    polls_at_once: int = 8
    finalize_tries: int = 5  # while the order stays "ready"
    alternates: int = 10  # chains that are looked at

    # Of those whom a certificate names for its revocation.
    ocsp_body: int = 64 * 1024
    crl_body: int = 16 * 1024 * 1024
    ocsp_within: float = 15
    crl_within: float = 60
    standing_threads: int = 4
