# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in a unit, in its program's place, and says which of these things the unit's sandbox lets it do.

A program of its own: it is copied into the machine. Prints one line of JSON: {"outcomes": {probe: "done" or the name
of the error}, "status": {fields of /proc/self/status}}. What test_sandbox.py prepares has the names below.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

MARK = "sandbox-probe"
NAME = f"{MARK}.example.com"
TCP_PORT, UDP_PORT = 14997, 14998
OTHERS_SOCKET = f"/run/{MARK}.sock"
STORES = ("file", "gpg", "pkcs11", "ssh", "unix")

READ = {
    "read the passwords of the host": "/etc/shadow",
    "read the key that credentials are sealed with": "/var/lib/systemd/credential.secret",
    "read a sealed account key": f"/etc/credstore.encrypted/acmed.accounts/{MARK}",
    "read a credential of another unit": f"/run/credentials/{MARK}.service/secret",
    "read a private key that is not installed yet": f"/var/lib/acme-privd/{MARK}",
    "read the private key of a certificate": f"/var/lib/acme/{NAME}/privkey.pem",
    "read a certificate": f"/var/lib/acme/{NAME}/cert.pem",
    "read acmed's state": f"/var/lib/acmed/{MARK}",
    "read an order's state": f"/var/lib/acme-clientd/{MARK}",
    "read permits": f"/run/acme-keyd/{MARK}",
    "read tokens": f"/run/acmed/http01/{MARK}",
    "read answers for port 443": f"/run/acmed/alpn01/{MARK}",
    "read the configuration": "/etc/acmed/acmed.toml",
    "read a home directory": f"/home/{MARK}",
    "read root's home directory": f"/root/{MARK}",
    "read temporary files of others": f"/tmp/{MARK}",
    "read longer-lived temporary files of others": f"/var/tmp/{MARK}",
    "read shared memory of others": f"/dev/shm/{MARK}",
    "read message queues of others": f"/dev/mqueue/{MARK}",
    "read the state of the kernel": "/proc/kallsyms",
    "read the memory of the host": "/proc/meminfo",
    "read the journal": "/var/log/journal/*/system.journal",
    "see the network interfaces of the host": "/sys/class/net",
    "see the devices of the host": "/dev/net",
}
WRITE = [
    "/boot",
    "/dev/hugepages",
    "/dev/shm",
    "/etc",
    "/etc/acmed",
    "/etc/acmed/acmed.toml.d",
    "/etc/acmed/ca",
    "/etc/acmed/certificates.d",
    "/etc/credstore.encrypted",
    "/etc/credstore.encrypted/acmed.accounts",
    "/etc/credstore.encrypted/acmed.next-accounts",
    "/etc/credstore.encrypted/acmed.bindings",
    "/etc/credstore.encrypted/acmed.dns",
    "/etc/credstore.encrypted/acmed.passphrases",
    "/etc/systemd/system",
    "/home",
    "/opt",
    "/root",
    "/run",
    "/run/lock",
    "/run/acme-keyd",
    "/run/acmed",
    "/run/acmed/http01",
    "/run/acmed/alpn01",
    "/run/systemd/ask-password",
    "/run/systemd/system",
    "/srv",
    "/usr/bin",
    "/usr/lib/python3/dist-packages/acmed",
    "/var/lib",
    "/var/lib/acme",
    "/var/lib/acme-clientd",
    "/var/lib/acme-gpg",
    "/var/lib/acme-privd",
    "/var/lib/acmed",
    "/var/lib/systemd",
    "/var/log",
    "/var/spool",
]
REACH = {
    "reach the system bus": "/run/dbus/system_bus_socket",
    "reach PID 1": "/run/systemd/private",
    "reach key.sock": "/run/acmed/key.sock",
    "reach key-permit.sock": "/run/acmed/key-permit.sock",
    "reach priv.sock": "/run/acmed/priv.sock",
    "reach client.sock": "/run/acmed/client.sock",
    "reach dns.sock": "/run/acmed/dns.sock",
    "reach verify.sock": "/run/acmed/verify.sock",
    **{f"reach the key store {kind}.sock": f"/run/acmed/stores/{kind}.sock" for kind in STORES},
    "reach a socket that is open to all": OTHERS_SOCKET,
}
EXECUTE = {
    "execute a shell": ["/bin/sh", "-c", "exit 0"],
    "execute python3": ["/usr/bin/python3", "-I", "-c", ""],
    "execute systemd-creds": ["/usr/bin/systemd-creds", "--version"],
    "execute systemd-ask-password": ["/usr/bin/systemd-ask-password", "--version"],
    "execute nft": ["/usr/sbin/nft", "--version"],
    "execute iptables-legacy": ["/usr/sbin/iptables-legacy", "--version"],
    "execute sleep": ["/usr/bin/sleep", "0"],
    "execute curl": ["/usr/bin/curl", "--version"],
}
FAMILIES = {
    "AF_INET": socket.SOCK_STREAM,
    "AF_INET6": socket.SOCK_STREAM,
    "AF_UNIX": socket.SOCK_STREAM,
    "AF_NETLINK": socket.SOCK_RAW,
    "AF_PACKET": socket.SOCK_RAW,
}
# Those that have no function in the C library; as the two architectures call them.
NUMBERS = {"io_uring_setup": (425, 425), "userfaultfd": (323, 282)}
CANNOT_LOAD = 127  # the loader's exit status
PTRACE_TRACEME = 0
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_BIND = 4096
ADDR_NO_RANDOMIZE = 0x0040000

