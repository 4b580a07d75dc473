# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one command line, and turns what goes wrong into a line and an exit code."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from acmed.ctl import output
from acmed.ctl.commandline.parser import parse
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.output import Output


def main() -> None:
    """acmectl."""
    output.prepare_streams()
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough. What is still buffered must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.BROKEN_PIPE
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        Output().error(f"Cannot write the output: {error.strerror or error}")
        code = Exit.FAILED
    sys.exit(code)


def run(words: Sequence[str]) -> Exit:
    """One command line to its exit code. Raises SystemExit where it is wrong, and OSError where printing fails."""
    arguments = parse(words)
    out = Output(json=arguments.json, quiet=arguments.quiet, colour=arguments.color)
    try:
        return _run(arguments, out)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except CommandError as error:
        out.error(error.message, error.hint)
        return error.exit_code
    except OSError:
        raise
    except ImportError as error:
        out.error(f"acmectl is not installed completely: {error}")
        return Exit.FAILED
    except Exception as error:
        out.error(f"This is a defect of acmectl, please report it: {type(error).__name__}: {error}")
        return Exit.FAILED


def _run(arguments: Namespace, out: Output) -> Exit:
    """Loads what the command needs: all of it is slow to load, and --help needs nothing. Raises CommandError."""
    match arguments.command:
        case "config-check":
            from acmed.ctl.commands.configcheck import config_check  # noqa: PLC0415

            return config_check(out)
        case "account-log":
            from acmed.ctl.commands.accountlog import account_log  # noqa: PLC0415

            return account_log(arguments, out)
        case "account-import":
            from acmed.ctl.commands.accountimport import prepare  # noqa: PLC0415
            from acmed.ctl.commands.connected import over_the_bus  # noqa: PLC0415

            prepare(arguments)
            return over_the_bus(arguments, out)
        case "import-lacme":
            from acmed.ctl.importing.command import import_lacme  # noqa: PLC0415

            return import_lacme(out, arguments.config, arguments.dry_run)
        case _:
            from acmed.ctl.commands.connected import over_the_bus  # noqa: PLC0415

            return over_the_bus(arguments, out)
