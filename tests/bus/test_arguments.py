# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is sent wrongly is refused, with what is wrong and what would be right, before anything is done."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
from tests.bus.peers import certificate, der, request
from tests.bus.rig import ACCOUNT, CERTIFICATE, MANAGER, ROOT, WWW, rig

_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
_OWN = "org.acmed1.Error."
_DER = der(certificate(["www.example.org"]))
_SECRET = "c2VjcmV0LW9mLXRoZS1DQQ"
_GOOD = {"directory": Variant("s", "https://ca.example/directory"), "agree-tos": Variant("b", True)}


def _order(name: str, identifiers: list[str], **options: Variant) -> tuple[Any, ...]:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    return ROOT, MANAGER, "Order", "sasa{sv}", (name, identifiers, given)


def _csr(name: str, csr: bytes, **options: Variant) -> tuple[Any, ...]:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    return ROOT, MANAGER, "OrderCSR", "saya{sv}", (name, csr, given)


def _authorize(identifiers: list[str], **options: Variant) -> tuple[Any, ...]:
    return ROOT, MANAGER, "Authorize", "asa{sv}", (identifiers, options)


def _change(method: str, **options: Variant) -> tuple[Any, ...]:
    given = {key.replace("_", "-"): value for key, value in options.items()}
    return "/org/acmed1/account/default", ACCOUNT, method, "a{sv}", (given,)


