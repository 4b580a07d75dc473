# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line. acmectl(1) and the completions have each option too; tests/unit/test_documentation.py compares."""

from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acmed import __version__
from acmed.ctl.commandline import accountoptions, arguments, certificateoptions, rules

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
    for is_wrong, what in rules.RULES.get(given.command, ()):
        if is_wrong(given):
            given.parser.error(what)
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
    accountoptions.add(_command(account, "account-add", "add", "make an account's key and register it with a CA"))
    accountoptions.import_(_command(account, "account-import", "import", "take over an account of another client"))
    _command(account, "account-list", "list", "list the accounts")
    accountoptions.account(_command(account, "account-show", "show", "show one account"))
    accountoptions.update(_command(account, "account-update", "update", "change the contacts that the CA has"))
    accountoptions.rollover(_command(account, "account-rollover", "rollover", "give an account a new key"))
    accountoptions.log(_command(account, "account-log", "log", "show what account keys have signed, or refused to"))
    deactivate = _command(account, "account-deactivate", "deactivate", "end an account at the CA, for good")
    deactivate.add_argument("account", metavar="ACCOUNT", type=arguments.name)

    certificateoptions.order(_command(commands, "order", "order", "order a certificate and wait for it"))
    certificateoptions.authorize(
        _command(commands, "authorize", "authorize", "have the CA validate names, without a certificate")
    )
    certificateoptions.certificate(
        _command(commands, "check", "check", "look whether an order of a certificate would succeed")
    )
    dns = _group(commands, "dns", "the DNS records of challenges")
    certificateoptions.dns_show(_command(dns, "dns-show", "show", "print the records to publish for a certificate"))
    _command(commands, "list", "list", "list the certificates")
    status = _command(commands, "status", "status", "show how a certificate is, or how everything is")
    status.add_argument("certificate", nargs="?", metavar="CERT", type=arguments.name)
    certificateoptions.renew(_command(commands, "renew", "renew", "renew certificates and wait for them"))
    certificateoptions.revoke(_command(commands, "revoke", "revoke", "have the CA revoke a certificate"))
    certificateoptions.certificate(
        _command(commands, "restore", "restore", "put back installed files that are missing or were changed")
    )
    certificateoptions.certificate(
        _command(commands, "forget", "forget", "end the management of a certificate; its files stay")
    )

    _command(commands, "jobs", "jobs", "list the jobs that run")
    _command(commands, "watch", "watch", "print what happens until it is interrupted")
    cancel = _command(commands, "cancel", "cancel", "end a job")
    cancel.add_argument("job", metavar="JOB", type=arguments.job)

    config = _group(commands, "config", "the configuration")
    _command(config, "config-check", "check", "say all that is wrong in the configuration; works without acmed")

    others = _group(commands, "import", "the configuration of another ACME client")
    lacme = _command(others, "import-lacme", "lacme", "take over lacme's certificates and account; works without acmed")
    lacme.add_argument(
        "--config", metavar="FILE", type=Path, default=Path("/etc/lacme/lacme.conf"), help="default: %(default)s"
    )
    lacme.add_argument("-n", "--dry-run", action="store_true", help="show what would be written, and write nothing")
    return parser


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
