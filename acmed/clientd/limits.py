# SPDX-License-Identifier: LGPL-2.1-or-later
"""All times, counts and sizes that acme-clientd keeps to, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Times are seconds, sizes bytes."""

    connect: float = 10
    read: float = 60  # between two pieces of an answer; some CAs issue while the finalize request waits
    exchange: float = 120  # a whole answer, however slowly it drips
    body: int = 192 * 1024  # of any answer; a chain, escaped as JSON, fits into a frame (acmed.varlink.wire)
    threads: int = 32

    nonce_tries: int = 40  # badNonce answers in a row to one request
    request: float = 60  # after which a request is not repeated again
    backoff: tuple[float, ...] = (0.25, 1, 2.5)  # pauses after lost answers, and after 5xx to what may be repeated
    short_wait: float = 10  # a longer Retry-After of a refusal is the caller's to schedule
    waits: int = 3  # refusals with a short Retry-After that are waited for

    first_poll: float = 0.1  # of a validation: a CA nearby is done by then, as acme-http01 is up before it is told
    first_issuance_poll: float = 0.05
    slowest_poll: float = 5
    polls_at_once: int = 8
    authorize: float = 300
    finalize: float = 300
    finalize_tries: int = 5  # while the order stays "ready"
