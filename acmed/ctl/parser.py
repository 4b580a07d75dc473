# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line. acmectl(1) and the completions have each option too; tests/unit/test_documentation.py compares."""

from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acmed import __version__
from acmed.ctl import arguments

_EPILOG = """\
examples:
  acmectl account add --directory letsencrypt-staging --contact you@example.com --agree-tos
  acmectl order www.example.com example.com --service nginx
  acmectl status www.example.com
  acmectl renew --due

Options may stand before or after the command. acmectl(1) has exit codes and the shapes of --json."""


def parse(words: Sequence[str]) -> Namespace:
    """The command line as data: `command` says what to do. Exits with a message and code 2 where it is wrong."""
    given = build().parse_args(words)
    if given.command == "order" and not given.names and given.name is None:
        given.parser.error("give the NAMEs to order, or --name CERT for one that is configured")
    if given.command == "renew":
        if bool(given.certificates) + given.due + given.all != 1:
            given.parser.error("give certificates, or --due, or --all")
        if given.due and (given.force or given.new_key):
            given.parser.error("--force and --new-key go with certificates or --all, not with --due")
    return given


def build() -> ArgumentParser:
    """The parser of all commands."""
    parser = ArgumentParser(
        "acmectl",
        description="TLS certificates over ACME: order, renew, revoke, and see how they are.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _global_options(parser, top=True)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    account = _group(commands, "account", "the accounts at CAs")
    _account_add(_command(account, "account-add", "add", "make an account's key and register it with a CA"))
    _command(account, "account-list", "list", "list the accounts")
    show = _command(account, "account-show", "show", "show one account")
    show.add_argument("account", nargs="?", metavar="ACCOUNT", type=arguments.name, help="default: the default one")

    _order(_command(commands, "order", "order", "order a certificate and wait for it"))
    _command(commands, "list", "list", "list the certificates")
    status = _command(commands, "status", "status", "show how a certificate is, or how everything is")
    status.add_argument("certificate", nargs="?", metavar="CERT", type=arguments.name)
    _renew(_command(commands, "renew", "renew", "renew certificates and wait for them"))
    revoke = _command(commands, "revoke", "revoke", "have the CA revoke a certificate")
    revoke.add_argument("certificate", metavar="CERT", type=arguments.name)
    revoke.add_argument(
        "--reason",
        metavar="R",
        type=arguments.reason,
        default=0,
        help=f"{', '.join(arguments.REASONS)}, or the number (default: unspecified)",
    )
    forget = _command(commands, "forget", "forget", "end the management of a certificate; its files stay")
    forget.add_argument("certificate", metavar="CERT", type=arguments.name)

    _command(commands, "jobs", "jobs", "list the jobs that run")
    _command(commands, "watch", "watch", "print what happens until it is interrupted")
    cancel = _command(commands, "cancel", "cancel", "end a job")
    cancel.add_argument("job", metavar="JOB", type=arguments.job)

    config = _group(commands, "config", "the configuration")
    _command(config, "config-check", "check", "say all that is wrong in the configuration; works without acmed")
    return parser


def _account_add(parser: ArgumentParser) -> None:
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
        required=True,
        metavar="URL",
        type=arguments.directory,
        help=f"the CA's directory: a URL, or {' or '.join(arguments.DIRECTORIES)}",
    )
    parser.add_argument(
        "--contact",
        action="append",
        metavar="MAIL",
        type=arguments.contact,
        help="a mail address for the CA; may be given more than once",
    )
    parser.add_argument(
        "--agree-tos", action="store_true", required=True, help="you agree to the CA's terms of service"
    )
    parser.add_argument(
        "--ca-file", metavar="FILE", type=Path, help="certificates (PEM) that the CA's HTTPS is checked against"
    )
    _key_type(parser, "the type of the account's key")


def _order(parser: ArgumentParser) -> None:
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
    parser.add_argument("--account", metavar="ACCOUNT", type=arguments.name, help="the account to order it with")
    _key_type(parser, "the type of its key")
    parser.add_argument(
        "--service",
        action="append",
        metavar="NAME",
        type=arguments.name,
        help="a service that uses it, such as nginx; may be given more than once",
    )


def _renew(parser: ArgumentParser) -> None:
    parser.add_argument("certificates", nargs="*", metavar="CERT", type=arguments.name)
    parser.add_argument("--due", action="store_true", help="those whose time has come, silently when there are none")
    parser.add_argument("--all", action="store_true", help="every certificate")
    parser.add_argument("--force", action="store_true", help="also those whose time has not come")
    parser.add_argument("--new-key", action="store_true", help="with a new key, also where reuse-key is set")


def _key_type(parser: ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--key-type", metavar="TYPE", choices=arguments.KEY_TYPES, help=f"{what}: {', '.join(arguments.KEY_TYPES)}"
    )


def _group(commands: Any, word: str, what: str) -> Any:
    """A word that has commands below it."""
    group = commands.add_parser(word, help=what, description=_sentence(what), allow_abbrev=False)
    _global_options(group, top=False)
    return group.add_subparsers(metavar="COMMAND", required=True)


def _command(commands: Any, command: str, word: str, what: str) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(word, help=what, description=_sentence(what), allow_abbrev=False)
    parser.set_defaults(command=command, parser=parser)
    _global_options(parser, top=False)
    return parser


def _global_options(parser: ArgumentParser, top: bool) -> None:
    """The options of every command. Below the top they have no default: what stood before the command must stay."""
    group = parser.add_argument_group("general options")
    flag: dict[str, Any] = {"action": "store_true", "default": False if top else SUPPRESS}
    group.add_argument("--json", help="print JSON", **flag)
    group.add_argument("--no-ask-password", help="never ask for a password; fail instead", **flag)
    group.add_argument("-v", "--verbose", help="print the job's journal too", **flag)
    group.add_argument("-q", "--quiet", help="print errors alone; lists without their heading", **flag)
    group.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto" if top else SUPPRESS,
        help="when to colour (default: auto)",
    )
    group.add_argument("--version", action="version", version=f"acmectl {__version__}", help="print the version")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
