# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an order comes to: the settings of a certificate as they are to be, and whether its file has to be written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acmed.config import Certificate
from acmed.config.model import ChallengeType
from acmed.manager import errors, options
from acmed.manager.errors import Failure
from acmed.manager.requests.desk import Desk, listed
from acmed.names import Identifier

# The options of Order, which are keys of acmed.toml(5). A CSR says some of it by itself.
OPTIONS = {
    "account": "s",
    "failover": "as",
    "key-type": "s",
    "services": "as",
    "challenge": "s",
    "profile": "s",
    "must-staple": "b",
    "common-name": "s",
    "preferred-chain": "s",
    "validity-days": "u",
    "backdate-hours": "u",
}
CSR_OPTIONS = {key: kind for key, kind in OPTIONS.items() if key not in ("key-type", "must-staple", "common-name")}

Values = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """values: by option, what is to stand in the certificate's file; one that is missing or None is left to [defaults].

    configure: the file is to be written; replace: there is one, which says otherwise. csr: base64 DER, "" for none.
    """

    name: str
    identifiers: tuple[Identifier, ...]
    values: Values
    configure: bool
    replace: bool = False
    csr: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """As org.acmed.Priv has them."""
        return {_camel(key): self.values.get(key) for key in OPTIONS} | {"csr": self.csr or None}

    @property
    def details(self) -> dict[str, str]:
        """For polkit."""
        values = self.values
        services = {"services": listed(values["services"])} if values.get("services") is not None else {}
        return services | {
            "certificate": self.name,
            "identifiers": listed(self.identifiers),
            "account": listed([values["account"], *(values.get("failover") or ())]),
            "key_type": values.get("key-type") or "",
            "profile": values.get("profile") or "",
        }


def checked(desk: Desk, values: Values) -> Values:
    """The options as callers gave them. An empty string stands for nothing. Raises DBusError."""
    configuration = desk.catalogue.configuration
    for service in values.get("services", []):
        if service not in configuration.services:
            raise options.unknown_service(service, configuration.services)
    for account in filter(None, [values.get("account"), *values.get("failover", [])]):
        desk.account(account)
    if values.get("key-type"):
        options.key_type(values["key-type"])
    if values.get("challenge"):
        options.challenge(values["challenge"])
    if values.get("common-name"):
        (values["common-name"],) = map(str, options.identifiers([values["common-name"]]))
    for key in ("profile", "preferred-chain"):
        options.line(key, values.get(key, ""))
    if values.get("validity-days") == 0:
        raise options.invalid("validity-days: a certificate is to live for a day at least")
    if values.get("backdate-hours") == 0:
        raise options.invalid("backdate-hours: a certificate is to be put back by an hour at least")
    return {key: None if value == "" else value for key, value in values.items()}


def together(name: str, identifiers: tuple[Identifier, ...], values: Values, **more: Any) -> Plan:
    """The plan for these. Raises DBusError where they do not go together."""
    common = values.get("common-name")
    if common and common not in map(str, identifiers):
        raise options.invalid(f"common-name: '{common}' is not one of the identifiers")
    accounts = [values["account"], *(values.get("failover") or ())]
    for account in accounts:
        if accounts.count(account) > 1:
            raise options.invalid(f"failover: account '{account}' is tried already")
    return Plan(name, identifiers, values, **more)


def configured(certificate: Certificate) -> Values:
    """The settings of a certificate that there is, but for what its CSR says."""
    values = {
        "account": certificate.account,
        "failover": list(certificate.failover),
        "key-type": certificate.key_type.value,
        "services": list(certificate.services),
        "challenge": _word(certificate.challenge),
        "profile": certificate.profile,
        "must-staple": certificate.must_staple,
        "common-name": certificate.common_name,
        "preferred-chain": certificate.preferred_chain,
        "validity-days": certificate.validity_days,
        "backdate-hours": certificate.backdate_hours,
    }
    return {key: value for key, value in values.items() if not certificate.csr or key in CSR_OPTIONS}


def same_names(certificate: Certificate, identifiers: tuple[Identifier, ...]) -> None:
    """Raises Failure CertificateExists where they are others."""
    if set(identifiers) != set(certificate.identifiers):
        raise Failure(
            errors.CERTIFICATE_EXISTS,
            f"'{certificate.name}' is configured for other identifiers: change {certificate.path}, or give another "
            "name",
        )


def given(desk: Desk, values: Mapping[str, Any]) -> Values:
    """The settings of a certificate that is new."""
    return {**values, "account": desk.account(values.get("account")).name}


def _word(challenge: ChallengeType | None) -> str | None:
    return challenge.value if challenge else None


def _camel(key: str) -> str:
    first, *others = key.split("-")
    return first + "".join(map(str.capitalize, others))
