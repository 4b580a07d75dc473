# SPDX-License-Identifier: LGPL-2.1-or-later
"""What argparse cannot say: options that need or exclude each other, by command."""

from argparse import Namespace
from collections.abc import Callable

_Rule = tuple[Callable[[Namespace], bool], str]

RULES: dict[str, tuple[_Rule, ...]] = {
    "account-add": (
        (
            lambda given: (given.eab_key_id is None) != (given.eab_hmac_file is None),
            "--eab-key-id and --eab-hmac-file go together: the CA gave you both",
        ),
    ),
    "account-update": ((lambda given: bool(given.contact) == given.no_contact, "give --contact, or --no-contact"),),
    "order": (
        (
            lambda given: given.csr is not None and bool(given.names or given.name is None),
            "--csr needs --name CERT, and no NAMEs: those of the request are taken",
        ),
        (
            lambda given: given.csr is not None and bool(given.key_type or given.must_staple or given.common_name),
            "--key-type, --must-staple and --common-name are what the request of --csr says",
        ),
        (
            lambda given: not given.names and given.name is None,
            "give the NAMEs to order, or --name CERT for one that is configured",
        ),
    ),
    "renew": (
        (
            lambda given: bool(given.certificates) + given.due + given.all != 1,
            "give certificates, or --due, or --all",
        ),
        (
            lambda given: given.due and (given.force or given.new_key),
            "--force and --new-key go with certificates or --all, not with --due",
        ),
        (
            lambda given: given.force and given.min_days is not None,
            "--force renews at any time, and --min-days at a time that it says: give one of them",
        ),
    ),
    "revoke": (
        (lambda given: (given.certificate is None) == (given.file is None), "give a CERT, or --file PEM"),
        (
            lambda given: given.file is not None and given.certificate_key,
            "--certificate-key goes with a CERT, not with --file",
        ),
        (
            lambda given: given.file is None and given.account is not None,
            "--account goes with --file; a CERT is revoked by the account that it came from",
        ),
    ),
}
