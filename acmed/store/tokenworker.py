# SPDX-License-Identifier: LGPL-2.1-or-later
"""python3 -m acmed.store.tokenworker: the process that has a PKCS #11 module in it, for tokenprocess.py.

A request is a line of JSON on standard input, and so is the answer on standard output: first open (uri, pin, runtime),
then what is to be signed (data), as often as wanted. It ends with its standard input.
"""

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

from acmed import base64url
from acmed.config import pkcs11uri
from acmed.store.opened import Unavailable


def main() -> None:
    # What a module prints goes to standard error, and not into our answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        key = _open(**json.loads(sys.stdin.readline()))
        _answer(answers, jwk=key.jwk)
        for line in sys.stdin:
            _answer(answers, signature=base64url.encode(key.sign(base64url.decode(json.loads(line)["data"]))))
    except Unavailable as error:
        _answer(answers, error=type(error).__name__, reason=str(error))


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


def _answer(answers: IO[str], **values: Any) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
