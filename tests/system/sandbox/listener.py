# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the machine, outside any sandbox: what probes.py tries to reach.

listener.py SOCKET ABSTRACT-NAME TCP-PORT UDP-PORT
"""

import select
import socket
import sys
from pathlib import Path


def main() -> None:
    path, name, tcp_port, udp_port = sys.argv[1:]
    everybodys, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    everybodys.bind(path)
    Path(path).chmod(0o666)
    abstract.bind(f"\0{name}")
    streams = [everybodys, abstract]
    for listener in streams:
        listener.listen()
    streams.append(socket.create_server(("::", int(tcp_port)), family=socket.AF_INET6, dualstack_ipv6=True))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", int(udp_port)))
    print("ready", flush=True)
    while True:
        for ready in select.select([*streams, datagrams], [], [])[0]:
            if ready is datagrams:
                _, peer = datagrams.recvfrom(16)
                datagrams.sendto(b"x", peer)
            else:
                ready.accept()[0].close()


if __name__ == "__main__":
    main()
