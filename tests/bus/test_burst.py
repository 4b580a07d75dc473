# SPDX-License-Identifier: LGPL-2.1-or-later
"""More at once than a socket takes."""

import asyncio
from pathlib import Path

from acmed.bus import Bus
from tests.bus.privatebus import private_bus


def test_a_burst_of_signals_does_not_end_the_connection(tmp_path: Path) -> None:
    """Fifty jobs that begin together send hundreds; dbus-next takes a full socket for a lost one."""

    async def run() -> None:
        async with private_bus(tmp_path) as address:
            sender, receiver = await Bus.connect(address), await Bus.connect(address)
            came: list[int] = []
            receiver.signals(lambda signal: came.extend(signal.body[:1]) if signal.member == "Burst" else None)
            await receiver.add_match("type='signal',interface='org.example.Burst'")
            for number in range(3000):
                sender.emit("/org/example", "org.example.Burst", "Burst", "us", [number, "x" * 200])
            async with asyncio.timeout(30):
                await sender.flush()
                await receiver.flush()
            assert came == list(range(3000))
            for bus in (sender, receiver):
                bus.disconnect()

    asyncio.run(run())
