# SPDX-License-Identifier: LGPL-2.1-or-later
"""The units held against the programs they start, the names in acmed/paths.py, and the limits of their sandboxes."""

import re
import shutil
import stat
import subprocess
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import pytest

from acmed import paths
from acmed.privd.accounts import seal

UNITS = Path(__file__).parents[2] / "units"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
SOCKETS = {
    # unit: path, FileDescriptorName, user, group, mode, service
    "acme-keyd.socket": (paths.KEY_SOCKET, "key", "", "acme-key", 0o660, ""),
    "acme-keyd-permit.socket": (paths.KEY_PERMIT_SOCKET, "permit", "", "", 0o600, "acme-keyd.service"),
    "acme-privd.socket": (paths.PRIV_SOCKET, "priv", "", "acmed", 0o660, ""),
    "acme-verify.socket": (paths.VERIFY_SOCKET, "verify", "", "", 0o600, ""),
    "acme-clientd.socket": (paths.CLIENT_SOCKET, "client", "acmed", "", 0o600, ""),
    "acme-store-file.socket": (paths.STORES / "file.sock", "store", "", "acme-store", 0o660, ""),
    "acme-store-gpg.socket": (paths.STORES / "gpg.sock", "store", "", "acme-store", 0o660, ""),
    "acme-store-pkcs11.socket": (paths.STORES / "pkcs11.sock", "store", "", "acme-store", 0o660, ""),
    "acme-store-ssh.socket": (paths.STORES / "ssh.sock", "store", "", "acme-store", 0o660, ""),
    "acme-store-unix.socket": (paths.STORES / "unix.sock", "store", "", "acme-store", 0o660, ""),
    "acme-dnsd.socket": (paths.DNS_SOCKET, "dns", "acmed", "", 0o600, ""),
}
DAEMONS = ["acmed", "acme-keyd", "acme-privd", "acme-verify", "acme-clientd", "acme-dnsd"]
DAEMONS += ["acme-store-file", "acme-store-gpg", "acme-store-pkcs11", "acme-store-ssh", "acme-store-unix"]

# The exposure that systemd-analyze security may come to, in both releases of Debian. To be lowered, never raised.
EXPOSURE = {
    "acmed": 0.4,
    "acme-keyd": 0.4,
    "acme-verify": 0.4,
    "acme-renew": 0.4,
    "acme-privd": 1.2,
    "acme-credential-key": 0.7,
    "acme-clientd": 1.3,
    "acme-dnsd": 1.3,
    "acme-store-file": 0.7,
    "acme-store-gpg": 0.4,
    "acme-store-pkcs11": 0.4,
    "acme-store-ssh": 1.3,
    "acme-store-unix": 1.3,
    "acme-http01": 0.4,
    "acme-http01-lease@": 0.4,
    "acme-http01-proxied-lease@": 0.4,
    "acme-alpn01": 0.4,
    "acme-alpn01-lease@": 0.4,
    "acme-firewall@": 1.3,
    "acme-firewall-firewalld@": 0.7,
    "acme-firewall-iptables@": 1.9,
}

# Each would widen or silently lose what the unit says: see docs/architecture.md and systemd's manuals.
FORBIDDEN = {
    "FlushPending": "loses the calls that wait when a daemon exits idle",
    "RuntimeDirectory=acmed": "removes the sockets of the others when the unit stops",
    "ProtectControlGroups=strict": "is ignored by systemd 252",
    "PrivateTmp=disconnected": "is ignored by systemd 252",
    "ImportCredential": "is ignored by systemd 252",
}


