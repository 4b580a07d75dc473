# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-clientd, taken over, wants a challenge answered for the key of another account: who has that account would
have the name validated for himself, and get a certificate for a key of his own.
"""

import asyncio
from pathlib import Path

import pytest

from acmed.bus import Variant
from tests.bus.rig import Rig, rig

_NAME = "www.example.com"
_FOREIGN = "f" * 43


def _nothing_was_presented(it: Rig) -> bool:
    files = [*it.places.tokens.iterdir(), *it.places.answers.iterdir()]
    ours = {"PublishToken", "PublishRecord", "OpenChallenge"} & set(it.privd.called)
    return not files and not ours and "Present" not in it.dnsd.called and "Finalize" not in it.clientd.called


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01", "dns-01", "dns-account-01"])
def test_order(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.challenge_type = kind
            it.clientd.thumbprint = _FOREIGN
            number = await it.caller.order(_NAME, _NAME, challenge=Variant("s", kind))
            error = (await it.caller.until("CertificateFailed", _NAME)).body
            assert await it.caller.result(number) == "failed"
            assert error[2] == "org.acmed1.Error.PolicyViolation"
            assert "another key" in error[3]
            assert _nothing_was_presented(it)

    asyncio.run(run())


def test_authorization(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.thumbprint = _FOREIGN
            number, _ = await it.caller.manager("Authorize", "asa{sv}", [_NAME], {})
            assert await it.caller.result(int(number)) == "failed"
            assert _nothing_was_presented(it)

    asyncio.run(run())
