# SPDX-License-Identifier: LGPL-2.1-or-later
"""Revocation, signed by acme-keyd or elsewhere."""

import base64
import json
from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd import jws
from tests.unit.clientd.ca_parts import Refusal
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.faults import lose_answer, page, refuse
from tests.unit.clientd.rig import Rig

DER = b"a certificate"
EXPECTED = {"certificate": jws.encode(DER), "reason": 4}


async def revoke(rig: Rig) -> None:
    await rig.ask("Revoke", certificate="www", der=base64.b64encode(DER).decode(), reason=4)


async def signed_elsewhere(rig: Rig, **change: Any) -> dict[str, str]:
    """A request as acme-privd signs it, with the certificate's key."""
    where = await rig.ask("RevocationNonce")
    header = {"alg": "ES256", "jwk": jws.jwk(rig.keys.next_key)} | where | change
    return jws.sign(rig.keys.next_key, header, jws.encode(json.dumps(EXPECTED).encode()))


def test_revoked_once_and_again(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await revoke(rig)
        await revoke(rig)
        assert rig.ca.payloads("revokeCert") == [EXPECTED] * 2

    play(scenario)


def test_a_revocation_that_is_refused(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["revokeCert"] = [refuse(Refusal(403, "unauthorized", "not yours"))]
        with pytest.raises(VarlinkError) as caught:
            await revoke(rig)
        assert caught.value.parameters["type"] == "unauthorized"

    play(scenario)


def test_signed_elsewhere_once_and_again(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        for _ in range(2):
            assert await rig.ask("SendRevocation", **await signed_elsewhere(rig)) == {}
        assert rig.ca.payloads("revokeCert") == [EXPECTED] * 2
        assert rig.ca.revoked == {EXPECTED["certificate"]}
        assert not [url for url in rig.keys.signed if "revoke" in url]

    play(scenario)


def test_a_nonce_is_given_once(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        given = {(await rig.ask("RevocationNonce"))["nonce"] for _ in range(5)}
        assert len(given) == 5

    play(scenario)


@pytest.mark.parametrize(
    ("change", "kind"), [({"nonce": "bm9uY2U"}, "badNonce"), ({"url": "https://localhost/other"}, "unauthorized")]
)
def test_what_the_ca_refuses_is_the_callers(play: Play, change: dict[str, str], kind: str) -> None:
    async def scenario(rig: Rig) -> None:
        request = await signed_elsewhere(rig, **change)
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("SendRevocation", **request)
        assert (caught.value.name, caught.value.parameters["type"]) == ("org.acmed.Client.Acme", kind)
        assert rig.ca.counts()["revokeCert"] == 1
        await rig.ask("SendRevocation", **await signed_elsewhere(rig))

    play(scenario)


@pytest.mark.parametrize("fault", [lose_answer, page(502)])
def test_it_is_sent_once(play: Play, fault: Any) -> None:
    """Its nonce is good for no more; the caller begins again, and learns that it was done."""

    async def scenario(rig: Rig) -> None:
        rig.ca.faults["revokeCert"] = [fault]
        request = await signed_elsewhere(rig)
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("SendRevocation", **request)
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert rig.ca.counts()["revokeCert"] == 1
        await rig.ask("SendRevocation", **await signed_elsewhere(rig))

    play(scenario)


@pytest.mark.parametrize("fault", [lose_answer, page(502)])
def test_a_nonce_that_is_lost_is_asked_for_again(play: Play, fault: Any) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["newNonce"] = [fault]
        assert (await rig.ask("RevocationNonce"))["nonce"]
        assert rig.ca.counts()["newNonce"] == 2

    play(scenario, directory_is_known=False)


@pytest.mark.parametrize("name", ["protected", "payload", "signature"])
@pytest.mark.parametrize("text", ["", "a b", "a=", 'a"', "é"])
def test_what_is_no_jws(play: Play, name: str, text: str) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(VarlinkError) as caught:
            await rig.ask("SendRevocation", **{"protected": "a", "payload": "b", "signature": "c"} | {name: text})
        assert caught.value.parameters == {"parameter": name}
        assert rig.ca.requests == []

    play(scenario)
