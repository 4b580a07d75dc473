# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is downloaded in the end."""

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.https import Reply
from tests.unit.clientd.rig import Rig, http01


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>"),
        ("application/pem-certificate-chain", b"<html>"),
        ("application/pem-certificate-chain", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"),
        ("application/pem-certificate-chain", b"-----BEGIN CERTIFICATE-----\n\0\n-----END CERTIFICATE-----\n"),
        ("application/pem-certificate-chain", b""),
    ],
)
def test_what_is_no_chain(play: Play, kind: str, body: bytes) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.faults["certificate"] = [lambda _: Reply(200, {"Content-Type": kind}, body)]
        begun = await rig.order()
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize(http01(begun))
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert "no chain" in caught.value.parameters["message"]
        assert await rig.finalize([])
        assert rig.ca.counts()["finalize"] == 1

    play(scenario)


def test_a_valid_order_without_a_certificate(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["order"] = lambda fields: fields.pop("certificate")
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert "no certificate" in caught.value.parameters["message"]

    play(scenario)
