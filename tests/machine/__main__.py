# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine by hand: build its roots, build the packages, or get a shell in it."""

import argparse
import sys

from tests.machine import package, root
from tests.machine.machine import Machine
from tests.machine.recipes import RECIPES


def _shell(release: str) -> int:
    with Machine(release) as machine:
        if debs := sorted(package.DIST.glob("*.deb")):
            package.install(machine, debs)
        return machine.shell()


def _build_roots() -> int:
    for name in RECIPES:
        with root.use(name) as tree:
            print(tree)
    return 0


def _build_deb() -> int:
    for deb in package.build_deb():
        print(deb)
    return 0


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.machine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shell = commands.add_parser("shell", help="boot a machine with the packages of dist/ and give a shell in it")
    shell.add_argument("--release", choices=["trixie", "bookworm"], default="trixie")
    commands.add_parser("build-roots", help="build the root trees that are missing")
    commands.add_parser("build-deb", help="build the packages into dist/")
    arguments = parser.parse_args()
    match arguments.command:
        case "shell":
            return _shell(arguments.release)
        case "build-roots":
            return _build_roots()
        case _:
            return _build_deb()


if __name__ == "__main__":
    sys.exit(main())
