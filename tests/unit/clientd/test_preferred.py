# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which of a CA's chains is taken."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from acmed.clientd.orders.chains import Preference
from tests.unit.clientd import faults
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.https import Reply
from tests.unit.clientd.issuers import Issued, issue
from tests.unit.clientd.rig import QUICK, Rig, http01


@dataclass(frozen=True)
class Chains:
    """An intermediate with one key and two roots' signatures, as of a CA that changes its root."""

    roots: tuple[Issued, Issued]
    middles: tuple[Issued, Issued]
    leaf: Issued

    def pem(self, which: int) -> bytes:
        return self.leaf.pem + self.middles[which].pem


@pytest.fixture(scope="session")
def chains() -> Chains:
    roots = issue("Old Root"), issue("New Root")
    middles = issue("Middle X1", roots[0]), issue("Middle X1", roots[1])
    return Chains(roots, middles, issue("a.example", middles[0]))


Wish = Callable[[Chains], str]
NEW: dict[str, Wish] = {
    "the name of the root": lambda chains: "New Root",
    "the intermediate": lambda chains: chains.middles[1].sha256,
    "the same as openssl prints it": lambda chains: bytes.fromhex(chains.middles[1].sha256).hex(":").upper(),
    "a root that is known here": lambda chains: chains.roots[1].sha256,
}


async def issued(rig: Rig, preferred: str | None) -> str:
    return await rig.finalize(http01(await rig.order()), preferred=preferred)


@pytest.mark.parametrize("wish", NEW.values(), ids=NEW.keys())
def test_an_alternate_is_taken(play: Play, chains: Chains, tmp_path: Path, wish: Wish) -> None:
    async def scenario(rig: Rig) -> None:
        trust(rig, chains, tmp_path)
        rig.ca.chains = [chains.pem(0), chains.pem(1)]
        assert await issued(rig, wish(chains)) == chains.pem(1).decode()
        assert rig.ca.counts()["certificate"] == 2

    play(scenario)


@pytest.mark.parametrize("wish", NEW.values(), ids=NEW.keys())
def test_the_default_is_the_one(play: Play, chains: Chains, tmp_path: Path, wish: Wish) -> None:
    async def scenario(rig: Rig) -> None:
        trust(rig, chains, tmp_path)
        rig.ca.chains = [chains.pem(1), chains.pem(0)]
        assert await issued(rig, wish(chains)) == chains.pem(1).decode()
        assert rig.ca.counts()["certificate"] == 1

    play(scenario)


def trust(rig: Rig, chains: Chains, tmp_path: Path) -> None:
    """Both roots are known here, besides the certificate of the CA's web server."""
    account = rig.accounts["main"]
    assert account.ca_file
    path = tmp_path / "ca.pem"
    path.write_bytes(account.ca_file.read_bytes() + chains.roots[0].pem + chains.roots[1].pem)
    rig.accounts["main"] = replace(account, ca_file=path)


def test_without_a_wish_nothing_is_looked_at(play: Play, chains: Chains) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.chains = [chains.pem(0), chains.pem(1)]
        assert await issued(rig, None) == chains.pem(0).decode()
        assert rig.ca.counts()["certificate"] == 1

    play(scenario)


@pytest.mark.parametrize("wish", ["Middle X1", "new root", "New", "00" * 32, "a.example"])
def test_none_fits(play: Play, chains: Chains, wish: str) -> None:
    """The default is taken, and that is said. An intermediate's name is no root's; case counts."""

    async def scenario(rig: Rig) -> None:
        rig.ca.chains = [chains.pem(0), chains.pem(1)]
        assert await issued(rig, wish) == chains.pem(0).decode()
        assert f"the CA has no chain with {wish!r}; its default is used" in [step["detail"] for step in rig.steps]
        assert rig.ca.counts()["certificate"] == 2

    play(scenario)


BROKEN = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "fault",
    [
        faults.page(200),
        faults.page(404),
        faults.refuse(Refusal(404, "malformed")),
        faults.refuse(Refusal(429, "rateLimited"), "3600"),
        lambda _: Reply(200, {"Content-Type": "application/pem-certificate-chain"}, BROKEN),
    ],
)
def test_an_alternate_that_cannot_be_had_is_passed_over(play: Play, chains: Chains, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.chains = [chains.pem(0), b"never shown", chains.pem(1)]
        rig.ca.faults["certificate"] = [lambda work: work(), fault]
        assert await issued(rig, "New Root") == chains.pem(1).decode()
        assert rig.ca.counts()["certificate"] == 3

    play(scenario)


def test_alternates_of_other_origins_are_not_asked(play: Play, chains: Chains) -> None:
    async def scenario(rig: Rig) -> None:
        def answer(work: faults.Work) -> Reply:
            reply = work()
            link = '<https://evil.example/1>;rel="alternate", </certificate/x>;rel="up"'
            return Reply(reply.status, reply.headers | {"Link": link}, reply.body)

        rig.ca.chains = [chains.pem(0)]
        rig.ca.faults["certificate"] = [answer]
        assert await issued(rig, "New Root") == chains.pem(0).decode()
        assert not [url for url in rig.keys.signed if "evil" in url]

    play(scenario)


def test_alternates_without_end(play: Play, chains: Chains) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.chains = [chains.pem(0)] * 100
        assert await issued(rig, "New Root") == chains.pem(0).decode()
        assert rig.ca.counts()["certificate"] == 1 + QUICK.alternates

    play(scenario)


def test_a_root_of_the_same_name_is_another_one(tmp_path: Path, chains: Chains) -> None:
    """Known here, and of the right name, but its key did not sign."""
    other = issue("New Root")
    (tmp_path / "ca.pem").write_bytes(other.pem)
    assert not Preference(other.sha256, tmp_path / "ca.pem").fits(chains.pem(1).decode())


def test_a_root_without_key_identifiers(tmp_path: Path) -> None:
    root = issue("Plain Root", key_identifiers=False)
    leaf = issue("a.example", root, key_identifiers=False)
    (tmp_path / "ca.pem").write_bytes(root.pem)
    assert Preference(root.sha256, tmp_path / "ca.pem").fits(leaf.pem.decode())


@pytest.mark.parametrize("chain", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
@pytest.mark.parametrize("wish", ["New Root", "00" * 32])
def test_what_cannot_be_read_fits_nothing(chain: str, wish: str) -> None:
    assert not Preference(wish, None).fits(chain)
