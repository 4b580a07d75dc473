# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted Debian with systemd as its PID 1, that leaves nothing behind."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.machine import root, waiting
from tests.machine.scratch import Scratch

T = TypeVar("T")

BOOT_TIMEOUT = 60
STOP_TIMEOUT = 20
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POWER_OFF = signal.SIGRTMIN + 4


class CommandFailed(Exception):
    """A command in the machine ended with a status other than 0; what it said is in the message."""

    def __init__(self, result: subprocess.CompletedProcess[str]) -> None:
        super().__init__(
            f"{shlex.join(result.args)}: status {result.returncode}\n{result.stdout.rstrip()}\n{result.stderr.rstrip()}"
        )
        self.result = result


class Machine:
    """A throw-away machine: `with Machine() as machine: machine.run([...])`.

    Its files are a copy-on-write view of a cached root, in memory; it has a network of its own with nothing but
    loopback. `release` is trixie, bookworm, or bench: trixie with other ACME clients.
    """

    def __init__(self, release: str = "trixie") -> None:
        self.release = release
        self._resources = contextlib.ExitStack()
        self._scratch: Scratch
        self._container: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def name(self) -> str:
        """The machine's own name; no other has it at the same time."""
        return self._scratch.name

    @property
    def pid(self) -> int:
        """The process id, on the host, of the machine's PID 1."""
        return self._pid

    def start(self) -> None:
        """Boot, and return when systemd says that it is up (running or degraded)."""
        try:
            tree = self._resources.enter_context(root.use(self.release))
            self._scratch = self._resources.enter_context(contextlib.closing(Scratch(tree)))
            self._boot()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Power off, and remove everything."""
        with self._resources:
            self._power_off()

    def reboot(self) -> None:
        """Power off and boot again with the same files; /run and all processes are new."""
        self._power_off()
        self._boot()

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        input: str | None = None,
        check: bool = True,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine, as root or as `user`, with a clean environment and no terminal."""
        command, environment = self._enter(argv, user, env)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment,
        )
        with process:
            try:
                stdout, stderr = process.communicate(input, timeout)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        result = subprocess.CompletedProcess(list(argv), process.returncode, stdout, stderr)
        if check and result.returncode != 0:
            raise CommandFailed(result)
        return result

    def popen(
        self, argv: Sequence[str], *, user: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a command in the machine, with pipes for stdin and for stdout and stderr together.

        Ending it is the caller's; it is killed when the machine stops or reboots, before any unit is.
        """
        command, environment = self._enter(argv, user, env)
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=environment,
        )
        self._started.append(process)
        return process

    def attach(self, argv: Sequence[str]) -> int:
        """Run a command of root's on the terminal that we have, and answer with its status."""
        command, environment = self._enter(argv, None, {"TERM": os.environ.get("TERM", "dumb")})
        return subprocess.run(command, check=False, env=environment).returncode

    def shell(self) -> int:
        """Give our terminal to a root shell in the machine."""
        return self.attach(["bash", "-l"])

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of root's, and the directories above it."""
        self.run(["install", "-D", "-m", f"{mode:o}", "/dev/stdin", path], input=text)

    def read(self, path: str) -> str:
        """What a file says."""
        return self.run(["cat", "--", path]).stdout

    def put(self, local: Path, path: str) -> None:
        """Copy a file of the host, of any content, into the machine."""
        command, environment = self._enter(["install", "-D", "-m", "644", "/dev/stdin", path], None, None)
        with local.open("rb") as source:
            subprocess.run(command, stdin=source, check=True, env=environment)

    def wait_until(self, description: str, predicate: Callable[[], T], timeout: float = 30) -> T:
        """Poll until `predicate` answers something true; TimeoutError names the description."""
        return waiting.wait_until(description, predicate, timeout)

    def journal(self, unit: str | None = None, lines: int | None = None) -> str:
        """The journal of this boot, of one unit or of all, or the last `lines` of it."""
        options = [f"--unit={unit}"] if unit else []
        options += [f"--lines={lines}"] if lines else []
        return self.run(["journalctl", "--boot", "--no-pager", "--output=short-precise", *options]).stdout

    def journal_cursor(self) -> str:
        """Where the journal ends now."""
        entry = json.loads(self.run(["journalctl", "--lines=1", "--output=json"]).stdout)
        return str(entry["__CURSOR"])

    def journal_after(self, cursor: str, *options: str) -> str:
        """What journalctl with these options shows of what came since."""
        self.run(["journalctl", "--sync"])
        return self.run(["journalctl", "--quiet", f"--after-cursor={cursor}", *options], check=False).stdout

    def _boot(self) -> None:
        command = [
            "systemd-nspawn",
            "--quiet",
            f"--directory={self._scratch.root}",
            f"--machine={self.name}",
            "--hostname=machine.test",
            "--boot",
            "--private-network",
            "--register=no",
            "--keep-unit",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
            "--console=read-only",
        ]
        console = self._scratch.directory / "console"
        self._scratch.cgroup.create()
        with console.open("wb") as output:
            self._container = subprocess.Popen(
                self._scratch.cgroup.launch(*command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={"PATH": SEARCH_PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        try:
            self._pid = waiting.wait_until("systemd to start", self._find_pid, BOOT_TIMEOUT)
            waiting.wait_until("the machine to be up", self._is_up, BOOT_TIMEOUT)
        except (TimeoutError, RuntimeError) as error:
            error.add_note(console.read_text(errors="replace"))
            raise

    def _find_pid(self) -> int:
        """The machine's PID 1, as soon as it is systemd; 0 until then."""
        container = self._running_container()
        for child in Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                lines = Path(f"/proc/{child}/status").read_text().splitlines()
                status = dict(line.split(":\t", 1) for line in lines)
                if status["Name"] == "systemd" and status["NSpid"].split()[1:] == ["1"]:
                    return int(child)
        return 0

    def _is_up(self) -> bool:
        state = self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout=BOOT_TIMEOUT)
        return state.stdout.strip() in ("running", "degraded")

    def _running_container(self) -> subprocess.Popen[bytes]:
        if self._container is None or self._container.poll() is not None:
            raise RuntimeError("the machine is not running")
        return self._container

    def _power_off(self) -> None:
        """Ask PID 1 to power off; kill everything if it does not."""
        if self._container is None:
            return
        container, self._container = self._container, None
        try:
            self._kill_started()
            if self._pid:
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.kill(self._pid, POWER_OFF)
                    container.wait(STOP_TIMEOUT)
        finally:
            self._pid = 0
            self._scratch.cgroup.remove()
            container.wait()

    def _kill_started(self) -> None:
        """Kill what `popen` started and still runs.

        A machine that powers off stops all its processes before it ends them; nsenter then stops too, for good, and
        the machine would wait for it.
        """
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        self._started.clear()

    def _enter(
        self, argv: Sequence[str], user: str | None, env: Mapping[str, str] | None
    ) -> tuple[list[str], dict[str, str]]:
        """The host's command and environment that run `argv` in the machine's namespaces and control group."""
        self._running_container()
        home = "/root"
        identity: list[str] = []
        if user:
            _, _, uid, gid, _, home, _ = self.run(["getent", "passwd", user]).stdout.rstrip("\n").split(":")
            identity = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--init-groups", "--"]
        enter = ["nsenter", f"--target={self._pid}", "--all", "--", *identity, *argv]
        environment = {"PATH": SEARCH_PATH, "HOME": home, "LANG": "C.UTF-8", **(env or {})}
        return self._scratch.cgroup.launch(*enter, leaf="commands"), environment
