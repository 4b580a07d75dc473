# SPDX-License-Identifier: LGPL-2.1-or-later
"""polkit's agent for text terminals, as systemd's src/shared/polkit-agent.c runs it: pkttyagent(1) asks for us."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_AGENT = "/usr/bin/pkttyagent"
_READY = 5.0  # seconds for the agent to register
_END = 2.0  # seconds for it to end


@contextmanager
def polkit_agent(ask: bool) -> Iterator[None]:
    """Inside, polkit can ask on this terminal, if ask is set, there is one, and we are not root.

    An agent of the desktop is asked first (--fallback). Without pkttyagent it is as if ask were not set.
    """
    if not (ask and os.geteuid() != 0 and sys.stdin is not None and sys.stdin.isatty()):
        yield
        return
    agent = _start()
    try:
        yield
    finally:
        if agent:
            _stop(agent)


def _start() -> "subprocess.Popen[bytes] | None":
    """Starts the agent and waits until it closes the notification pipe: then it is registered."""
    ready, notify = os.pipe()
    command = [_AGENT, "--notify-fd", str(notify), "--fallback", "--process", str(os.getpid())]
    try:
        agent = subprocess.Popen(command, pass_fds=[notify])
    except OSError:
        os.close(ready)
        os.close(notify)
        return None
    os.close(notify)
    select.select([ready], [], [], _READY)
    os.close(ready)
    return agent


def _stop(agent: "subprocess.Popen[bytes]") -> None:
    """Ends it in its own way, as it gives the terminal its echo back."""
    agent.terminate()
    agent.send_signal(signal.SIGCONT)  # it may have been stopped for writing to the terminal
    try:
        agent.wait(_END)
    except subprocess.TimeoutExpired:
        agent.kill()
        agent.wait()
