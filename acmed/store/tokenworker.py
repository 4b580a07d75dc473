# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -m acmed.store.tokenworker: the process that has a PKCS #11 module in it, for tokenprocess.py.

A request is a line of JSON on standard input, and so is the answer on standard output: first open (uri, pin, runtime),
then what is to be signed (data), as often as wanted. It ends with its standard input, and where a module hangs, one
second after the time that it has for an answer (seconds): whoever asked may be gone by then.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

from acmed import base64url
from acmed.config import pkcs11uri
from acmed.store.opened import Unavailable


def main() -> None:
    # What a module prints goes to standard error, and not into our answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    try:
        key = _open(**_question(sys.stdin.readline()))
        _answer(answers, jwk=key.jwk)
        for line in sys.stdin:
            _answer(answers, signature=base64url.encode(key.sign(base64url.decode(_question(line)["data"]))))
    except Unavailable as error:
        _answer(answers, error=type(error).__name__, reason=str(error))
    except BrokenPipeError:
        pass  # whoever asked is gone


def _question(line: str) -> dict[str, Any]:
    question: dict[str, Any] = json.loads(line)
    signal.setitimer(signal.ITIMER_REAL, question.pop("seconds") + 1)  # SIGALRM ends us also while a module works
    return question


def _open(uri: str, pin: str | None, runtime: str | None) -> Any:
    try:
        from acmed.store import token, tokenkey  # noqa: PLC0415  only here PyKCS11 is needed
    except ImportError as error:
        raise Unavailable("PyKCS11 is not there: install the package python3-pykcs11") from error
    parsed = pkcs11uri.parse(uri)
    library = token.load(parsed.module)
    slot = token.find(library, parsed)
    secret = base64url.decode(pin) if pin is not None else None
    opened = token.open_session(library, slot, secret, Path(runtime) if runtime else None)
    return tokenkey.KeyOnToken(opened, parsed)


def _answer(answers: IO[bytes], **values: Any) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    answers.write(json.dumps(values).encode() + b"\n")


if __name__ == "__main__":
    main()
