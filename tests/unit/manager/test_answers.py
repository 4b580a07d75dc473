# SPDX-License-Identifier: LGPL-2.1-or-later
"""What answers a challenge: names, values, files; and calls that must not be cut off."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from acmed.config import Account
from acmed.manager.challenges import files, sweep
from acmed.manager.challenges.alpn01 import server_name
from acmed.manager.challenges.calls import at_once, to_the_end
from acmed.manager.challenges.dns import lasting, validation
from acmed.manager.errors import Failure
from acmed.manager.places import Places
from acmed.names import Identifier

_ACCOUNT = Account("default", "https://ca.example/directory", uri="https://ca.example/acct/123")


def test_value_of_a_txt_record() -> None:
    """The token of RFC 8555 section 8.4 and the thumbprint of RFC 7638 section 3.1; the digest is openssl's."""
    token, thumbprint = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert validation(f"{token}.{thumbprint}") == "ZTRx1Ckl1-tM05o5zaizTTA0yUy5AGereMgSNWC6Ll8"


def test_lasting_record() -> None:
    assert lasting("authority.example", _ACCOUNT, wildcard=False) == (
        "authority.example; accounturi=https://ca.example/acct/123"
    )
    assert lasting("authority.example", _ACCOUNT, wildcard=True).endswith("; policy=wildcard")
    with pytest.raises(Failure, match="no URL yet"):
        lasting("authority.example", Account("new", "https://ca.example/directory"), wildcard=False)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("www.example.com", "www.example.com"),
        ("192.0.2.17", "17.2.0.192.in-addr.arpa"),
        ("2001:db8::1", f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa"),
    ],
)
def test_server_name(name: str, asked: str) -> None:
    assert server_name(Identifier.parse(name)) == asked


def test_files_can_be_read_by_the_responders(tmp_path: Path) -> None:
    path = tmp_path / "token"
    old = os.umask(0o077)
    try:
        files.write(path, "content")
    finally:
        os.umask(old)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("content", 0o644)
    files.write(path, "other")
    assert path.read_text() == "other"


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("as it was")
    (tmp_path / "token").symlink_to(tmp_path / "target")
    files.write(tmp_path / "token", "content")
    assert (tmp_path / "target").read_text() == "as it was"
    assert not (tmp_path / "token").is_symlink()


def test_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="Cannot write the answer to a challenge") as refused:
        files.write(tmp_path / "missing" / "token", "content")
    assert refused.value.name == "org.acmed1.Error.ChallengeUnavailable"


def test_sweep(tmp_path: Path) -> None:
    places = Places(tokens=tmp_path / "tokens", answers=tmp_path / "answers")
    sweep(places)  # neither is there
    for directory in (places.tokens, places.answers):
        directory.mkdir()
        (directory / "left").write_text("over")
    sweep(places)
    assert [*places.tokens.iterdir(), *places.answers.iterdir()] == []


def test_calls_that_have_begun_end_before_the_caller_goes_on() -> None:
    async def run() -> None:
        done, begun, gate = [], asyncio.Event(), asyncio.Event()

        async def call(number: int) -> None:
            begun.set()
            await gate.wait()
            done.append(number)

        work = asyncio.ensure_future(to_the_end([call(number) for number in range(20)]))
        await begun.wait()
        work.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not work.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert done == list(range(8))  # those that had begun, and no other

    asyncio.run(run())


def test_after_an_error_no_other_call_begins() -> None:
    async def run() -> None:
        done = []

        async def call(number: int) -> None:
            await asyncio.sleep(0)
            if number == 3:
                raise Failure("org.acmed1.Error.HookFailed", "no")
            await asyncio.sleep(0)
            done.append(number)

        with pytest.raises(Failure, match="no"):
            await to_the_end([call(number) for number in range(40)])
        assert {0, 1, 2} <= set(done) < set(range(40))

    asyncio.run(run())


def test_the_first_error_ends_the_others() -> None:
    async def run() -> None:
        ended = []

        async def wait() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("wait")

        async def fail() -> None:
            await asyncio.sleep(0)
            raise Failure("org.acmed1.Error.HookFailed", "no")

        with pytest.raises(Failure, match="no"):
            await at_once([wait(), fail()])
        assert ended == ["wait"]

    asyncio.run(run())
