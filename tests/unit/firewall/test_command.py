# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line, and tools that fail."""

import subprocess
import sys

import pytest

from acmed.firewall import FirewallError
from acmed.firewall.command import run


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nft"],
        ["nft", "open"],
        ["nft", "open", "0"],
        ["nft", "open", "65536"],
        ["nft", "open", "-1"],
        ["nft", "open", "8\u0660"],
        ["nft", "open", "80; reboot"],
        ["nft", "flush", "80"],
        ["pf", "open", "80"],
        ["nft", "open", "80", "81"],
    ],
)
def test_wrong_call_is_told_how(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "acmed.firewall", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("Usage: ")


def test_tool_that_fails_is_quoted_in_one_line() -> None:
    with pytest.raises(FirewallError, match=r"^ls: .*cannot access '/nowhere': No such file or directory$"):
        run("ls", "/nowhere")
    with pytest.raises(FirewallError, match=r"^false: exit status 1$"):
        run("false")
    with pytest.raises(FirewallError, match=r"^no-such-tool cannot be run: No such file or directory$"):
        run("no-such-tool")
    assert run("echo", "a") == "a\n"
