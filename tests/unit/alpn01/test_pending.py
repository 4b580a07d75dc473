# SPDX-License-Identifier: LGPL-2.1-or-later
"""Only what acmed wrote is read, and only under the name that it is for."""

from pathlib import Path

import pytest

from acmed.alpn01.pending import Pending, Unreadable, read
from acmed.names import Identifier

AUTHORIZATION = f"{'t' * 43}.{'k' * 43}"
NAME = "www.example.com"
V4, V4_NAME = "192.0.2.7", "7.2.0.192.in-addr.arpa"
V6 = "2001:db8::1"
V6_NAME = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        (NAME, "dns", NAME),
        ("_x.xn--bcher-kva.example", "dns", "_x.xn--bcher-kva.example"),
        (V4_NAME, "ip", V4),
        (V6_NAME, "ip", V6),
    ],
)
def test_a_challenge(tmp_path: Path, name: str, kind: str, value: str) -> None:
    for end in ("", "\n"):
        (tmp_path / name).write_text(f"{value} {AUTHORIZATION}{end}")
        assert read(tmp_path, name) == Pending(Identifier(kind, value), AUTHORIZATION)


def test_nothing_is_pending(tmp_path: Path) -> None:
    assert read(tmp_path, NAME) is None
    assert read(tmp_path / "gone", NAME) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "localhost",
        "../secret.example",
        "/etc/passwd",
        "a/b.example",
        ".example.com",
        "www..com",
        "www.example.com.",
        "www.example.com\n",
        "-www.example.com",
        "WWW.example.com",
        "www.ex\u00e4mple.com",
        "a\0.example.com",
        f"{'a' * 64}.example.com",
        "a." * 126 + "aa",
    ],
)
def test_names_that_nobody_asks_for(tmp_path: Path, name: str) -> None:
    below = tmp_path / "alpn01"
    below.mkdir()
    (tmp_path / "secret.example").write_text(f"secret.example {AUTHORIZATION}")
    assert read(below, name) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        AUTHORIZATION,
        f"mail.example.com {AUTHORIZATION}",
        f"{V4} {AUTHORIZATION}",
        f"{NAME}  {AUTHORIZATION}",
        f"{NAME} {AUTHORIZATION}x",
        f"{NAME} {AUTHORIZATION}\n\n",
        f"{NAME} {AUTHORIZATION}\nmore",
        f"{NAME} {'t' * 43}",
        "\xff",
    ],
)
def test_files_that_acmed_did_not_write(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content, encoding="latin-1")
    with pytest.raises(Unreadable, match=NAME):
        read(tmp_path, NAME)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text(f"{NAME} {AUTHORIZATION}")
    (tmp_path / NAME).symlink_to("target")
    with pytest.raises(Unreadable):
        read(tmp_path, NAME)
