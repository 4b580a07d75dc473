# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in a transient unit that acme-privd starts. The order has the port; nothing is told where nobody has it."""

from acmed import oneshot
from acmed.portholder import cgroups, sockets


def main() -> None:
    port = oneshot.order()["port"]
    try:
        holders = [cgroups.holder(one.cgroup, one.user) for one in sockets.listening(port)]
    except OSError as error:
        print(f"Who has TCP port {port} cannot be found out: {error.strerror}")
        return
    if holders:
        print(oneshot.tell(" and ".join(dict.fromkeys(holders))))


if __name__ == "__main__":
    main()
