# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs that acme-privd has transient units run in somebody else's directory (acmed.oneshot)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(module: str, directory: Path, **order: Any) -> str:
    """What it says is wrong."""
    status = directory.stat() if directory.exists() else Path("/").stat()
    place = {"directory": str(directory), "device": status.st_dev, "inode": status.st_ino}
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(place | order),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr.strip()
