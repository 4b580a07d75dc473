# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sockets that listen on a TCP port: sock_diag(7), of this network namespace, of all users."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_LISTEN = 1 << 10  # TCP_LISTEN, as a set
_CGROUP_ID = 21  # INET_DIAG_CGROUP_ID, Linux 5.8

_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_REQUEST = struct.Struct("=BBBxI")  # inet_diag_req_v2, without its inet_diag_sockid
_SOCKET_ID_SIZE = 48
_MESSAGE_SIZE = 72  # inet_diag_msg
_USER_OFFSET = 64
_ATTRIBUTE = struct.Struct("=HH")


@dataclass(frozen=True)
class Listening:
    """A socket: the user who made it, and the id of the control group in which; None where the kernel does not tell."""

    user: int
    cgroup: int | None


def listening(port: int) -> list[Listening]:
    """At any address. Raises OSError."""
    found: list[Listening] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _LISTEN)
            request += struct.pack("!H", port).ljust(_SOCKET_ID_SIZE, b"\0")
            size = _HEADER.size + len(request)
            netlink.sendall(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + request)
            found += map(_parse, _messages(netlink))
    return found


def _messages(netlink: socket.socket) -> Iterator[bytes]:
    while True:
        data = netlink.recv(65536)
        while data:
            size, kind, *_ = _HEADER.unpack_from(data)
            if kind == _DONE:
                return
            if kind == _ERROR:
                (code,) = struct.unpack_from("=i", data, _HEADER.size)
                raise OSError(-code, "the kernel does not tell")
            yield data[_HEADER.size : size]
            data = data[size + -size % 4 :]


def _parse(message: bytes) -> Listening:
    (user,) = struct.unpack_from("=I", message, _USER_OFFSET)
    cgroup, offset = None, _MESSAGE_SIZE
    while offset + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, offset)
        if kind == _CGROUP_ID:
            (cgroup,) = struct.unpack_from("=Q", message, offset + _ATTRIBUTE.size)
        offset += max(size + -size % 4, _ATTRIBUTE.size)
    return Listening(user, cgroup)