libc = ctypes.CDLL(None, use_errno=True)


def read(pattern: str) -> None:
    """The first of the files, or what is in the directory."""
    path = next(Path("/").glob(pattern.lstrip("/")), Path(pattern))
    if not path.is_dir():
        with path.open("rb") as file:
            file.read(1)
    elif not list(path.iterdir()):
        raise FileNotFoundError(errno.ENOENT, "empty")


def write(directory: str) -> None:
    path = Path(directory) / f"{MARK}-{os.getpid()}"
    path.touch(exist_ok=False)
    path.unlink()


def reach(path: str) -> None:
    """Connects as one cannot: were it a connection, it would start what answers there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        try:
            peer.connect(path)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise


def reach_abstract() -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(f"\0{MARK}")


def open_socket(family: str) -> None:
    socket.socket(getattr(socket, family), FAMILIES[family]).close()


def connect_tcp(host: str) -> None:
    with socket.create_connection((host, TCP_PORT), timeout=5):
        pass


def send_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(5)
        peer.connect(("127.0.0.1", UDP_PORT))
        peer.send(b"x")
        peer.recv(1)  # refused where nothing came through


def listen_tcp() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()


def read_own_credential() -> None:
    read(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent") + f"/account_{MARK}")


def see_processes() -> None:
    processes = {path.name for path in Path("/proc").iterdir() if path.name.isdigit()}
    if processes == {str(os.getpid())}:
        raise PermissionError(errno.EPERM, "none")


def in_child(act: Callable[[], None]) -> None:
    """What cannot be undone: in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except OSError as error:
            os._exit(error.errno or 255)
        except BaseException:
            os._exit(255)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code > 0:
        raise OSError(code, os.strerror(code))
    if code < 0:
        raise RuntimeError(f"the child ended by signal {-code}")


def execute(argv: list[str]) -> None:
    def act() -> None:
        quiet()
        os.execv(argv[0], argv)

    in_child(act)


def quiet() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def execute_a_file_of_its_own() -> None:
    """In whatever directory can be written to."""
    refusal: OSError = PermissionError(errno.EACCES, "nowhere")
    for directory in ["/tmp", "/var/tmp", *WRITE]:
        path = Path(directory) / f"{MARK}-program-{os.getpid()}"
        try:
            path.write_bytes(Path("/bin/true").read_bytes())
            path.chmod(0o755)
            execute([str(path)])
        except OSError as error:
            refusal = error
        else:
            return
        finally:
            with suppress(OSError):
                path.unlink()
    raise refusal


def execute_by_the_loader() -> None:
    """The dynamic loader is among the libraries, and so may be executed; what it is to load may not."""
    loaders = [*Path("/usr/lib").glob("*-linux-gnu/ld-linux*.so.*"), *Path("/usr/lib64").glob("ld-linux*.so.*")]
    try:
        execute([str(loaders[0]), "/bin/true"])
    except OSError as error:
        if error.errno == CANNOT_LOAD:
            raise PermissionError(errno.EACCES, "not loaded") from None
        raise


