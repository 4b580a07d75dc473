# SPDX-License-Identifier: LGPL-2.1-or-later
"""gpg(1), or what is configured in its place, as lacme-accountd(1) runs it: what it decrypts stays in memory."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from acmed.store import lastwords

_MAX_SIZE = 64 * 1024  # bytes
_MAX_PASSPHRASE = 1024  # bytes; gpg takes less
_STDOUT, _STDERR = 1, 2
_LAST = 5.0  # seconds for the rest of that when it has ended: what it has started may hold on to it


class Failed(Exception):
    """The message says why; what the program said is printable and short in it."""


class _Output(asyncio.SubprocessProtocol):
    """What a program writes. ended has the ends of its two streams, and exited that of the program itself."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.clear = bytearray()
        self.said = b""
        self.ended = {number: loop.create_future() for number in (_STDOUT, _STDERR)}
        self.exited = asyncio.Event()  # waiting for it may be broken off

    def pipe_data_received(self, number: int, data: bytes) -> None:
        if number == _STDERR:
            self.said = (self.said + data)[-lastwords.KEPT :]
            return
        self.clear += data
        if len(self.clear) > _MAX_SIZE:
            self._end(number)

    def pipe_connection_lost(self, number: int, _: Exception | None) -> None:
        self._end(number)

    def process_exited(self) -> None:
        self.exited.set()

    def last_words(self) -> str:
        return lastwords.shown(lastwords.lines(self.said)) or "it said nothing"

    def _end(self, number: int) -> None:
        if not self.ended[number].done():
            self.ended[number].set_result(None)


async def decrypt(
    command: Sequence[str], path: Path, passphrase: bytes | None, environment: Mapping[str, str]
) -> bytes:
    """What command has to say to --decrypt, at most 64 KiB. The passphrase goes in through a pipe. Raises Failed.

    The command's words come from configuration, and no shell sees them. It is killed when this is cancelled.
    """
    with _pipe(passphrase) as (options, descriptors):
        words = [*command, *options, "--output", "-", "--decrypt", "--", str(path)]
        try:
            transport, output = await asyncio.get_running_loop().subprocess_exec(
                _Output, *words, stdin=asyncio.subprocess.DEVNULL, pass_fds=descriptors, env=environment
            )
        except OSError as error:
            raise Failed(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        await output.ended[_STDOUT]
        if len(output.clear) > _MAX_SIZE:
            raise Failed(f"{command[0]} gives more than {_MAX_SIZE // 1024} KiB")
        await output.exited.wait()
        status = transport.get_returncode()
        if status == 0:
            return bytes(output.clear)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST):
                await output.ended[_STDERR]
        raise Failed(f"{command[0]} ended with status {status}: {output.last_words()}")
    finally:
        transport.close()  # and kills it, if it still runs
        await output.exited.wait()


@contextmanager
def _pipe(passphrase: bytes | None) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """gpg's options for it, and the descriptor to be inherited."""
    if passphrase is None:
        yield [], ()
        return
    if len(passphrase) > _MAX_PASSPHRASE:
        raise Failed(f"its passphrase has more than {_MAX_PASSPHRASE} bytes")
    reading, writing = os.pipe()
    try:
        os.write(writing, passphrase + b"\n")
        os.close(writing)
        yield ["--batch", "--pinentry-mode", "loopback", "--passphrase-fd", str(reading)], (reading,)
    finally:
        os.close(reading)
