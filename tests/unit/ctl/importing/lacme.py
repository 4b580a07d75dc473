# SPDX-License-Identifier: LGPL-2.1-or-later
"""An installation of lacme in a directory, and an /etc/acmed beside it that it is imported into."""

from dataclasses import dataclass
from pathlib import Path

from acmed.config import Configuration, load
from acmed.ctl.exits import Exit
from acmed.ctl.importing.command import import_lacme
from acmed.ctl.importing.plan import Places, Plan, make
from acmed.ctl.importing.report import Fate
from acmed.ctl.output import Output


@dataclass
class Lacme:
    """Files are given by their paths below /etc/lacme."""

    directory: Path

    def __post_init__(self) -> None:
        for name in ("acmed", "lacme", "lacme/lacme-certs.conf.d", "usr", "root"):
            (self.directory / name).mkdir(exist_ok=True)
        key = self.write("account.key", "-----BEGIN PRIVATE KEY-----\n")
        key.chmod(0o600)
        self.write("accountd.conf", f"privkey = file:{key}\n")
        self.main()
        self.write("lacme-certs.conf", "")

    @property
    def source(self) -> Path:
        return self.directory / "lacme/lacme.conf"

    @property
    def etc(self) -> Path:
        return self.directory / "acmed"

    @property
    def places(self) -> Places:
        path = self.directory
        return Places(self.etc, path / "usr", path / "units", path / "sealed", path / "root")

    def main(self, text: str = "", accountd: str = "") -> None:
        """lacme.conf with an account whose key is in a file, and text before that."""
        self.write("lacme.conf", f"{text}\n[accountd]\nconfig = {self.directory}/lacme/accountd.conf\n{accountd}\n")

    def certificates(self, *lines: str, file: str = "lacme-certs.conf") -> None:
        """A section [www] that is whole with these lines; later ones count more."""
        tls = self.directory / "tls"
        tls.mkdir(exist_ok=True)
        base = (
            f"certificate-key = {tls}/www.key",
            f"certificate-chain = {tls}/www.pem",
            "subject = /CN=www.example.com",
        )
        self.write(file, "\n".join(["[www]", *base, *lines, ""]))

    def write(self, name: str, text: str) -> Path:
        path = self.directory / "lacme" / name
        path.write_text(text)
        return path

    def plan(self) -> Plan:
        """What would be done; all that the files say is told of."""
        plan = make(self.source, self.places)
        assert {entry.setting for entry in plan.report.entries} >= set(plan.lacme.settings())
        return plan

    def run(self, dry_run: bool = False, output: Output | None = None) -> Configuration:
        """What the import makes of it, as acmed reads it."""
        assert import_lacme(output or Output(quiet=True), self.source, dry_run, self.places) is Exit.DONE
        loaded = load(self.etc, self.directory / "usr")
        assert loaded.problems == ()
        return loaded.configuration


def fates(plan: Plan) -> dict[str, tuple[Fate, str]]:
    """What becomes of each setting, by its key; of the last one where there are more of a key."""
    return {entry.setting.key: (entry.fate, entry.text) for entry in plan.report.entries}
