# SPDX-License-Identifier: LGPL-2.1-or-later
"""One client on standard input and output, which may be pipes, sockets (also one for both), or anything else.

ssh's forced commands and lacme's [accountd] are given both in blocking mode or not, so each step is waited for.
"""

import os
import select

from acmed import journal
from acmed.keyd.far.conversation import Conversation, Ended

_CHUNK = 64 * 1024
_WRITE_DEADLINE = 10.0  # seconds


def converse(conversation: Conversation, incoming: int = 0, outgoing: int = 1) -> None:
    """Returns when the client has hung up, or is to be left."""
    try:
        _send(outgoing, conversation.greeting())
        while True:
            for line in conversation.receive(_receive(incoming, conversation.patience())):
                _send(outgoing, conversation.answer(line))
    except Ended as error:
        journal.debug("The connection ends: %s", error)
    except OSError as error:
        journal.debug("The client went away: %s", error.strerror)


def _receive(descriptor: int, patience: float) -> bytes:
    """What there is; nothing at the end. Raises Ended where nothing comes in so many seconds."""
    while True:
        _wait(descriptor, select.POLLIN, patience, "the client is silent")
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            continue


def _send(descriptor: int, data: bytes) -> None:
    while data:
        _wait(descriptor, select.POLLOUT, _WRITE_DEADLINE, "the client does not take its answer")
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            continue


def _wait(descriptor: int, event: int, patience: float, otherwise: str) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(patience * 1000):
        raise Ended(otherwise)
