# SPDX-License-Identifier: LGPL-2.1-or-later
"""A configuration below a temporary directory."""

from pathlib import Path

from acmed.config import Loaded, load

STAGING = '[account.staging]\ndirectory = "letsencrypt-staging"\n'
NGINX = '[service.nginx]\nunits = ["nginx.service"]\n'


class Place:
    """etc and usr, with an account and a service if nothing else is said."""

    def __init__(self, root: Path, main: str = STAGING, shipped: str = NGINX) -> None:
        self.etc, self.usr = root / "etc", root / "usr"
        for directory in (self.etc / "acmed.toml.d", self.etc / "certificates.d", self.usr / "services.d"):
            directory.mkdir(parents=True)
        self.write("acmed.toml", main)
        if shipped:
            (self.usr / "services.d/shipped.toml").write_text(shipped)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.etc / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o644)
        return path

    def load(self) -> Loaded:
        return load(self.etc, self.usr)

    def problems(self) -> list[tuple[str, int, str, str]]:
        """Each as file, relative to etc or usr, line, message and hint."""
        return [
            (
                p.path.name if p.path.parent == self.etc else f"{p.path.parent.name}/{p.path.name}",
                p.line,
                p.message,
                p.hint,
            )
            for p in self.load().problems
        ]
