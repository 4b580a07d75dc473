# SPDX-License-Identifier: LGPL-2.1-or-later
"""A process that has a PKCS #11 module in it (tokenworker.py), asked with a deadline.

PyKCS11 holds the interpreter's lock while the module works, so with threads a module that hangs would be a daemon that
hangs. And in a new process a module sees a token that was put back, whatever it had thought of before.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import acmed
from acmed.store.opened import Unavailable
from acmed.store.tokenpin import PinMissing, PinRefused

_LONGEST = 1 << 16  # bytes of an answer
Answer = TypeVar("Answer")

_ERRORS = {error.__name__: error for error in (PinMissing, PinRefused)}


class TokenProcess:
    """It is there from the beginning to close(), or until the first answer that is none."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(Path(acmed.__file__).parents[1])}
        self._process = subprocess.Popen(
            [sys.executable, "-Ps", "-m", "acmed.store.tokenworker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl+C is ours to handle
        )

    def ask(self, seconds: float, read: Callable[[dict[str, Any]], Answer], **question: Any) -> Answer:
        """What read makes of the answer. It may raise Unavailable, and what Python does about JSON of another form.

        Raises Unavailable, PinMissing and PinRefused; then the process is no more.
        """
        try:
            answer = json.loads(self._line(json.dumps({"seconds": seconds, **question}).encode() + b"\n", seconds))
            if "error" not in answer:
                return read(answer)
            failed = _ERRORS.get(answer["error"], Unavailable)(answer["reason"])
        except Unavailable:
            self._end(signal.SIGKILL)
            raise
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            self._end(signal.SIGKILL)
            raise Unavailable("the process of the PKCS #11 module answered with what is no answer") from error
        self.close()
        raise failed

    def close(self) -> None:
        """It logs out, if it does so in time."""
        self._end(None)

    def _line(self, question: bytes, seconds: float) -> bytes:
        assert self._process.stdin
        assert self._process.stdout
        deadline, answer = time.monotonic() + seconds, b""
        try:
            self._process.stdin.write(question)
        except BrokenPipeError as error:
            raise self._died() from error
        while not answer.endswith(b"\n") and len(answer) < _LONGEST:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Unavailable(f"the PKCS #11 module did not answer within {seconds:g} s")
            part = os.read(self._process.stdout.fileno(), _LONGEST)
            if not part:
                raise self._died()
            answer += part
        return answer

    def _died(self) -> Unavailable:
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            status = 0
        how = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        return Unavailable(f"the process of the PKCS #11 module ended with {how}; standard error may say more")

    def _end(self, number: signal.Signals | None) -> None:
        """A process that even SIGKILL does not end, for what its device does, is left alone."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        for last in (number, signal.SIGKILL):
            if last:
                self._process.send_signal(last)
            try:
                self._process.wait(1)
                return
            except subprocess.TimeoutExpired:
                continue
