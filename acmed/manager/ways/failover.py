# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which of a certificate's accounts is tried, and when the next one is: after a failure that is the CA's own. Where a
CA was asked to issue and has not said how that ended, no other one is: there would be two certificates.
"""

from collections.abc import Sequence
from dataclasses import replace

from acmed import journal
from acmed.config import Certificate
from acmed.manager import clock
from acmed.manager.errors import RATE_LIMITED, Failure
from acmed.manager.known.catalogue import Catalogue

# A CA that has not answered for so long is not waited for any more.
_PATIENCE = clock.DAY


def accounts(catalogue: Catalogue, certificate: Certificate) -> tuple[str, ...]:
    """In the order in which they are tried; the one alone that was asked to issue and is not done."""
    state = catalogue.status(certificate.name).state
    is_new = 0 <= clock.now() - state.unfinished_since < _PATIENCE
    if state.unfinished in certificate.accounts and is_new:
        return (state.unfinished,)
    return certificate.accounts


def unfinished(catalogue: Catalogue, certificate: Certificate, account: str) -> None:
    """An account's CA is asked to issue. Raises Failure."""
    state = catalogue.status(certificate.name).state
    # Where there is no other account, nobody has to know.
    if certificate.failover and state.unfinished != account:
        catalogue.save(certificate.name, replace(state, unfinished=account, unfinished_since=clock.now()))


def finished(catalogue: Catalogue, certificate: Certificate) -> None:
    """It has issued, or will not any more. Where that cannot be written it is logged: the CA will say it again."""
    state = catalogue.status(certificate.name).state
    if not state.unfinished:
        return
    try:
        catalogue.save(certificate.name, replace(state, unfinished="", unfinished_since=0))
    except Failure as failure:
        journal.error("%s", failure.message)


def together(failures: Sequence[tuple[str, Failure]]) -> Failure:
    """One failure for accounts that were tried one after the other. The next attempt may come when any CA lets it. It
    is a limit of acmed's own only where each is: else a CA was asked.
    """
    if len(failures) == 1:
        return failures[0][1]
    names = [failure.name for _, failure in failures if failure.name != RATE_LIMITED] or [RATE_LIMITED]
    waits = [failure.retry_after for _, failure in failures]
    return Failure(
        names[-1],
        "; ".join(f"{account}: {failure.message}" for account, failure in failures),
        None if None in waits else min(wait for wait in waits if wait is not None),
    )
