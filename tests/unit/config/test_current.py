# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who has been there for long knows the configuration of today."""

import time
from pathlib import Path

import pytest

from acmed.config.current import CurrentAccounts


def write(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'[account.{name}]\ndirectory = "letsencrypt"\nkey = "file:/etc/{name}.pem"\n' for name in names]
    new = path.with_suffix(".new")
    new.write_text("".join(lines))
    new.rename(path)


def test_it_changes(tmp_path: Path) -> None:
    accounts = CurrentAccounts(tmp_path)
    assert accounts.get("one") is None
    write(tmp_path / "acmed.toml", "one")
    assert str(accounts["one"].key) == "file:/etc/one.pem"
    assert accounts["one"] == accounts["one"]
    write(tmp_path / "acmed.toml.d" / "more.toml", "two")
    assert accounts.get("two")
    (tmp_path / "acmed.toml.d" / "more.toml").unlink()
    assert accounts.get("two") is None
    assert list(accounts) == ["one"]
    assert len(accounts) == 1


def key(accounts: CurrentAccounts, name: str) -> str:
    account = accounts.get(name)
    return str(account.key) if account else "none"


def test_what_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    """Somebody is in the middle of an edit: of a file, or of what another file says of the same account."""
    main, more = tmp_path / "acmed.toml", tmp_path / "acmed.toml.d" / "more.toml"
    write(main, "one", "two")
    more.parent.mkdir()
    more.write_text('[account.one]\nkey = "file:/etc/more.pem"\n')
    accounts = CurrentAccounts(tmp_path)
    for path in (main, more):
        right = path.read_text()
        for wrong in ("[account.one\n", right.replace('pem"', "pem"), "\udcff"):
            path.write_text(wrong, errors="surrogateescape")
            assert (key(accounts, "one"), key(accounts, "two")) == ("file:/etc/more.pem", "file:/etc/two.pem")
        path.write_text(right)
    more.unlink()
    assert key(accounts, "one") == "file:/etc/one.pem"
    main.write_text("")
    assert key(accounts, "one") == "none"


def test_two_changes_in_one_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which the second has the time of the first, as it may be with older kernels."""
    main = tmp_path / "acmed.toml"
    write(main, "one")
    same = [(str(main), 1, time.time_ns())]
    monkeypatch.setattr("acmed.config.current._stamp", lambda _: same)
    accounts = CurrentAccounts(tmp_path)
    write(main, "two")
    assert (key(accounts, "one"), key(accounts, "two")) == ("none", "file:/etc/two.pem")


def test_files_at_rest_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = tmp_path / "acmed.toml"
    write(main, "one")
    old = [(str(main), 1, time.time_ns() - 1_000_000_000)]
    monkeypatch.setattr("acmed.config.current._stamp", lambda _: old)
    accounts = CurrentAccounts(tmp_path)
    assert accounts["one"] is accounts["one"]


def test_a_table_that_moves_in_two_slips(tmp_path: Path) -> None:
    main, more = tmp_path / "acmed.toml", tmp_path / "acmed.toml.d" / "more.toml"
    write(main, "one")
    accounts = CurrentAccounts(tmp_path)
    text = main.read_text()
    more.parent.mkdir()
    more.write_text(text.replace("file:", "fiel:"))
    main.write_text("")
    assert key(accounts, "one") == "file:/etc/one.pem"
    more.write_text("[account.one\n")
    assert key(accounts, "one") == "file:/etc/one.pem"


def test_an_account_that_is_none_is_the_one_before(tmp_path: Path) -> None:
    """But others are as their tables say."""
    write(tmp_path / "acmed.toml", "one", "two", "three")
    accounts = CurrentAccounts(tmp_path)
    write(tmp_path / "acmed.toml", "one", "two")
    text = (tmp_path / "acmed.toml").read_text().replace("file:/etc/one.pem", "fiel:/etc/one.pem")
    (tmp_path / "acmed.toml").write_text(text.replace("two.pem", "second.pem"))
    found = [key(accounts, name) for name in ("one", "two", "three")]
    assert found == ["file:/etc/one.pem", "file:/etc/second.pem", "none"]


def test_a_file_that_has_nothing_to_do_with_it(tmp_path: Path) -> None:
    """It is broken for long, and others change."""
    write(tmp_path / "acmed.toml", "one", "two")
    accounts = CurrentAccounts(tmp_path)
    (tmp_path / "acmed.toml.d").mkdir()
    (tmp_path / "acmed.toml.d" / "broken.toml").write_text("[")
    (tmp_path / "acmed.toml.d" / "x.toml").symlink_to("nowhere")
    text = (tmp_path / "acmed.toml").read_text()
    (tmp_path / "acmed.toml").write_text(text.replace("two.pem", "second.pem"))
    assert (key(accounts, "one"), key(accounts, "two")) == ("file:/etc/one.pem", "file:/etc/second.pem")
    write(tmp_path / "acmed.toml", "two")
    assert (key(accounts, "one"), key(accounts, "two")) == ("none", "file:/etc/two.pem")


def test_a_dangling_link(tmp_path: Path) -> None:
    write(tmp_path / "acmed.toml", "one")
    (tmp_path / "acmed.toml.d").mkdir()
    (tmp_path / "acmed.toml.d" / "x.toml").symlink_to("nowhere")
    assert CurrentAccounts(tmp_path).get("one")
