# SPDX-License-Identifier: LGPL-2.1-or-later
"""A store that has been there for long knows the configuration of today."""

from pathlib import Path

from acmed.store.accounts import Accounts


def write(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'[account.{name}]\ndirectory = "letsencrypt"\nkey = "file:/etc/{name}.pem"\n' for name in names]
    new = path.with_suffix(".new")
    new.write_text("".join(lines))
    new.rename(path)


def test_it_changes(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    assert accounts.get("one") is None
    write(tmp_path / "acmed.toml", "one")
    assert str(accounts["one"].key) == "file:/etc/one.pem"
    assert accounts["one"] is accounts["one"], "it is read once"
    write(tmp_path / "acmed.toml.d" / "more.toml", "two")
    assert accounts.get("two")
    (tmp_path / "acmed.toml.d" / "more.toml").unlink()
    assert accounts.get("two") is None
    assert list(accounts) == ["one"]
    assert len(accounts) == 1


def test_a_dangling_link(tmp_path: Path) -> None:
    write(tmp_path / "acmed.toml", "one")
    (tmp_path / "acmed.toml.d").mkdir()
    (tmp_path / "acmed.toml.d" / "x.toml").symlink_to("nowhere")
    assert Accounts(tmp_path).get("one")