def read(name: str) -> dict[str, list[str]]:
    """All settings of a unit, whatever their section."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (UNITS / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def last(unit: dict[str, list[str]], key: str) -> str:
    return (unit.get(key) or [""])[-1]


def words(unit: dict[str, list[str]], key: str) -> list[str]:
    return " ".join(unit.get(key, [])).split()


@pytest.mark.parametrize("name", SERVICES)
def test_the_program_exists(name: str) -> None:
    for command in read(name)["ExecStart"]:
        program, *arguments = command.split()
        if program == "/usr/bin/python3":
            assert arguments[:2] == ["-I", "-m"]
            assert find_spec(f"{arguments[2]}.__main__"), f"{arguments[2]} cannot be run"
        else:
            assert program in ("/usr/bin/acmectl", "/usr/bin/sleep", "/usr/bin/systemd-creds")


@pytest.mark.parametrize("name", SERVICES)
def test_the_program_may_be_executed(name: str) -> None:
    unit = read(name)
    assert "/" in words(unit, "NoExecPaths")
    for command in unit["ExecStart"]:
        assert command.split()[0] in words(unit, "ExecPaths")


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_else_may_be_executed_and_none_of_it_written(name: str) -> None:
    """Both releases of systemd leave holes: what ExecPaths= names can be written to in spite of ProtectSystem=strict,
    with ProtectProc= so can /run, and NoExecPaths=/ does not reach directories that are mounts of their own.
    """
    unit = read(name)
    assert set(words(unit, "ExecPaths")) <= set(words(unit, "BindReadOnlyPaths"))
    hidden = last(unit, "TemporaryFileSystem") == "/run:ro"
    assert hidden or last(unit, "ReadOnlyPaths") == "/run"
    noexec = set(words(unit, "NoExecPaths"))
    assert noexec >= {"/", "/tmp", "/var/tmp", *([] if hidden else ["/run"])}
    assert noexec >= set(words(unit, "ReadWritePaths"))
    assert noexec >= {f"/var/lib/{state}" for state in words(unit, "StateDirectory")}
    assert noexec >= {f"/run/private/{runtime}" for runtime in words(unit, "RuntimeDirectory")}
    assert "-/dev/shm" in words(unit, "InaccessiblePaths")
    # io_uring opens sockets of any family behind the filter's back; a program in memory is executed from nowhere.
    (denied,) = [line.split() for line in unit["SystemCallFilter"] if line.startswith("~@")]
    assert {"memfd_create", "userfaultfd"} <= set(denied)
    assert {word.lstrip("~") for word in denied} >= {"@aio", "@mount", "@privileged", "@resources", "@setuid"}


@pytest.mark.parametrize("name", SOCKETS)
def test_sockets(name: str) -> None:
    path, descriptor, user, group, mode, service = SOCKETS[name]
    unit = read(name)
    assert unit["ListenStream"] == [str(path)]
    assert unit["FileDescriptorName"] == [descriptor]
    assert int(last(unit, "SocketMode"), 8) == mode
    assert not stat.S_IRWXO & mode
    assert (last(unit, "SocketUser"), last(unit, "SocketGroup")) == (user, group)
    assert last(unit, "Service") == service
    assert words(unit, "WantedBy") == ["sockets.target"]
    of = read(service or name.replace(".socket", ".service"))
    assert name in words(of, "Requires")
    assert name in words(of, "After")


def test_descriptor_names_are_those_of_the_programs() -> None:
    for name, (_, descriptor, *_, service) in SOCKETS.items():
        (command,) = read(service or name.replace(".socket", ".service"))["ExecStart"]
        module = find_spec(command.split()[3])  # behind python3 -I -m
        assert module
        assert module.submodule_search_locations
        (folder,) = module.submodule_search_locations
        sources = "".join(path.read_text() for path in Path(folder).glob("*.py"))
        assert f'"{descriptor}":' in sources, f"{command} does not serve {descriptor}"


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_daemon_that_ends_when_idle_is_always_started_again(daemon: str) -> None:
    unit = read(f"{daemon}.service")
    assert last(unit, "StartLimitIntervalSec") == "0"
    assert last(unit, "Restart") == "on-failure"
    assert int(last(unit, "RestartSec")) >= 1
    assert last(unit, "TimeoutStopSec")
    assert last(unit, "Type") == ("notify" if daemon == "acmed" else "exec")


@pytest.mark.parametrize("path", sorted(UNITS.iterdir()), ids=lambda path: path.name)
def test_traps(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    for trap, why in FORBIDDEN.items():
        assert trap not in lines, why
        assert not any(line.startswith(f"{trap}=") for line in lines), why


def test_who_is_who() -> None:
    users = {line.split()[1]: line.split()[0] for line in lines_of("acmed.sysusers")}
    assert users == {"acmed": "u", "acme-gpg": "u", "acme-ssh": "u", "acme-key": "g", "acme-store": "g"}
    assert last(read("acme-store-gpg.service"), "User") == "acme-gpg"
    assert last(read("acme-store-ssh.service"), "User") == "acme-ssh"
    assert last(read("acmed.service"), "User") == "acmed"
    assert last(read("acme-renew.service"), "User") == "acmed"
    assert last(read("acme-clientd.service"), "SupplementaryGroups") == "acme-key"
    assert last(read("acme-keyd.service"), "SupplementaryGroups") == "acme-store"
    for daemon in ("acme-keyd", "acme-verify", "acme-clientd", "acme-dnsd", "acme-store-pkcs11"):
        assert last(read(f"{daemon}.service"), "DynamicUser") == "yes"
    with_group = {name for name in SERVICES if "acme-key" in words(read(name), "SupplementaryGroups")}
    assert with_group == {"acme-clientd.service"}, "nobody else may ask for signatures"
    roots = {
        name
        for name in SERVICES
        if not (last(read(name), "User") or last(read(name), "DynamicUser")) and "firewall" not in name
    }
    assert roots == {
        "acme-privd.service",
        "acme-credential-key.service",
        "acme-store-file.service",
        "acme-store-unix.service",
    }


def test_who_has_a_network() -> None:
    with_network = {name for name in SERVICES if last(read(name), "PrivateNetwork") != "yes"}
    assert with_network == {
        "acme-clientd.service",
        "acme-dnsd.service",
        "acme-store-ssh.service",
        "acme-firewall@.service",
        "acme-firewall-iptables@.service",
    }


def test_the_key_of_credentials_is_made_before_it_is_needed() -> None:
    unit, privd = read("acme-credential-key.service"), read("acme-privd.service")
    assert last(unit, "ConditionPathExists") == "!/var/lib/systemd/credential.secret"
    glob = last(unit, "ConditionPathExistsGlob").removeprefix("!")
    sealed = [path for name, path in vars(paths).items() if name.endswith("_CREDENTIALS")]
    assert len(sealed) > 3
    assert [path for path in sealed if not (path / "file").match(glob)] == []
    assert not paths.ACCOUNT_CREDENTIALS.match(glob), "a fresh host has the directory"
    assert words(privd, "Wants") == ["acme-credential-key.service"]
    assert "acme-credential-key.service" in words(privd, "After")


def test_directories() -> None:
    made = {line.split()[1]: line.split()[2:5] for line in lines_of("acmed.tmpfiles")}
    assert made[str(paths.RUN)] == ["0755", "root", "root"]
    for answers in (paths.HTTP01_DIRECTORY, paths.ALPN01_DIRECTORY):
        assert made[str(answers)] == ["0755", "acmed", "acmed"]
    # Hooks are run as others, and what they run is root's alone to change.
    assert made[str(paths.HOOKS)] == ["0755", "root", "root"]
    assert made[str(paths.HOOK_CREDENTIALS)] == ["0700", "root", "root"]
    assert made[str(paths.CERTIFICATES)] == ["0755", "root", "root"]
    for secret in (
        paths.PRIV_STATE,
        paths.ACCOUNT_CREDENTIALS,
        paths.DNS_CREDENTIALS,
        paths.SSH_KEY_CREDENTIALS,
        paths.PASSPHRASE_CREDENTIALS,
        paths.PIN_CREDENTIALS,
    ):
        assert made[str(secret)] == ["0700", "root", "root"]
    for name in ("acme-privd.service", "acmed.service"):
        for path in words(read(name), "ReadWritePaths"):
            assert path in made, f"{name} cannot start without {path}"
    # Their names are those of acmed/keyd/credentials.py and acmed/privd/accounts/seal.py.
    assert words(read("acme-keyd.service"), "LoadCredentialEncrypted") == [
        f"{seal.ACCOUNT}:{paths.ACCOUNT_CREDENTIALS}",
        f"{seal.NEXT}:{paths.NEXT_ACCOUNT_CREDENTIALS}",
        f"{seal.BINDING}:{paths.BINDING_CREDENTIALS}",
    ]
    for sealed in (paths.ACCOUNT_CREDENTIALS, paths.NEXT_ACCOUNT_CREDENTIALS, paths.BINDING_CREDENTIALS):
        assert made[str(sealed)] == ["0700", "root", "root"]
        assert str(sealed) in words(read("acme-privd.service"), "ReadWritePaths")
    assert words(read("acme-dnsd.service"), "LoadCredentialEncrypted") == [f"tsig:{paths.DNS_CREDENTIALS}"]
    for store in ("acme-store-file.service", "acme-store-gpg.service"):
        assert words(read(store), "LoadCredentialEncrypted") == [f"passphrase:{paths.PASSPHRASE_CREDENTIALS}"]
    assert words(read("acme-store-pkcs11.service"), "LoadCredentialEncrypted") == [f"pin:{paths.PIN_CREDENTIALS}"]
    assert words(read("acme-store-ssh.service"), "LoadCredentialEncrypted") == [f"sshkey:{paths.SSH_KEY_CREDENTIALS}"]
    state = paths.MANAGER_STATE.relative_to("/var/lib")
    assert last(read("acmed.service"), "StateDirectory") == str(state)


def lines_of(name: str) -> list[str]:
    return [line for line in (UNITS / name).read_text().splitlines() if line and not line.startswith("#")]


def test_the_bus_starts_acmed() -> None:
    assert last(read("acmed.service"), "Alias") == "dbus-org.acmed1.service"


@pytest.mark.parametrize("name", EXPOSURE)
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here; the machines have it")
def test_exposure(name: str) -> None:
    answer = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / f"{name}.service")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", answer.stdout)
    assert found, answer.stdout + answer.stderr
    assert float(found[1]) <= EXPOSURE[name]
