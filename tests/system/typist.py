# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody at a terminal: typist.py PASSWORD COMMAND... runs in a machine, and needs nothing but Python.

Runs the command on a pseudo terminal, types the password each time it is asked for (PROMPT in the environment, or as
polkit asks), prints what was to be seen there, and ends with the command's status.
"""

import os
import pty
import select
import sys
import termios

PROMPT = os.environ.get("PROMPT", "Password: ").encode()


def main(password: str, command: list[str]) -> int:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    transcript, answered = b"", 0
    while True:
        readable, _, _ = select.select([terminal], [], [], 0.02)
        if readable:
            piece = read(terminal)
            if not piece:
                break
            transcript += piece
        # What is typed before the echo is off is thrown away with it.
        if transcript.count(PROMPT) > answered and not echoes(terminal):
            answered += 1
            os.write(terminal, f"{password}\n".encode())
    _, status = os.waitpid(pid, 0)
    sys.stdout.buffer.write(transcript.replace(b"\r\n", b"\n"))
    return os.waitstatus_to_exitcode(status)


def read(terminal: int) -> bytes:
    """What has come; nothing when nobody has the terminal open any more."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def echoes(terminal: int) -> bool:
    flags: int = termios.tcgetattr(terminal)[3]
    return bool(flags & termios.ECHO)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