def _account(**options: Variant | None) -> tuple[Any, ...]:
    given = _GOOD | {key.replace("_", "-"): value for key, value in options.items()}
    kept = {key: value for key, value in given.items() if value is not None}
    return ROOT, MANAGER, "AddAccount", "sa{sv}", ("second", kept)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (_order("", ["www.example.org"], email=Variant("s", "x")), _ARGS, ["'email'", "'key-type'"]),
        (_order("", ["www.example.org"], key_type=Variant("u", 1)), _ARGS, ["'key-type'", "'u'"]),
        (_order("", ["www.example.org"], key_type=Variant("s", "dsa")), _ARGS, ["'dsa'", "'ecdsa-p256'"]),
        (_order("", ["www.example.org"], services=Variant("as", ["sendmail"])), _ARGS, ["'sendmail'", "'nginx'"]),
        (_order("", ["www.example.org"], account=Variant("s", "no")), _OWN + "NoSuchAccount", ["'no'", "default"]),
        (_order("", []), _ARGS, ["what is to be ordered"]),
        (_order("nothing", []), _OWN + "NoSuchCertificate", ["'nothing'"]),
        (_order("", [f"a{number}.example.org" for number in range(101)]), _ARGS, ["101", "100"]),
        (_order("../etc", ["www.example.org"]), _OWN + "InvalidName", ["'../etc'"]),
        (_order("", ["www.example.org"], challenge=Variant("s", "http")), _ARGS, ["'http'", "'http-01'"]),
        (_order("", ["www.example.org"], profile=Variant("s", "a\nb")), _ARGS, ["profile"]),
        (_order("", ["www.example.org"], preferred_chain=Variant("s", "x" * 201)), _ARGS, ["preferred-chain", "200"]),
        (_order("", ["www.example.org"], validity_days=Variant("u", 0)), _ARGS, ["validity-days"]),
        (_order("", ["www.example.org"], validity_days=Variant("s", "9")), _ARGS, ["'validity-days'", "(u)"]),
        (_order("", ["www.example.org"], backdate_hours=Variant("u", 0)), _ARGS, ["backdate-hours"]),
        (_order("", ["www.example.org"], backdate_hours=Variant("s", "9")), _ARGS, ["'backdate-hours'", "(u)"]),
        (_order("", ["www.example.org"], common_name=Variant("s", "no name")), _OWN + "InvalidName", ["'no name'"]),
        (_order("", ["www.example.org"], common_name=Variant("s", "a.example")), _ARGS, ["common-name", "a.example"]),
        (_order("", ["www.example.org"], failover=Variant("as", ["no"])), _OWN + "NoSuchAccount", ["'no'"]),
        (_order("", ["www.example.org"], failover=Variant("as", ["default"])), _ARGS, ["failover", "'default'"]),
        (_csr("", b"no CSR"), _ARGS, ["CSR"]),
        (_csr("", b"\x30" * 65537), _ARGS, ["65537"]),
        (_csr("", request([])), _ARGS, ["subjectAltName"]),
        (_csr("", request(["www.example.org"], "My Server")), _OWN + "InvalidName", ["'My Server'"]),
        (_csr("", request(["*.example.net"], "x.example.net")), _ARGS, ["'x.example.net'", "'*.example.net'"]),
        (_csr("", request(["*"])), _OWN + "InvalidName", ["'*'"]),
        (_csr("", request(["www.example.org"]), key_type=Variant("s", "rsa-2048")), _ARGS, ["'key-type'"]),
        (_csr("www.example.com", request(["www.example.org"])), _OWN + "CertificateExists", ["other identifiers"]),
        (_order("", ["x.example.net", "*.example.net"]), _ARGS, ["'x.example.net'", "'*.example.net'", "covers"]),
        (_authorize(["x.example.net", "*.example.net"]), _ARGS, ["'x.example.net'", "'*.example.net'", "covers"]),
        (_authorize([]), _ARGS, ["authorized"]),
        (_authorize(["localhost"]), _OWN + "InvalidName", ["'localhost'"]),
        (_authorize(["www.example.org"], account=Variant("s", "no")), _OWN + "NoSuchAccount", ["'no'"]),
        ((ROOT, MANAGER, "RevokeOther", "ayua{sv}", (b"no", 0, {})), _ARGS, ["certificate in DER"]),
        ((ROOT, MANAGER, "RevokeOther", "ayua{sv}", (_DER, 2, {})), _ARGS, ["2", "superseded"]),
        (
            (ROOT, MANAGER, "RevokeOther", "ayua{sv}", (_DER, 0, {"account": Variant("s", "no")})),
            _OWN + "NoSuchAccount",
            ["'no'"],
        ),
        (_account(eab_key_id=Variant("s", "kid")), _ARGS, ["'eab-key-id'", "'eab-hmac'"]),
        (_account(eab_hmac=Variant("s", _SECRET)), _ARGS, ["'eab-key-id'", "'eab-hmac'"]),
        (_account(eab_hmac=Variant("s", _SECRET + "?"), eab_key_id=Variant("s", "kid")), _ARGS, ["eab-hmac"]),
        (
            _account(
                eab_hmac=Variant("s", _SECRET), eab_key_id=Variant("s", "kid"), eab_algorithm=Variant("s", "none")
            ),
            _ARGS,
            ["'none'", "'HS256'"],
        ),
        (_account(directory=None), _ARGS, ["'directory'", "'letsencrypt-staging'"]),
        (_account(directory=Variant("s", "http://ca.example/")), _ARGS, ["directory", "https"]),
        (_account(contact=Variant("as", ["not an address"])), _ARGS, ["'not an address'"]),
        (_account(ca_pem=Variant("s", "-----BEGIN PRIVATE KEY-----")), _ARGS, ["ca-pem"]),
        (_account(key_type=Variant("s", "rsa-1024")), _ARGS, ["'rsa-1024'", "'rsa-2048'"]),
        (_account(eab=Variant("s", "x")), _ARGS, ["'eab'"]),
        (_change("Update"), _ARGS, ["'contact'"]),
        (_change("Update", contact=Variant("as", ["not an address"])), _ARGS, ["'not an address'"]),
        (_change("Deactivate", force=Variant("b", True)), _ARGS, ["'force'"]),
        (_change("RolloverKey", key_type=Variant("s", "dsa")), _ARGS, ["'dsa'", "'ecdsa-p256'"]),
        (
            ("/org/acmed1/account/unregistered", ACCOUNT, "RolloverKey", "a{sv}", ({},)),
            _OWN + "NoSuchAccount",
            ["'unregistered'", "not registered"],
        ),
        ((ROOT, MANAGER, "RenewDue", "t", (1,)), _ARGS, ["0"]),
        ((ROOT, MANAGER, "GetCertificate", "s", ("no",)), _OWN + "NoSuchCertificate", ["'no'"]),
        ((WWW, CERTIFICATE, "Renew", "a{sv}", ({"now": Variant("b", True)},)), _ARGS, ["'now'", "'force'"]),
        ((WWW, CERTIFICATE, "Revoke", "ua{sv}", (6, {})), _ARGS, ["6", "superseded"]),
        ((WWW, CERTIFICATE, "Revoke", "ua{sv}", (0, {"now": Variant("b", True)})), _ARGS, ["'now'"]),
        ((WWW, CERTIFICATE, "Restore", "a{sv}", ({"now": Variant("b", True)},)), _ARGS, ["'now'"]),
        ((WWW, CERTIFICATE, "Check", "a{sv}", ({"now": Variant("b", True)},)), _ARGS, ["'now'"]),
        ((WWW, CERTIFICATE, "ListRecords", "a{sv}", ({"now": Variant("b", True)},)), _ARGS, ["'now'"]),
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
            it.privd.configure_account("unregistered", "https://ca.example/directory")
            (it.places.etc / "certificates.d" / "broken.toml").write_text("nombre = 1\n")
            with pytest.raises(DBusError) as refused:
                await it.caller.call(path, interface, member, signature, *body)
            assert refused.value.name == error
            for word in words:
                assert word in refused.value.message
            assert _SECRET not in refused.value.message
            assert it.privd.calls == it.clientd.calls == []

    asyncio.run(run())