def execute_from_memory() -> None:
    descriptor = os.memfd_create(MARK, 0)
    os.write(descriptor, Path("/bin/true").read_bytes())

    def act() -> None:
        os.execve(descriptor, ["true"], {})

    in_child(act)
    os.close(descriptor)


def called(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def system_call(name: str, *arguments: object) -> None:
    called(libc.syscall(NUMBERS[name][platform.machine() == "aarch64"], *arguments))


def map_writable_and_executable() -> None:
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def make_executable() -> None:
    libc.mmap.restype = ctypes.c_void_p
    address = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, 0x22, -1, 0)
    called(libc.mprotect(ctypes.c_void_p(address), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC))


def make_setuid() -> None:
    with tempfile.NamedTemporaryFile() as file:
        os.fchmod(file.fileno(), stat.S_ISUID | 0o755)


def make_device() -> None:
    path = Path(tempfile.gettempdir()) / f"{MARK}-device-{os.getpid()}"
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 0))
    path.unlink()


def give_away() -> None:
    with tempfile.NamedTemporaryFile() as file:
        os.fchown(file.fileno(), 33, 33)


def real_time() -> None:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


PROBES: dict[str, Callable[[], None]] = {
    **{name: partial(read, path) for name, path in READ.items()},
    **{f"write to {path}": partial(write, path) for path in WRITE},
    **{name: partial(reach, path) for name, path in REACH.items()},
    **{name: partial(execute, argv) for name, argv in EXECUTE.items()},
    **{f"open a socket of {family}": partial(open_socket, family) for family in FAMILIES},
    "reach an abstract socket of the host": reach_abstract,
    "execute a file of its own": execute_a_file_of_its_own,
    "execute by the loader": execute_by_the_loader,
    "execute from memory": execute_from_memory,
    "connect over IPv4": lambda: connect_tcp("127.0.0.1"),
    "connect over IPv6": lambda: connect_tcp("::1"),
    "send over UDP": send_udp,
    "listen on a port": listen_tcp,
    "read a credential of its own": read_own_credential,
    "see other processes": see_processes,
    "signal a process of root's": lambda: os.kill(int(sys.argv[1]), 0),
    "trace a process": lambda: in_child(lambda: called(libc.ptrace(PTRACE_TRACEME, 0, None, None))),
    "have pages that are writable and executable": map_writable_and_executable,
    "make pages executable": make_executable,
    "become another user": lambda: in_child(lambda: os.setresuid(65534, 65534, 65534)),
    "become another group": lambda: in_child(lambda: os.setresgid(65534, 65534, 65534)),
    "give a file away": give_away,
    "make a set-user-id program": make_setuid,
    "make a device": make_device,
    "have a user namespace": lambda: in_child(lambda: called(libc.unshare(CLONE_NEWUSER))),
    "have a mount namespace": lambda: in_child(lambda: called(libc.unshare(CLONE_NEWNS))),
    "have a network namespace": lambda: in_child(lambda: called(libc.unshare(CLONE_NEWNET))),
    "mount": lambda: called(libc.mount(b"/etc", b"/opt", None, MS_BIND, None)),
    "change the root": lambda: in_child(lambda: os.chroot("/")),
    "name the host": lambda: called(libc.sethostname(b"machine.test", 12)),
    "have a real-time priority": lambda: in_child(real_time),
    "have a higher priority": lambda: in_child(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)),
    "have another personality": lambda: in_child(lambda: called(libc.personality(ADDR_NO_RANDOMIZE))),
    "handle page faults": lambda: system_call("userfaultfd", 1),
    "use io_uring": lambda: in_child(lambda: system_call("io_uring_setup", 8, ctypes.create_string_buffer(256))),
}


def outcome(act: Callable[[], None]) -> str:
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, f"{type(error).__name__}: {error}")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def main() -> None:
    signal.alarm(60)
    outcomes = {name: outcome(act) for name, act in PROBES.items()}
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    json.dump({"outcomes": outcomes, "status": status}, sys.stdout)
    print(flush=True)


if __name__ == "__main__":
    main()
