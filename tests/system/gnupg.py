# SPDX-License-Identifier: LGPL-2.1-or-later
"""gpg(1) as root has it run by the user acme-gpg, whose agent acme-store-gpg.service may use."""

import shlex

from tests.machine import Machine

HOME = "/var/lib/acme-gpg"
NEW_KEY = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"


def gpg(machine: Machine, options: str) -> str:
    return machine.run(["sh", "-euc", f"runuser -u acme-gpg -- gpg --homedir {HOME} {options}"]).stdout


def end_agent(machine: Machine) -> None:
    machine.run(["runuser", "-u", "acme-gpg", "--", "gpgconf", "--homedir", HOME, "--kill", "all"])


def new_key(machine: Machine, name: str, passphrase: str) -> None:
    """Of acme-gpg's own, to encrypt to."""
    gpg(machine, f"{unasked(passphrase)} --quick-generate-key {name} future-default")


def encrypted(machine: Machine, name: str, options: str) -> str:
    """The path of a new account key, which is encrypted by these options. No agent is left."""
    path = f"/etc/acmed/{name}.gpg"
    plain = f"{NEW_KEY} | runuser -u acme-gpg -- gpg --homedir {HOME} --batch --yes --trust-model always {options}"
    machine.run(["sh", "-euc", f"{plain} >{path}"])
    end_agent(machine)
    return path


def unasked(passphrase: str) -> str:
    """The options by which gpg takes a passphrase from its command line."""
    return f"--batch --pinentry-mode loopback --passphrase {shlex.quote(passphrase)}"
