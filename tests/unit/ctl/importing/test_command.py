# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl import lacme: what it prints, what it writes, and what it leaves alone."""

import json
import os
from pathlib import Path

import pytest

from acmed.config import load, sandbox
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.importing import command, dropin, writing
from acmed.ctl.importing import plan as plans
from acmed.ctl.importing.command import import_lacme
from acmed.ctl.importing.plan import Places, Plan
from acmed.ctl.output import Output
from tests.unit.ctl.importing.lacme import Lacme

OTHER = '[account.other]\ndirectory = "letsencrypt-staging"\n'


@pytest.fixture
def lacme(tmp_path: Path) -> Lacme:
    lacme = Lacme(tmp_path)
    lacme.certificates("notify = systemctl reload nginx")
    return lacme


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def refused(lacme: Lacme, dry_run: bool = False) -> CommandError:
    """The error; nothing has changed."""
    before = files(lacme.directory)
    with pytest.raises(CommandError) as caught:
        import_lacme(Output(quiet=True), lacme.source, dry_run, lacme.places)
    assert files(lacme.directory) == before
    return caught.value


def test_dry_run(lacme: Lacme, capsys: pytest.CaptureFixture[str]) -> None:
    lacme.run(dry_run=True, output=Output(colour="never"))
    assert files(lacme.etc) == set()
    said = capsys.readouterr().out
    for expected in (
        "lacme-certs.conf:2: [www] certificate-key = ",
        'key-file = "',
        "[service.lacme-www]",
        "acmectl account add lacme --agree-tos\n  acmectl order --name www\n",
        "Nothing was written.",
    ):
        assert expected in said


def test_written(lacme: Lacme, capsys: pytest.CaptureFixture[str]) -> None:
    lacme.run(output=Output(colour="never"))
    there = {"acmed.toml.d/lacme.toml", "acmed.toml.d/account-lacme.toml", "certificates.d/www.toml"}
    assert files(lacme.etc) == there
    assert {(lacme.etc / name).stat().st_mode & 0o777 for name in there} == {0o644}
    said = capsys.readouterr().out
    assert all(f"Wrote {lacme.etc / name}" in said for name in there)
    assert "[service.lacme-www]" not in said


def test_umask(lacme: Lacme) -> None:
    before = os.umask(0o077)
    try:
        lacme.run()
    finally:
        os.umask(before)
    assert (lacme.etc / "certificates.d").stat().st_mode & 0o777 == 0o755


def test_json(lacme: Lacme, capsys: pytest.CaptureFixture[str]) -> None:
    lacme.run(dry_run=True, output=Output(json=True))
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {
        *("written", "files", "settings", "errors", "notes", "tasks", "problems", "commands"),
    }
    assert document["written"] is False
    assert {Path(one["path"]).name: one["mode"] for one in document["files"]} == {
        "lacme.toml": "0644",
        "account-lacme.toml": "0644",
        "www.toml": "0644",
    }
    first = next(one for one in document["settings"] if one["key"] == "notify")
    assert first["section"] == "www"
    assert (first["line"], first["value"], first["fate"]) == (5, "systemctl reload nginx", "kept")
    lacme.run(output=Output(json=True))
    assert json.loads(capsys.readouterr().out)["written"] is True


def test_quiet(lacme: Lacme, capsys: pytest.CaptureFixture[str]) -> None:
    lacme.run(output=Output(quiet=True))
    assert capsys.readouterr() == ("", "")


def test_nothing_is_overwritten(lacme: Lacme) -> None:
    path = lacme.etc / "certificates.d/www.toml"
    path.parent.mkdir()
    path.write_text('names = ["a.example"]\naccount = "other"\n')
    (lacme.etc / "acmed.toml").write_text(OTHER)
    assert f"{path} is there already, and is not overwritten" in refused(lacme).message
    assert f"{path} is there already, and is not overwritten" in refused(lacme, dry_run=True).message
    assert "a.example" in path.read_text()


def test_dangling_link(lacme: Lacme) -> None:
    (lacme.etc / "acmed.toml.d").mkdir()
    (lacme.etc / "acmed.toml.d/lacme.toml").symlink_to("/nonexistent")
    assert "is there already" in refused(lacme).message


def test_twice(lacme: Lacme) -> None:
    lacme.run()
    assert refused(lacme).message.count("is there already, and is not overwritten") == 3


