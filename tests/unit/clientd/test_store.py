# SPDX-License-Identifier: LGPL-2.1-or-later
import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acmed.clientd.orders.store import KeptAuthorization, KeptOrder, Store
from acmed.names import Identifier

ORDER = KeptOrder(
    account="main",
    uri="https://ca.example/account/1",
    directory="https://ca.example/directory",
    identifiers=(Identifier("dns", "*.a.example"), Identifier("ip", "192.0.2.1")),
    csr_sha256="00" * 32,
    url="https://ca.example/order/1",
    finalize="https://ca.example/finalize/1",
    status="pending",
    authorizations=(
        KeptAuthorization(
            "https://ca.example/authz/1", Identifier("dns", "a.example"), True, "pending", ("https://c",)
        ),
    ),
)


def stored(directory: Path, order: KeptOrder = ORDER) -> Any:
    asyncio.run(Store(directory).save("www", order))
    return json.loads((directory / "www.json").read_bytes())


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "orders"
    stored(directory)
    assert asyncio.run(Store(directory).load("www")) == ORDER
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in directory.iterdir()] == ["www.json"]


def test_nothing_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "orders")
    assert asyncio.run(store.load("www")) is None
    asyncio.run(store.drop("www"))


def test_dropped(tmp_path: Path) -> None:
    stored(tmp_path)
    asyncio.run(Store(tmp_path).drop("www"))
    assert asyncio.run(Store(tmp_path).load("www")) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": 4},
        {"url": 5},
        {"url": None},
        {"certificate": 5},
        {"surprise": "field"},
        {"identifiers": [{"type": "dns"}]},
        {"identifiers": [{"type": "dns", "value": 1}]},
        {"authorizations": [{"url": "https://c"}]},
        {"authorizations": 3},
        {"csr_sha256": 5},
        {"profile": ["classic"]},
        {"replaced": 1},
    ],
)
def test_a_wrong_file_is_set_aside(tmp_path: Path, change: dict[str, Any]) -> None:
    value = stored(tmp_path) | change
    (tmp_path / "www.json").write_text(json.dumps(value))
    assert asyncio.run(Store(tmp_path).load("www")) is None
    assert [path.name for path in tmp_path.iterdir()] == ["www.broken"]


def test_moments_are_numbers(tmp_path: Path) -> None:
    value = stored(tmp_path)
    value["authorizations"][0]["expires"] = "2036-01-01T00:00:00Z"
    (tmp_path / "www.json").write_text(json.dumps(value))
    assert asyncio.run(Store(tmp_path).load("www")) is None


def test_a_file_of_the_first_version_is_read(tmp_path: Path) -> None:
    """An upgrade loses no order."""
    value = stored(tmp_path) | {"format": 1}
    del value["profile"]
    for authorization in value["authorizations"]:
        del authorization["expires"]
    (tmp_path / "www.json").write_text(json.dumps(value))
    assert asyncio.run(Store(tmp_path).load("www")) == ORDER


def test_all_that_can_be_kept_comes_back(tmp_path: Path) -> None:
    one = replace(ORDER.authorizations[0], expires=2)
    order = replace(ORDER, csr_sha256=None, url="", finalize="", profile="classic", authorizations=(one, one))
    stored(tmp_path, order)
    assert asyncio.run(Store(tmp_path).load("www")) == order


@pytest.mark.parametrize(("moments", "expected"), [((), None), ((None,), None), ((5, None, 3), 3), ((0, 7), 0)])
def test_when_the_first_authorization_expires(moments: tuple[int | None, ...], expected: int | None) -> None:
    items = tuple(replace(ORDER.authorizations[0], expires=moment) for moment in moments)
    assert replace(ORDER, authorizations=items).expires == expected


@pytest.mark.parametrize("content", [b"", b"\0" * 512, b"[]", b"null", b'{"format": 1', b"{}", b"[" * 100_000])
def test_a_broken_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "www.json").write_bytes(content)
    store = Store(tmp_path)
    assert asyncio.run(store.load("www")) is None
    assert (tmp_path / "www.broken").read_bytes() == content
    asyncio.run(store.save("www", ORDER))
    assert asyncio.run(store.load("www")) == ORDER


def test_an_interrupted_write_leaves_the_old_order(tmp_path: Path) -> None:
    stored(tmp_path)
    (tmp_path / ".www.json.new").write_text('{"format": 1, "acc')
    assert asyncio.run(Store(tmp_path).load("www")) == ORDER
