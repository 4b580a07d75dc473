# SPDX-License-Identifier: LGPL-2.1-or-later
"""Root trees, built once by mmdebstrap and kept outside the repository; nothing ever writes into a finished one."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.machine.recipes import RECIPES, Recipe
from tests.machine.signals import exit_on_signals

LOG_TAIL = 4000


def cache_directory() -> Path:
    """Where the trees are."""
    return Path(os.environ.get("ACMED_MACHINE_CACHE", "/var/cache/acmed-machine"))


@contextlib.contextmanager
def use(name: str) -> Iterator[Path]:
    """The tree called `name`, built first if need be; it stays for as long as the context does."""
    exit_on_signals()
    recipe = RECIPES[name]
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    tree = cache / recipe.key
    with tree.with_name(f"{tree.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        while not tree.is_dir():
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not tree.is_dir():
                _build(recipe, tree, lock.fileno())
                _prune(recipe, tree)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield tree


def _build(recipe: Recipe, tree: Path, lock: int) -> None:
    """Build beside the final place and rename, so that a tree that exists is whole.

    mmdebstrap inherits the lock: should we be killed, nobody builds over it while it still works. Its mounts and
    processes are in namespaces of its own, and end with it.
    """
    partial = tree.with_name(f"{tree.name}.partial")
    log = tree.with_name(f"{tree.name}.log")
    _remove(partial)
    print(f"Building the root tree {recipe.name} (log: {log}) ...", file=sys.stderr, flush=True)
    try:
        with log.open("wb") as output:
            builder = subprocess.run(
                ["unshare", "--mount", "--pid", "--mount-proc", "--kill-child", *recipe.command(partial)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                pass_fds=[lock],
                start_new_session=True,
            )
        if builder.returncode != 0:
            tail = log.read_text(errors="replace")[-LOG_TAIL:]
            raise RuntimeError(f"mmdebstrap failed with status {builder.returncode}:\n{tail}")
        partial.rename(tree)
    finally:
        _remove(partial)


def _prune(recipe: Recipe, current: Path) -> None:
    """Remove trees of earlier recipes of this name, unless somebody uses them."""
    for lock_file in current.parent.glob(f"{recipe.name}-*.lock"):
        tree = lock_file.with_suffix("")
        if tree == current:
            continue
        with lock_file.open("w") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(tree)


def _remove(tree: Path) -> None:
    """Remove a tree, but never anything that is mounted below it."""
    subprocess.run(["rm", "-rf", "--one-file-system", "--", str(tree)], check=True)
