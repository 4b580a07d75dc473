# SPDX-License-Identifier: LGPL-2.1-or-later
"""How an order counts at a CA, by the rules that Let's Encrypt has published (letsencrypt.org/docs/rate-limits)."""

from enum import Enum

from acmed.config import Account, Certificate
from acmed.manager.known.catalogue import Catalogue
from acmed.manager.known.status import Status
from acmed.names import Identifier


class Counts(Enum):
    """The limits (acmed.config.model.Limits) that an order comes under, beside failures."""

    AS_NEW = frozenset(("orders", "certificates", "duplicates"))
    # For exactly the names of the certificate that it renews. Let's Encrypt does not count it as an order either; acmed
    # does, so that no loop goes on for ever.
    AS_RENEWAL = frozenset(("orders", "duplicates"))
    # The CA took it as one that replaces another (RFC 9773).
    AS_REPLACEMENT = frozenset[str]()
    # Nothing is issued.
    AS_AUTHORIZATION = frozenset(("orders",))


def expected(catalogue: Catalogue, certificate: Certificate, account: Account) -> Counts:
    """How the next order of a certificate is going to, as far as that is known before."""
    otherwise = without_replaces(catalogue, certificate.name, account, certificate.identifiers)
    status = catalogue.status(certificate.name)
    # A CA that says when to renew (RFC 9773) is told what the next one replaces.
    tells = status.window is not None and status.window.start > 0
    return Counts.AS_REPLACEMENT if tells and _is_of(catalogue, status, account) else otherwise


def without_replaces(catalogue: Catalogue, name: str, account: Account, identifiers: tuple[Identifier, ...]) -> Counts:
    """How an order of a certificate does where the CA is not told what it replaces, or does not take that."""
    status = catalogue.status(name)
    installed = status.installed
    same_names = installed is not None and set(installed.identifiers) == set(map(str, identifiers))
    return Counts.AS_RENEWAL if same_names and _is_of(catalogue, status, account) else Counts.AS_NEW


def _is_of(catalogue: Catalogue, status: Status, account: Account) -> bool:
    """Whether the account's CA has issued what is installed."""
    issuer = catalogue.configuration.accounts.get(status.account)
    known = status.issued.directory if status.issued else ""
    return account.directory == (known or (issuer.directory if issuer else ""))
