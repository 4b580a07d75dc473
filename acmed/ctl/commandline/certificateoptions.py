# SPDX-License-Identifier: LGPL-2.1-or-later
"""The options of the commands about certificates."""

from argparse import ArgumentParser
from pathlib import Path

from acmed.ctl.commandline import arguments
from acmed.ctl.commandline.accountoptions import key_type


def order(parser: ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        type=arguments.identifier,
        help="DNS names and IP addresses; the first names it",
    )
    parser.add_argument(
        "--name",
        metavar="CERT",
        type=arguments.name,
        help="the certificate's name; without NAMEs one that is configured",
    )
    parser.add_argument(
        "--csr", metavar="FILE", type=Path, help="a certificate signing request (PEM or DER) made elsewhere"
    )
    account(parser)
    parser.add_argument(
        "--failover",
        action="append",
        metavar="ACCOUNT",
        type=arguments.name,
        help="the account to try next where its CA fails; may be given more than once",
    )
    key_type(parser, "the type of its key")
    parser.add_argument(
        "--service",
        action="append",
        metavar="NAME",
        type=arguments.name,
        help="a service that uses it, such as nginx; may be given more than once",
    )
    parser.add_argument(
        "--challenge",
        metavar="TYPE",
        choices=arguments.CHALLENGES,
        help=f"how the CA is to validate: {', '.join(arguments.CHALLENGES)}",
    )
    parser.add_argument("--profile", metavar="PROFILE", help="one of the CA's profiles, such as shortlived")
    parser.add_argument("--must-staple", action="store_true", help="with the extension that wants OCSP stapling")
    parser.add_argument("--common-name", metavar="NAME", help="the one of the NAMEs that is the common name too")
    parser.add_argument(
        "--preferred-chain", metavar="CHAIN", help="an issuer's common name, or a SHA-256, where the CA has several"
    )
    parser.add_argument(
        "--validity", metavar="DAYS", type=arguments.days, help="the lifetime to ask for, where a CA allows that"
    )
    parser.add_argument(
        "--backdate",
        metavar="HOURS",
        type=arguments.hours,
        help="how long it is to be valid already, for clients whose clocks are behind, where a CA allows that",
    )


def authorize(parser: ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", type=arguments.identifier, help="DNS names, IP addresses")
    account(parser)


def renew(parser: ArgumentParser) -> None:
    parser.add_argument("certificates", nargs="*", metavar="CERT", type=arguments.name)
    parser.add_argument("--due", action="store_true", help="those whose time has come, silently when there are none")
    parser.add_argument("--all", action="store_true", help="every certificate")
    parser.add_argument("--force", action="store_true", help="also those whose time has not come")
    parser.add_argument("--new-key", action="store_true", help="with a new key, also where reuse-key is set")
    parser.add_argument(
        "--min-days",
        metavar="DAYS",
        type=arguments.days_left,
        help="those with at most so many days left, whatever is configured",
    )


def revoke(parser: ArgumentParser) -> None:
    parser.add_argument("certificate", nargs="?", metavar="CERT", type=arguments.name)
    parser.add_argument("--file", metavar="PEM", type=Path, help="a certificate that need not be managed here")
    account(parser)
    parser.add_argument(
        "--reason",
        metavar="R",
        type=arguments.reason,
        default=0,
        help=f"{', '.join(arguments.REASONS)}, or the number (default: unspecified)",
    )
    parser.add_argument("--no-replace", action="store_true", help="order no other certificate in its place")
    parser.add_argument(
        "--certificate-key", action="store_true", help="sign with the certificate's own key, not the account's"
    )


def dns_show(parser: ArgumentParser) -> None:
    certificate(parser)
    parser.add_argument("--nsupdate", action="store_true", help="as commands for nsupdate(1), not as a zone file")


def certificate(parser: ArgumentParser) -> None:
    """A certificate that is there."""
    parser.add_argument("certificate", metavar="CERT", type=arguments.name)


def account(parser: ArgumentParser) -> None:
    parser.add_argument("--account", metavar="ACCOUNT", type=arguments.name, help="the account (default: the default)")
