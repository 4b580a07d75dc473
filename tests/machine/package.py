# SPDX-License-Identifier: LGPL-2.1-or-later
"""Build the Debian packages from the working tree, and install them in a machine."""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.machine import root
from tests.machine.machine import SEARCH_PATH, Machine
from tests.machine.scratch import Scratch

SOURCE = Path(__file__).parents[2]
DIST = SOURCE / "dist"

# The build may not write where only the packages belong, nor reach the network.
BUILD = """
set -eu
cd /build/source
dpkg-buildpackage --build=binary --no-sign
cd ..
lintian --allow-root --fail-on error,warning ./*.deb
mkdir dist
mv ./*.deb dist/
"""


def build_deb(out: Path = DIST, source: Path = SOURCE) -> list[Path]:
    """The packages of the working tree, in `out`; built only if the sources are not those of the last time.

    Of several at once one builds, and the others wait for it. Packages are replaced as they are: who has got the last
    ones may still install them.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = _source_files(source)
        digest = _digest(source, files)
        stamp = out / "source.sha256"
        if not (stamp.is_file() and stamp.read_text() == digest):
            stamp.unlink(missing_ok=True)
            built = _build(source, files, out)
            for old in out.glob("*.deb"):
                if old.name not in built:
                    old.unlink()
            stamp.write_text(digest)
        return sorted(out.glob("*.deb"))


def install(machine: Machine, debs: Sequence[Path]) -> None:
    """Install packages in a machine, without network: what they depend on is in its root."""
    targets = [f"/var/tmp/{deb.name}" for deb in debs]
    for deb, target in zip(debs, targets, strict=True):
        machine.put(deb, target)
    machine.run(
        ["apt-get", "--quiet", "--yes", "--no-install-recommends", "install", *targets],
        env={"DEBIAN_FRONTEND": "noninteractive"},
        timeout=180,
    )
    machine.run(["rm", *targets])


def install_at_rest(machine: Machine, debs: Sequence[Path]) -> None:
    """The same without the timer, which would renew in the middle of what a test counts, or has stopped."""
    install(machine, debs)
    machine.run(["systemctl", "--quiet", "disable", "--now", "acme-renew.timer"])


def _source_files(source: Path) -> list[str]:
    """What git has or would take, as far as it exists."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=source, stdout=subprocess.PIPE, text=True, check=True).stdout
    names = sorted(set(filter(None, listing.split("\0"))))
    return [name for name in names if (source / name).is_file() or (source / name).is_symlink()]


def _digest(source: Path, files: list[str]) -> str:
    digest = hashlib.sha256()
    for name in files:
        path = source / name
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        digest.update(f"{name}\0{path.lstat().st_mode:o}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _build(source: Path, files: list[str], out: Path) -> set[str]:
    """Build in a throw-away view of the build root, with no network. Returns the names of the packages."""
    with root.use("build") as tree, contextlib.closing(Scratch(tree)) as scratch:
        target = scratch.root / "build" / "source"
        for name in files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name, follow_symlinks=False)
        scratch.cgroup.create()
        command = [
            "systemd-nspawn",
            "--quiet",
            f"--directory={scratch.root}",
            f"--machine={scratch.name}",
            "--as-pid2",
            "--private-network",
            "--register=no",
            "--keep-unit",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
            "--console=pipe",
            "--setenv=LC_ALL=C.UTF-8",
            "sh",
            "-c",
            BUILD,
        ]
        builder = subprocess.run(
            scratch.cgroup.launch(*command),
            stdin=subprocess.DEVNULL,
            check=False,
            start_new_session=True,
            env={"PATH": SEARCH_PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        if builder.returncode != 0:
            raise RuntimeError(f"the package build ended with status {builder.returncode}; its output is above")
        built = list((scratch.root / "build" / "dist").glob("*.deb"))
        for deb in built:
            part = out / f"{deb.name}.part"
            shutil.copy(deb, part)
            part.replace(out / deb.name)
        return {deb.name for deb in built}
