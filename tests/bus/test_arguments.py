# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is sent wrongly is refused, with what is wrong and what would be right, before anything is done."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
from tests.bus.peers import certificate
from tests.bus.rig import CERTIFICATE, MANAGER, ROOT, WWW, rig

_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
_OWN = "org.acmed1.Error."
_GOOD = {"directory": Variant("s", "https://ca.example/directory"), "agree-tos": Variant("b", True)}


def _order(name: str, identifiers: list[str], **options: Variant) -> tuple[Any, ...]:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    return ROOT, MANAGER, "Order", "sasa{sv}", (name, identifiers, given)


def _account(**options: Variant | None) -> tuple[Any, ...]:
    given = _GOOD | {key.replace("_", "-"): value for key, value in options.items()}
    kept = {key: value for key, value in given.items() if value is not None}
    return ROOT, MANAGER, "AddAccount", "sa{sv}", ("second", kept)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (_order("", ["www.example.org"], profile=Variant("s", "x")), _ARGS, ["'profile'", "'key-type'"]),
        (_order("", ["www.example.org"], key_type=Variant("u", 1)), _ARGS, ["'key-type'", "'u'"]),
        (_order("", ["www.example.org"], key_type=Variant("s", "dsa")), _ARGS, ["'dsa'", "'ecdsa-p256'"]),
        (_order("", ["www.example.org"], services=Variant("as", ["sendmail"])), _ARGS, ["'sendmail'", "'nginx'"]),
        (_order("", ["www.example.org"], account=Variant("s", "no")), _OWN + "NoSuchAccount", ["'no'", "default"]),
        (_order("", []), _ARGS, ["what is to be ordered"]),
        (_order("nothing", []), _OWN + "NoSuchCertificate", ["'nothing'"]),
        (_order("", [f"a{number}.example.org" for number in range(101)]), _ARGS, ["101", "100"]),
        (_order("../etc", ["www.example.org"]), _OWN + "InvalidName", ["'../etc'"]),
        (_account(agree_tos=None), _ARGS, ["'agree-tos'", "terms of service"]),
        (_account(agree_tos=Variant("b", False)), _ARGS, ["'agree-tos'"]),
        (_account(directory=None), _ARGS, ["'directory'", "'letsencrypt-staging'"]),
        (_account(directory=Variant("s", "http://ca.example/")), _ARGS, ["directory", "https"]),
        (_account(contact=Variant("as", ["not an address"])), _ARGS, ["'not an address'"]),
        (_account(ca_pem=Variant("s", "-----BEGIN PRIVATE KEY-----")), _ARGS, ["ca-pem"]),
        (_account(key_type=Variant("s", "rsa-1024")), _ARGS, ["'rsa-1024'", "'rsa-2048'"]),
        (_account(eab=Variant("s", "x")), _ARGS, ["'eab'"]),
        ((ROOT, MANAGER, "RenewDue", "t", (1,)), _ARGS, ["0"]),
        ((ROOT, MANAGER, "GetCertificate", "s", ("no",)), _OWN + "NoSuchCertificate", ["'no'"]),
        ((WWW, CERTIFICATE, "Renew", "a{sv}", ({"now": Variant("b", True)},)), _ARGS, ["'now'", "'force'"]),
        ((WWW, CERTIFICATE, "Revoke", "ua{sv}", (6, {})), _ARGS, ["6", "superseded"]),
        ((WWW, CERTIFICATE, "Revoke", "ua{sv}", (0, {"now": Variant("b", True)})), _ARGS, ["'now'"]),
        (
            ("/org/acmed1/certificate/missing", CERTIFICATE, "Revoke", "ua{sv}", (0, {})),
            _OWN + "NotIssued",
            ["'missing'"],
        ),
        (
            ("/org/acmed1/certificate/broken", CERTIFICATE, "Renew", "a{sv}", ({},)),
            _OWN + "InvalidConfiguration",
            ["broken.toml:1"],
        ),
    ],
)
def test_refused(tmp_path: Path, call: Any, error: str, words: list[str]) -> None:
    path, interface, member, signature, body = call

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            it.privd.configure("missing", ["missing.example.com"])
            (it.places.etc / "certificates.d" / "broken.toml").write_text("nombre = 1\n")
            with pytest.raises(DBusError) as refused:
                await it.caller.call(path, interface, member, signature, *body)
            assert refused.value.name == error
            for word in words:
                assert word in refused.value.message
            assert it.privd.calls == it.clientd.calls == []

    asyncio.run(run())
