# SPDX-License-Identifier: LGPL-2.1-or-later
"""People who have an account on a machine, and how they come in."""

import contextlib
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.machine import Machine
from tests.system import typist

ADMIN = "anna"
"""In the group sudo, which is who polkit asks for a password."""
WEBMASTER = "wanda"
"""In the group webmasters."""
PLAIN = "paul"
PASSWORD = "correct horse"

TYPIST = "/run/people/typist.py"
FILES = "/etc/passwd /etc/group /etc/shadow /etc/gshadow"
# The package passwd, which has useradd, is not there.
CREATE = f"""
mkdir -p /run/people/before
cp -a {FILES} /run/people/before/
openssl passwd -6 "$1" | tr -d '\\n' >/run/people/passwd.hashed-password.{ADMIN}
CREDENTIALS_DIRECTORY=/run/people systemd-sysusers --inline \\
    'u {ADMIN} 1501 - / /bin/sh' 'g sudo' 'm {ADMIN} sudo' \\
    'u {WEBMASTER} 1502 - / /bin/sh' 'g webmasters' 'm {WEBMASTER} webmasters' \\
    'u {PLAIN} 1503 - / /bin/sh'
"""
REMOVE = """
systemctl stop user-1501.slice user-1502.slice user-1503.slice user@1501.service user@1502.service user@1503.service
cp -a /run/people/before/* /etc/
rm -r /run/people
"""


@dataclass(frozen=True)
class Terminal:
    """A terminal at which somebody has logged in."""

    machine: Machine
    user: str
    password: str = PASSWORD

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command there; stdout is all that was to be seen."""
        login = ["runuser", "--login", self.user, "--session-command", shlex.join(command)]
        return self.machine.run(["python3", TYPIST, self.password, *login], check=False)


@contextlib.contextmanager
def people(machine: Machine) -> Iterator[None]:
    """They are there inside."""
    machine.run(["sh", "-euc", CREATE, "sh", PASSWORD])
    machine.put(Path(typist.__file__), TYPIST)
    try:
        yield
    finally:
        machine.run(["sh", "-euc", REMOVE])
