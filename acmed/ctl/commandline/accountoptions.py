# SPDX-License-Identifier: LGPL-2.1-or-later
"""The options of the commands about accounts."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from acmed.ctl.commandline import arguments


def add(parser: ArgumentParser) -> None:
    parser.add_argument(
        "account",
        nargs="?",
        metavar="ACCOUNT",
        type=arguments.name,
        default="default",
        help="its name (default: default)",
    )
    parser.add_argument(
        "--directory",
        metavar="URL",
        type=arguments.directory,
        help=f"the CA's directory: a URL, or {' or '.join(arguments.DIRECTORIES)} (default: as configured)",
    )
    contact(parser, "a mail address for the CA")
    parser.add_argument(
        "--agree-tos",
        action="store_true",
        help="you agree to the CA's terms of service; without it they are shown, and asked about on a terminal",
    )
    parser.add_argument(
        "--ca-file", metavar="FILE", type=Path, help="certificates (PEM) that the CA's HTTPS is checked against"
    )
    parser.add_argument(
        "--eab-key-id", metavar="ID", help="the key id for an external account binding, where the CA wants one"
    )
    parser.add_argument(
        "--eab-hmac-file", metavar="FILE", type=Path, help='a file with its HMAC key (base64url); "-": standard input'
    )
    parser.add_argument(
        "--eab-algorithm",
        choices=arguments.EAB_ALGORITHMS,
        default=arguments.EAB_ALGORITHMS[0],
        metavar="ALG",
        help=f"{', '.join(arguments.EAB_ALGORITHMS)} (default: {arguments.EAB_ALGORITHMS[0]})",
    )
    key_type(parser, "the type of the account's key", arguments.ACCOUNT_KEY_TYPES)


def import_(parser: ArgumentParser) -> None:
    parser.add_argument(
        "path",
        metavar="PATH",
        type=Path,
        help="the key (PEM or JWK), or an account's directory of certbot, lego, acme.sh, acmebot or acmems",
    )
    parser.add_argument(
        "--name",
        metavar="ACCOUNT",
        type=arguments.name,
        default="default",
        help="the name that it gets here (default: default)",
    )
    parser.add_argument(
        "--directory",
        metavar="URL",
        type=arguments.directory,
        help="the CA's directory, where the other client's files do not say it",
    )
    contact(parser, "a mail address for the CA, where the files have none")
    parser.add_argument(
        "--agree-tos",
        action="store_true",
        help="where the CA knows no account by this key, have it make one: you agree to its terms of service",
    )
    parser.add_argument(
        "--ca-file", metavar="FILE", type=Path, help="certificates (PEM) that the CA's HTTPS is checked against"
    )


def log(parser: ArgumentParser) -> None:
    account(parser, "default: all")
    parser.add_argument(
        "--since",
        metavar="WHEN",
        type=arguments.moment,
        help="from then on: 2026-02-19, '2026-02-19 08:00', or so long ago: 90s, 30min, 2h, 7d",
    )
    parser.add_argument(
        "--lines", metavar="N", type=arguments.count, default=100, help="so many, the latest (default: 100)"
    )


def update(parser: ArgumentParser) -> None:
    account(parser)
    contact(parser, "a mail address for the CA, in place of those before")
    parser.add_argument("--no-contact", action="store_true", help="leave no mail address with the CA")


def rollover(parser: ArgumentParser) -> None:
    account(parser)
    key_type(parser, "the type of the new key", arguments.ACCOUNT_KEY_TYPES)


def account(parser: ArgumentParser, default: str = "default: the default one") -> None:
    """An account that is there."""
    parser.add_argument("account", nargs="?", metavar="ACCOUNT", type=arguments.name, help=default)


def contact(parser: ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--contact",
        action="append",
        metavar="MAIL",
        type=arguments.contact,
        help=f"{what}; may be given more than once",
    )


def key_type(parser: ArgumentParser, what: str, types: Sequence[str] = arguments.KEY_TYPES) -> None:
    parser.add_argument("--key-type", metavar="TYPE", choices=types, help=f"{what}: {', '.join(types)}")
