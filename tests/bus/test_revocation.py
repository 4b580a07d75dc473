# SPDX-License-Identifier: LGPL-2.1-or-later
"""Revocation, and what comes after it."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate, der, request
from tests.bus.rig import CERTIFICATE, JOB, NOBODY, ROOT, WWW, Rig, rig


async def _ordered(it: Rig) -> str:
    """A certificate that is installed; its fingerprint."""
    assert await it.caller.result(await it.caller.order("", "www.example.com")) == "done"
    return str((await it.caller.properties())["FingerprintSHA256"])


async def _revoke(it: Rig, reason: int = 4, **options: bool) -> int:
    given = {key.replace("_", "-"): Variant("b", value) for key, value in options.items()}
    number, _ = await it.caller.call(WWW, CERTIFICATE, "Revoke", "ua{sv}", reason, given)
    return int(number)


async def _replacement(it: Rig) -> int:
    """The number of the renewal that follows."""
    for number in range(1, 10):
        signal = await it.caller.until("JobNew", number)
        if number > 2:
            assert signal.body[2] == "www.example.com"
            return number
    raise AssertionError


def _detail(it: Rig, number: int) -> str:
    """The last detail of a job."""
    details = [
        signal.body[1]["Detail"].value
        for signal in it.caller.signals
        if signal.path == f"{ROOT}/job/_{number}"
        and signal.member == "PropertiesChanged"
        and "Detail" in signal.body[1]
    ]
    return str(details[-1]) if details else ""


def _acme(kind: str, detail: str) -> VarlinkError:
    return VarlinkError(
        "org.acmed.Client.Acme", type=kind, detail=detail, status=403, retryAfter=None, final=True, subproblems=[]
    )


def test_revoked_certificate_is_replaced_at_once_with_a_new_key(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            before = await _ordered(it)
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            assert [given["reason"] for given in it.clientd.given("Revoke")] == [4]
            assert [given["fingerprint"] for given in it.privd.given("Archive")] == [before]
            follower = await _replacement(it)
            assert await it.caller.result(follower) == "done"
            assert [given["new_key"] for given in it.privd.given("NewRequest")] == [False, True]
            values = await it.caller.properties()
            assert (values["State"], values["Endangered"]) == ("valid", False)
            assert values["FingerprintSHA256"] != before

    asyncio.run(run())


def test_replacement_that_fails_is_tried_again_with_a_new_key(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            it.clientd.errors["Order"] = _acme("serverInternal", "not now")
            assert await it.caller.result(await _revoke(it)) == "done"
            assert await it.caller.result(await _replacement(it)) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["Endangered"], values["Failures"]) == ("revoked", True, 1)
            assert values["RetryAt"] > 0
            it.clientd.errors.clear()
            assert await it.caller.result(await it.caller.renew()) == "done"
            assert [given["new_key"] for given in it.privd.given("NewRequest")][1:] == [True, True]

    asyncio.run(run())


def test_nothing_is_ordered_where_that_was_said(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            assert await it.caller.result(await _revoke(it, replace=False)) == "done"
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]
            values = await it.caller.properties()
            assert (values["State"], values["Endangered"]) == ("revoked", False)
            # Somebody wants it again: from then on the timer does, too.
            it.clientd.errors["Order"] = _acme("serverInternal", "not now")
            assert await it.caller.result(await it.caller.renew()) == "failed"
            assert (await it.caller.properties())["Endangered"]
            it.clientd.errors.clear()
            assert await it.caller.result(await it.caller.renew()) == "done"
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["csr", "key-file"])
def test_key_that_is_not_acmeds_is_never_replaced(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            keys: dict[str, Any] = {"csr": True} if kind == "csr" else {"key_file": "/etc/ssl/own.key"}
            it.privd.configure("www.example.com", ["www.example.com"], **keys)
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            assert "not replaced" in _detail(it, number)
            assert await it.caller.manager("ListJobs") == [[]]
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]
            assert "NewRequest" not in it.privd.called
            values = await it.caller.properties()
            assert (values["State"], "privkey" in values["Paths"]) == ("revoked", kind == "key-file")
            # Somebody who has put another key there renews it, and it is not acmed that makes the key.
            assert await it.caller.result(await it.caller.renew()) == "done"
            assert [given["new_key"] for given in it.privd.given("NewRequest")] == [False]

    asyncio.run(run())


def test_signed_by_its_own_key_also_when_the_ca_refuses_nonces(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            it.clientd.failures["SendRevocation"] = [_acme("badNonce", "no"), _acme("badNonce", "no")]
            number = await _revoke(it, 1, certificate_key=True, replace=False)
            assert await it.caller.result(number) == "done"
            # Each signature is for the nonce that was given last.
            assert [given["nonce"] for given in it.privd.given("SignRevocation")] == ["nonce1", "nonce2", "nonce3"]
            assert [given["protected"] for given in it.clientd.given("SendRevocation")] == [
                "nonce1",
                "nonce2",
                "nonce3",
            ]
            assert {given["reason"] for given in it.privd.given("SignRevocation")} == {1}
            assert not {"PermitRevoke", "Revoke"} & {*it.privd.called, *it.clientd.called}
            assert (await it.caller.properties())["State"] == "revoked"

    asyncio.run(run())


def test_nonces_that_are_refused_without_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            it.clientd.errors["SendRevocation"] = _acme("badNonce", "no")
            assert await it.caller.result(await _revoke(it, certificate_key=True)) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["LastError"][0]) == ("valid", "org.acmed1.AcmeError.badNonce")

    asyncio.run(run())


@pytest.mark.parametrize("own_key", [False, True])
def test_revocation_that_the_ca_knows_of(tmp_path: Path, own_key: bool) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            for method in ("Revoke", "SendRevocation"):
                it.clientd.errors[method] = _acme("alreadyRevoked", "Certificate already revoked")
            assert await it.caller.result(await _revoke(it, 0, replace=False, certificate_key=own_key)) == "done"
            assert (await it.caller.properties())["State"] == "revoked"

    asyncio.run(run())


def test_archive_that_fails_does_not_keep_the_revoked_one(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            it.privd.errors["Archive"] = VarlinkError(
                "org.acmed.Priv.InstallFailed", certificate="www.example.com", message="No space left"
            )
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            assert "No space left" in _detail(it, number)
            assert await it.caller.result(await _replacement(it)) == "done"

    asyncio.run(run())


@pytest.mark.parametrize(("daemon", "method"), [("clientd", "Revoke"), ("privd", "Archive")])
def test_revocation_goes_on_after_sigkill(tmp_path: Path, daemon: str, method: str) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            before = await _ordered(it)
            peer = it.privd if daemon == "privd" else it.clientd
            number = await it.kill_in(peer, method, _revoke(it))
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert await it.caller.result(await _replacement(it)) == "done"
            # What was revoked is not revoked again.
            assert it.clientd.called.count("Revoke") == (2 if method == "Revoke" else 1)
            assert {given["fingerprint"] for given in it.privd.given("Archive")} == {before}
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


def test_certificate_of_somebody_else(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            foreign = der(certificate(["foreign.example.com"]))
            name = hashlib.sha256(foreign).hexdigest()
            number, path = await it.caller.manager("RevokeOther", "ayua{sv}", foreign, 1, {})
            assert (await it.caller.until("JobNew", number)).body == [number, path, name]
            assert await it.caller.result(number) == "done"
            (permit,) = it.privd.given("PermitRevokeOther")
            (sent,) = it.clientd.given("Revoke")
            assert (permit["account"], permit["reason"], permit["der"]) == ("default", 1, sent["der"])
            assert sent["certificate"] == name
            assert await it.caller.manager("ListJobs") == [[]]

    asyncio.run(run())


def test_revocation_of_somebody_elses_that_fails_is_told_by_the_job(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["Revoke"] = _acme("unauthorized", "not yours")
            der_ = der(certificate(["foreign.example.com"]))
            number, path = await it.caller.manager("RevokeOther", "ayua{sv}", der_, 1, {})
            assert await it.caller.result(number) == "failed"
            told = [
                signal.body[1]["Error"].value
                for signal in it.caller.signals
                if signal.path == path and signal.member == "PropertiesChanged" and "Error" in signal.body[1]
            ]
            assert [name for name, _ in told] == ["org.acmed1.AcmeError.unauthorized"]

    asyncio.run(run())


def test_cancel_of_a_revocation(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            it.privd.gate("PermitRevoke")
            number = await _revoke(it)
            await it.privd.reached["PermitRevoke"].wait()
            await it.caller.call(f"{ROOT}/job/_{number}", JOB, "Cancel")
            assert await it.caller.result(number) == "canceled"
            assert (await it.caller.properties())["State"] == "valid"
            assert await it.caller.manager("ListJobs") == [[]]

    asyncio.run(run())


def test_reason_that_no_ca_takes(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            with pytest.raises(DBusError) as refused:
                await _revoke(it, 2)
            assert refused.value.name == "org.freedesktop.DBus.Error.InvalidArgs"
            assert "keyCompromise" in refused.value.message

    asyncio.run(run())


def test_csr_is_replaced_by_another_one(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            first = request(["www.example.com"])
            _, number, _ = await it.caller.manager("OrderCSR", "saya{sv}", "", first, {})
            assert await it.caller.result(number) == "done"
            assert await it.caller.result(await _revoke(it)) == "done"
            second = request(["www.example.com"])
            _, number, _ = await it.caller.manager("OrderCSR", "saya{sv}", "www.example.com", second, {})
            assert await it.caller.result(number) == "done"
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())
