# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the firewall's own tools."""

import subprocess

from acmed.firewall import FirewallError

_TIMEOUT = 20.0  # seconds; iptables waits at most half of it for another one


def run(*command: str) -> str:
    """What the command prints. Raises FirewallError, with what it says is wrong."""
    result = attempt(*command)
    if result.returncode != 0:
        raise FirewallError(f"{command[0]}: {' '.join(result.stderr.split()) or f'exit status {result.returncode}'}")
    return result.stdout


def attempt(*command: str) -> "subprocess.CompletedProcess[str]":
    """The command's output and exit status. Raises FirewallError where it cannot be run or does not end."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            env={"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT,
        )
    except OSError as error:
        raise FirewallError(f"{command[0]} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise FirewallError(f"{command[0]} did not end within {_TIMEOUT:g} s") from None