@pytest.mark.parametrize("table", ['[account.lacme]\ndirectory = "letsencrypt"\n', "[service.lacme-www]\n"])
def test_table_of_the_same_name(lacme: Lacme, table: str) -> None:
    (lacme.etc / "acmed.toml").write_text(f"# mine\n{table}")
    assert f"{lacme.etc}/acmed.toml:2 has {table.splitlines()[0]} already" in refused(lacme).message


def test_all_or_nothing(lacme: Lacme, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third file cannot be written: the others, and their directories, are gone again."""
    link = os.link
    written: list[Path] = []

    def failing(source: str, target: Path) -> None:
        if len(written) == 2:
            raise OSError(28, "No space left on device", str(target))
        written.append(target)
        link(source, target)

    monkeypatch.setattr(os, "link", failing)
    error = refused(lacme)
    assert "No space left on device" in error.message
    assert error.hint == "Nothing was written."
    assert [path.name for path in lacme.etc.iterdir()] == []


def test_file_that_appears_meanwhile(lacme: Lacme, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "existing", lambda found: [])
    path = lacme.etc / "certificates.d/www.toml"
    monkeypatch.setattr(command, "_print", lambda *_, **__: None)

    def make(source: Path, places: Places) -> Plan:
        plan = plans.make(source, places)
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        return plan

    monkeypatch.setattr(command, "make", make)
    with pytest.raises(CommandError, match=r"www\.toml: File exists"):
        import_lacme(Output(), lacme.source, False, lacme.places)
    assert files(lacme.etc) == {"certificates.d/www.toml"}
    assert path.read_text() == "mine"


def test_not_root(lacme: Lacme, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    error = refused(lacme)
    assert (error.exit_code, error.message) == (Exit.NOT_AUTHORISED, "Only root may write acmed's configuration.")
    lacme.run(dry_run=True)


def test_unreadable(lacme: Lacme) -> None:
    lacme.source.unlink()
    error = refused(lacme)
    assert (error.exit_code, error.message) == (Exit.FAILED, f"{lacme.source}: No such file or directory")


def test_all_that_is_wrong_is_told_at_once(lacme: Lacme) -> None:
    lacme.main("[client]\nserver = http://ca.example/dir")
    lacme.certificates("certificate = www.pem", "subject = /CN=localhost")
    message = refused(lacme).message
    assert [line.partition(": ")[2].partition(" = ")[0] for line in message.splitlines()] == [
        "[client] server",
        "[www] subject",
        "[www] certificate",
    ]


def test_other_certificates_keep_their_account(lacme: Lacme) -> None:
    """With a second account, the only one would be the default one no more."""
    (lacme.etc / "acmed.toml").write_text(OTHER)
    (lacme.etc / "certificates.d").mkdir()
    (lacme.etc / "certificates.d/mine.toml").write_text('names = ["a.example"]\n')
    configuration = lacme.run()
    assert configuration.certificates["mine"].account == "other"
    assert configuration.certificates["www"].account == "lacme"


def test_what_acmed_says_already_stays(lacme: Lacme) -> None:
    (lacme.etc / "acmed.toml").write_text(
        f'firewall = "auto"\n[defaults]\naccount = "other"\n[http01]\nmode = "standalone"\n{OTHER}'
    )
    lacme.main("[webserver]\nlisten = 0.0.0.0:80\niptables = No\n")
    notes = "\n".join(lacme.plan().report.notes)
    assert f"firewall is not written: {lacme.etc}/acmed.toml:1 has it" in notes
    assert f"[http01] mode is not written: {lacme.etc}/acmed.toml:5 has it" in notes
    assert lacme.run().firewall
    assert (lacme.etc / "acmed.toml.d/lacme.toml").read_text().count("\n[") == 1


def test_problems_of_before_do_not_stand_in_the_way(lacme: Lacme) -> None:
    (lacme.etc / "acmed.toml").write_text("nonsense = 1\n")
    assert import_lacme(Output(quiet=True), lacme.source, False, lacme.places) is Exit.DONE
    assert "www" in load(lacme.etc, lacme.directory / "usr").configuration.certificates


def test_what_is_to_be_done_on_the_host(lacme: Lacme) -> None:
    (lacme.directory / "lacme/account.key").chmod(0o644)
    lacme.certificates("certificate-key = /nonexistent/www.key")
    problems = lacme.plan().problems
    said = {problem.message for problem in problems}
    assert f"the key {lacme.directory}/lacme/account.key may be read or written by others than root" in said
    assert "the key /nonexistent/www.key is not there" in said
    assert {problem.path.parent.parent for problem in problems} == {lacme.etc}, "not where it was tried"


def test_drop_in(lacme: Lacme, monkeypatch: pytest.MonkeyPatch) -> None:
    """For where acme-privd may not write; with it, nothing is to be done there."""
    (lacme.directory / 'tls "%').mkdir()
    own = Path("/var/lib/acme")
    for module in (dropin, sandbox):
        monkeypatch.setattr(module, "read_write_paths", lambda: (own,))
    monkeypatch.setattr("acmed.config.check.read_write_paths", lambda: (own,))
    lacme.certificates(f'certificate = {lacme.directory}/tls "%/www.crt')
    plan = lacme.plan()
    assert not [problem for problem in plan.problems if "may not write" in problem.message]
    assert plan.commands[0] == "systemctl daemon-reload && systemctl try-restart acme-privd.service"
    lacme.run()
    text = (lacme.directory / "units/acme-privd.service.d/lacme.conf").read_text()
    first, second = f"-{lacme.directory}/tls", f'-{lacme.directory}/tls \\"%%'
    assert text.endswith(f'[Service]\nReadWritePaths="{first}"\nReadWritePaths="{second}"\n')
    paths = sandbox.from_files((lacme.directory,))
    assert paths is None, "only the drop-in is there, no unit"


def test_drop_in_tells_what_else_it_opens(lacme: Lacme, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropin, "read_write_paths", lambda: (Path("/var/lib/acme"),))
    tls = lacme.directory / "tls"
    told = f"{lacme.directory}/units/acme-privd.service.d/lacme.conf lets acme-privd.service write in all of {tls}"
    assert told in lacme.plan().report.notes, "nothing else is there"
    for name in ("www.pem", "www.key", "nginx.conf", "mime.types"):
        (tls / name).touch()
    (tls / "sites").mkdir()
    better = f"a directory for certificates alone, such as {tls}/certificates, would be better"
    notes = lacme.plan().report.notes
    assert f"{told}, where mime.types, nginx.conf, sites are too; {better}" in notes
    (tls / "other").touch()
    assert any("where mime.types, nginx.conf, other and 1 more are too;" in one for one in lacme.plan().report.notes)


@pytest.mark.parametrize(
    "path", ["/etc/www.pem", "/www.pem", "/usr/share/www.pem", "/var/lib/www.pem", "/etc/ssl/certs/www.pem"]
)
def test_directories_of_all_are_not_opened(lacme: Lacme, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """It is said what to do instead."""
    for module in ("acmed.ctl.importing.dropin", "acmed.config.check"):
        monkeypatch.setattr(f"{module}.read_write_paths", lambda: (Path("/var/lib/acme"), lacme.directory))
    lacme.certificates(f"certificate = {path}")
    plan = lacme.plan()
    assert not [file for file in plan.files if "ReadWritePaths" in file.text]
    directory = Path(path).parent
    assert [problem.message for problem in plan.problems if "not to be let" in problem.message] == [
        f"certificate www has files in {directory}, where acme-privd.service may not write, and is not to be let:"
        " many programs have their files there"
    ]
    assert not [command for command in plan.commands if "daemon-reload" in command]


def test_what_runs_lacme_is_found(lacme: Lacme) -> None:
    root = lacme.directory / "root"
    for name, text in {
        "etc/cron.d/lacme": "# lacme\n5 4 * * * root /usr/sbin/lacme -q newOrder\n",
        "etc/cron.d/other": "5 4 * * * root /usr/bin/lacme-accountd --quiet; ls /etc/lacme.conf\n",
        "var/spool/cron/crontabs/root": "@daily lacme --min-days=7 --config-certs x new-cert\n",
        "etc/systemd/system/renew.service": "[Service]\nExecStart=/usr/sbin/lacme newOrder\n",
        "etc/systemd/system/renew.timer": "[Timer]\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert any("gives lacme --min-days=7, --config-certs x, which" in note for note in lacme.plan().report.notes)
    assert lacme.plan().commands[-3:] == (
        f"# remove line 2 of {root}/etc/cron.d/lacme: 5 4 * * * root /usr/sbin/lacme -q newOrder",
        f"# remove line 1 of {root}/var/spool/cron/crontabs/root: @daily lacme --min-days=7 --config-certs x new-cert",
        "systemctl disable --now renew.timer",
    )
