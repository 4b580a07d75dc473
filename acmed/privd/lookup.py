# SPDX-License-Identifier: LGPL-2.1-or-later
"""What callers name, found in the configuration."""

from acmed.config import Account, Certificate, Configuration
from acmed.names import InvalidName, object_name
from acmed.privd.refusal import refusal
from acmed.varlink import invalid_parameter


def checked_name(name: str, parameter: str) -> str:
    """A name that is safe as a file's name. Raises InvalidParameter."""
    try:
        return object_name(name)
    except InvalidName as error:
        raise invalid_parameter(parameter) from error


def certificate(configuration: Configuration, name: str) -> Certificate:
    """Raises NoSuchCertificate, or InvalidConfiguration where its file is broken."""
    if name in configuration.broken:
        problems = "; ".join(map(str, configuration.broken[name]))
        raise refusal("InvalidConfiguration", message=problems)
    if name not in configuration.certificates:
        raise refusal("NoSuchCertificate", certificate=name)
    return configuration.certificates[name]


def account(configuration: Configuration, name: str) -> Account:
    """Raises NoSuchAccount."""
    if name not in configuration.accounts:
        raise refusal("NoSuchAccount", account=name)
    return configuration.accounts[name]


def account_for(configuration: Configuration, known: Certificate, name: str | None) -> Account:
    """The account that a certificate is to come from: the first of its own where none is named. Raises
    InvalidConfiguration or NoSuchAccount.
    """
    if name is not None and name not in known.accounts:
        message = f"{known.path} does not name the account {name!r}; it has: {', '.join(known.accounts)}"
        raise refusal("InvalidConfiguration", message=message)
    return account(configuration, known.account if name is None else name)
