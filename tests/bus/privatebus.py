# SPDX-License-Identifier: LGPL-2.1-or-later
"""A message bus of one's own: dbus-daemon on a socket in a directory of the test's."""

import asyncio
import getpass
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_POLICY = Path(__file__).resolve().parents[2] / "dbus" / "org.acmed1.conf"
_OPEN = '<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy>'
_SYSTEM = """\
<policy context="default">
  <deny own="*"/><deny send_type="method_call"/>
  <allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
  <allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
  <allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
  <allow send_destination="org.freedesktop.DBus"/>
</policy>
"""


def _own_policy() -> str:
    """dbus/org.acmed1.conf with the test's user as acmed, and nobody as root."""
    text = _POLICY.read_text().replace('user="acmed"', f'user="{getpass.getuser()}"')
    policies = re.search(r"<busconfig>(.*)</busconfig>", text, re.DOTALL)
    assert policies
    without_root, count = re.subn(r'<policy user="root">.*?</policy>', "", policies[1], count=1, flags=re.DOTALL)
    assert count == 1
    return _SYSTEM + without_root


@asynccontextmanager
async def private_bus(directory: Path, own_policy: bool = False) -> AsyncIterator[str]:
    """The address of a bus; own_policy: one that allows what dbus/org.acmed1.conf does, and no more."""
    configuration = directory / "bus.conf"
    configuration.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
        ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
        f"<busconfig><type>session</type><listen>unix:path={directory}/bus</listen><auth>EXTERNAL</auth>"
        f"{_own_policy() if own_policy else _OPEN}</busconfig>\n"
    )
    with (directory / "bus.log").open("w") as log:
        daemon = await asyncio.create_subprocess_exec(
            "dbus-daemon", f"--config-file={configuration}", "--nofork", "--nopidfile", "--print-address",
            stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert daemon.stdout
    address = (await daemon.stdout.readline()).decode().strip().split(",")[0]
    try:
        yield address
    finally:
        daemon.terminate()
        await daemon.wait()
