# SPDX-License-Identifier: LGPL-2.1-or-later
"""Revocation, and what comes after it."""

import asyncio
import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from acmed.bus import DBusError, Variant
from acmed.manager import clock
from acmed.manager.clock import DAY, MINUTE
from acmed.varlink import VarlinkError
from tests.bus.peers import certificate, der, request
from tests.bus.polkit import NO
from tests.bus.rig import CERTIFICATE, JOB, NOBODY, ROOT, WWW, Rig, rig


async def _ordered(it: Rig) -> str:
    """A certificate that is installed; its fingerprint."""
    assert await it.caller.result(await it.caller.order("", "www.example.com")) == "done"
    return str((await it.caller.properties())["FingerprintSHA256"])


def _want_another(it: Rig) -> None:
    """It is due from now on: that it cannot be renewed is a failure of its own."""
    it.privd.configure("www.example.com", ["www.example.com", "mail.example.com"])


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


def test_pause_after_failures_does_not_keep_a_revoked_one_in_use(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            _want_another(it)
            it.clientd.unreachable.add("default")
            for _ in range(4):
                assert await it.caller.result(await it.caller.renew(force=True)) == "failed"
            values = await it.caller.properties()
            assert values["RetryAt"] - values["LastErrorTimestamp"] == DAY
            it.clientd.unreachable.clear()
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            assert _detail(it, number) == ""
            assert await it.caller.result(number + 1) == "done"
            values = await it.caller.properties()
            assert (values["State"], values["Failures"], values["RetryAt"]) == ("valid", 0, 0)

    asyncio.run(run())


def test_failures_after_a_revocation_are_another_row(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            _want_another(it)
            it.clientd.errors["Order"] = _acme("serverInternal", "not now")
            for _ in range(3):
                assert await it.caller.result(await it.caller.renew(force=True)) == "failed"
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            assert await it.caller.result(number + 1) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["Failures"]) == ("revoked", 1)
            assert values["RetryAt"] - values["LastErrorTimestamp"] == MINUTE

    asyncio.run(run())


def test_time_that_the_ca_asked_for_is_kept_and_told(tmp_path: Path) -> None:
    """It is asked for a certificate again when it lets us, and no later, however many attempts failed before."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            _want_another(it)
            it.clientd.unreachable.add("default")
            for _ in range(4):
                assert await it.caller.result(await it.caller.renew(force=True)) == "failed"
            it.clientd.unreachable.clear()
            it.clientd.errors["Order"] = VarlinkError(
                "org.acmed.Client.Acme", type="rateLimited", detail="too many", status=429, retryAfter=7200,
                final=False, subproblems=[],
            )  # fmt: skip
            assert await it.caller.result(await it.caller.renew(force=True)) == "failed"
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            values = await it.caller.properties()
            assert (values["State"], values["Endangered"], values["Failures"]) == ("revoked", True, 1)
            assert values["RetryAt"] - values["LastErrorTimestamp"] == 120 * MINUTE
            assert "too many" in values["LastError"][1]
            assert f"it is not replaced before {clock.text(values['RetryAt'])}: too many" in _detail(it, number)
            assert await it.caller.manager("ListJobs") == [[]]
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]

    asyncio.run(run())


def test_time_that_the_ca_asked_for_counts_however_it_came_to_be_asked(tmp_path: Path) -> None:
    """By a renewal before its time, whose failure is none of the certificate's."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            it.clientd.errors["Order"] = VarlinkError(
                "org.acmed.Client.Acme", type="rateLimited", detail="too many", status=429, retryAfter=7200,
                final=False, subproblems=[],
            )  # fmt: skip
            begun = clock.now()
            assert await it.caller.result(await it.caller.renew(force=True)) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["RetryAt"], values["LastError"]) == ("valid", 0, ["", ""])
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            values = await it.caller.properties()
            assert values["RetryAt"] - begun >= 120 * MINUTE
            assert "the CA has asked for that time" in _detail(it, number)
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]

    asyncio.run(run())


def test_broken_configuration_is_said_to_be_what_keeps_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            it.privd.configure("www.example.com", ["www.example.com"], nombre=1)
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            assert "nombre" in _detail(it, number)
            it.privd.configure("www.example.com", ["www.example.com"])
            ((_, number, _),) = (await it.caller.manager("RenewDue", "t", 0))[0]
            assert await it.caller.result(number) == "done"

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


def test_revocation_that_failed_is_told_as_one_and_not_tried_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            assert (await it.caller.properties())["LastErrorJob"] == ""
            it.clientd.errors["Revoke"] = VarlinkError(
                "org.acmed.Client.Unreachable", url="https://ca.example/dir", message="Connection refused"
            )
            assert await it.caller.result(await _revoke(it, 1)) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["LastErrorJob"], values["Unrevoked"]) == ("valid", "revoke", True)
            assert (values["Failures"], values["RetryAt"]) == (0, 0)
            it.clientd.errors.clear()
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]
            assert it.clientd.called.count("Revoke") == 1
            number, _ = await it.caller.call(WWW, CERTIFICATE, "Restore", "a{sv}", {})
            assert await it.caller.result(number) == "done"
            values = await it.caller.properties()
            assert (values["LastErrorJob"], values["Unrevoked"]) == ("", True)
            assert await it.caller.result(await _revoke(it, 1, replace=False)) == "done"
            values = await it.caller.properties()
            assert (values["State"], values["LastErrorJob"], values["Unrevoked"]) == ("revoked", "", False)

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


def test_what_was_left_alone_is_replaced_by_another_revocation_that_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            before = await _ordered(it)
            assert await it.caller.result(await _revoke(it, replace=False)) == "done"
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            assert _detail(it, number) == ""
            assert await it.caller.result(number + 1) == "done"
            assert (await it.caller.properties())["FingerprintSHA256"] != before

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


def _provided(it: Rig, key: Path) -> None:
    """A certificate that is installed, whose key root provides."""
    key.write_text("one")
    it.privd.configure("www.example.com", ["www.example.com"], key_file=str(key))
    it.privd.install("www.example.com", certificate(["www.example.com"]))


def test_provided_key_that_was_replaced_after_the_revocation_is_ordered_with_by_the_timer(tmp_path: Path) -> None:
    """And not before: a file that is written again with the revoked key is no other key."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _provided(it, tmp_path / "own.key")
            assert await it.caller.result(await _revoke(it)) == "done"
            (tmp_path / "own.key").write_text("one, and a comment")
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]
            assert not (await it.caller.properties())["Endangered"]
            it.privd.replaced.add("www.example.com")
            it.clientd.errors["Order"] = _acme("serverInternal", "not now")
            ((_, number, _),) = (await it.caller.manager("RenewDue", "t", 0))[0]
            assert await it.caller.result(number) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["Endangered"], values["RetryAt"] > 0) == ("revoked", True, True)
            it.clientd.errors.clear()
            assert await it.caller.result(await it.caller.renew()) == "done"
            assert {given["new_key"] for given in it.privd.given("NewRequest")} == {False}
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


def test_provided_key_that_was_replaced_before_the_revocation_is_ordered_with_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _provided(it, tmp_path / "own.key")
            it.privd.replaced.add("www.example.com")
            number = await _revoke(it)
            assert await it.caller.result(number) == "done"
            assert "not replaced" not in _detail(it, number)
            assert await it.caller.result(number + 1) == "done"
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


def test_revoked_one_whose_key_is_acmeds_from_then_on_is_ordered_by_the_timer(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _provided(it, tmp_path / "own.key")
            assert await it.caller.result(await _revoke(it)) == "done"
            it.privd.configure("www.example.com", ["www.example.com"])
            ((_, number, _),) = (await it.caller.manager("RenewDue", "t", 0))[0]
            assert await it.caller.result(number) == "done"
            assert [given["new_key"] for given in it.privd.given("NewRequest")] == [True]

    asyncio.run(run())


def test_provided_key_that_was_replaced_changes_nothing_where_nothing_is_to_be_ordered(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _provided(it, tmp_path / "own.key")
            assert await it.caller.result(await _revoke(it, replace=False)) == "done"
            it.privd.replaced.add("www.example.com")
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]
            assert "NewRequest" not in it.privd.called

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


def test_signed_by_its_own_key_when_its_account_is_gone(tmp_path: Path) -> None:
    """Another account at the same CA says how that is reached; one at another CA does not."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            directories = {"elsewhere": "https://elsewhere.example/dir", "gone": "https://ca.example/one", "same": ""}
            directories["same"] = directories["gone"]
            for name, directory in directories.items():
                it.privd.configure_account(name, directory, f"{directory}/1")
            number = await it.caller.order("", "www.example.com", account=Variant("s", "gone"))
            assert await it.caller.result(number) == "done"
            it.privd.account_file("gone").unlink()
            number = await _revoke(it, certificate_key=True)
            assert await it.caller.result(number) == "done"
            assert [given["account"] for given in it.clientd.given("SendRevocation")] == ["same"]
            assert (await it.caller.properties())["State"] == "revoked"
            assert "'account' is 'gone', which is no account" in _detail(it, number)

    asyncio.run(run())


@pytest.mark.parametrize("is_known", [False, True])
def test_signed_by_its_own_key_when_its_account_is_at_another_ca_now(tmp_path: Path, is_known: bool) -> None:
    """That one does not know the certificate, and is not asked."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure_account("moved", "https://ca.example/one", "https://ca.example/one/1")
            number = await it.caller.order("", "www.example.com", account=Variant("s", "moved"))
            assert await it.caller.result(number) == "done"
            it.privd.configure_account("moved", "https://elsewhere.example/dir", "https://elsewhere.example/dir/1")
            if is_known:
                it.privd.configure_account("same", "https://ca.example/one", "https://ca.example/one/1")
            result = await it.caller.result(await _revoke(it, certificate_key=True))
            assert result == ("done" if is_known else "failed")
            asked = [given["account"] for given in it.clientd.given("SendRevocation")]
            assert asked == (["same"] if is_known else [])

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


async def _begun(it: Rig, name: str) -> list[int]:
    """The jobs of a certificate, when acmed has nothing more to do."""
    async with asyncio.timeout(10):
        while await it.caller.manager("ListJobs") != [[]]:
            await asyncio.sleep(0.01)
    return [signal.body[0] for signal in it.caller.signals if signal.member == "JobNew" and signal.body[2] == name]


@pytest.mark.parametrize(("sharing", "replace"), [(True, True), (False, True), (True, False)])
def test_older_certificate_whose_key_the_installed_one_has(tmp_path: Path, sharing: bool, replace: bool) -> None:
    """acme-privd says so where the key is compromised: then it is replaced at once, unless nothing is to be."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            before = await _ordered(it)
            it.privd.sharing = ["www.example.com", "gone.example.com"] if sharing else []
            older = der(certificate(["www.example.com"]))
            options = {} if replace else {"replace": Variant("b", False)}
            number, _ = await it.caller.manager("RevokeOther", "ayua{sv}", older, 1, options)
            assert await it.caller.result(number) == "done"
            jobs = await _begun(it, "www.example.com")
            assert [given["new_key"] for given in it.privd.given("NewRequest")][1:] == [True] * (len(jobs) - 1)
            assert len(jobs) == (2 if sharing and replace else 1)
            assert ("key, which is compromised: www.example.com" in _detail(it, number)) == (sharing and replace)
            values = await it.caller.properties()
            assert (values["State"], values["FingerprintSHA256"] != before) == ("valid", sharing and replace)
            # It is one, and no second one.
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]

    asyncio.run(run())


@pytest.mark.parametrize("own_key", [False, True])
def test_compromised_key_is_that_of_another_certificate_too(tmp_path: Path, own_key: bool) -> None:
    """Also where the CA does not revoke the one that was named."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            it.privd.configure("twin", ["twin.example.com"])
            it.privd.install("twin", certificate(["twin.example.com"]))
            it.privd.sharing = ["twin"]
            for method in ("Revoke", "SendRevocation"):
                it.clientd.errors[method] = _acme("unauthorized", "no")
            assert await it.caller.result(await _revoke(it, 1, certificate_key=own_key)) == "failed"
            assert len(await _begun(it, "twin")) == 1
            assert [given["certificate"] for given in it.privd.given("NewRequest")][1:] == ["twin"]
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


def test_compromised_key_that_root_provides_is_roots_to_replace(tmp_path: Path) -> None:
    """acme-privd does not use it, and that is a failure which people hear of."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            _provided(it, tmp_path / "own.key")
            message = "the key in own.key was said to be compromised"
            it.privd.errors["NewRequest"] = VarlinkError("org.acmed.Priv.InvalidConfiguration", message=message)
            it.privd.sharing = ["www.example.com"]
            number, _ = await it.caller.manager("RevokeOther", "ayua{sv}", der(certificate(["x.example.com"])), 1, {})
            assert await it.caller.result(number) == "done"
            assert len(await _begun(it, "www.example.com")) == 1
            values = await it.caller.properties()
            assert (values["State"], values["LastError"][1]) == ("failing", message)
            assert not it.privd.given("NewRequest")[0]["new_key"]
            it.privd.errors.clear()
            assert await it.caller.result(await it.caller.renew()) == "done"
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


def test_what_is_ordered_again_is_told_also_where_the_one_that_is_revoked_is_not(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            _provided(it, tmp_path / "own.key")
            it.privd.configure("twin", ["twin.example.com"], key_file=str(tmp_path / "own.key"))
            it.privd.install("twin", certificate(["twin.example.com"]))
            it.privd.sharing = ["twin"]
            number = await _revoke(it, 1)
            assert await it.caller.result(number) == "done"
            assert "the same key, which is compromised: twin" in _detail(it, number)
            assert "it is not replaced: its key is provided" in _detail(it, number)

    asyncio.run(run())


async def _revoke_given(it: Rig, path: str = "www.example.com", **options: Variant) -> int:
    """By what is installed as that."""
    found = der((it.places.certificates / path / "cert.pem").read_bytes())
    number, _ = await it.caller.manager("RevokeOther", "ayua{sv}", found, 4, options)
    return int(number)


@pytest.mark.parametrize("account", [None, "other"])
def test_certificate_that_is_given_and_managed_is_treated_as_by_its_name(tmp_path: Path, account: str | None) -> None:
    """By default as the account that got it, and not as the default one. Its twin is not touched."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            for name in ("mine", "other"):
                it.privd.configure_account(name, f"https://{name}.example/directory", f"https://{name}.example/1")
            options = {"account": Variant("s", "mine")}
            numbers = [await it.caller.order(name, "www.example.com", **options) for name in ("rsa", "ecdsa")]
            assert [await it.caller.result(number) for number in numbers] == ["done", "done"]
            rsa, ecdsa = f"{ROOT}/certificate/rsa", f"{ROOT}/certificate/ecdsa"
            before, twin = await it.caller.properties(rsa), await it.caller.properties(ecdsa)
            number = await _revoke_given(it, "rsa", **({"account": Variant("s", account)} if account else {}))
            assert (await it.caller.until("JobNew", number)).body[2] == "rsa"
            assert await it.caller.result(number) == "done"
            assert [given["account"] for given in it.clientd.given("Revoke")] == [account or "mine"]
            archived = [(given["certificate"], given["fingerprint"]) for given in it.privd.given("Archive")]
            assert archived == [("rsa", before["FingerprintSHA256"])]
            assert await it.caller.result(number + 1) == "done"
            after = await it.caller.properties(rsa)
            assert (after["State"], after["FingerprintSHA256"] != before["FingerprintSHA256"]) == ("valid", True)
            assert await it.caller.properties(ecdsa) == twin
            assert [given["new_key"] for given in it.privd.given("NewRequest")] == [False, False, True]

    asyncio.run(run())


def test_certificate_that_is_given_is_not_replaced_where_that_was_said(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await _ordered(it)
            assert await it.caller.result(await _revoke_given(it, replace=Variant("b", False))) == "done"
            values = await it.caller.properties()
            assert (values["State"], values["Endangered"]) == ("revoked", False)
            assert (await it.caller.manager("RenewDue", "t", 0)) == [[]]

    asyncio.run(run())


def test_certificate_that_is_given_goes_on_after_sigkill(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=None) as it:
            await it.start_process()
            await _ordered(it)
            number = await it.kill_in(it.privd, "Archive", _revoke_given(it))
            await it.start_process()
            assert await it.caller.result(number) == "done"
            assert await it.caller.result(await _replacement(it)) == "done"
            assert it.clientd.called.count("Revoke") == 1
            assert (await it.caller.properties())["State"] == "valid"

    asyncio.run(run())


def test_polkit_is_asked_the_same_for_a_managed_certificate_by_both_ways(tmp_path: Path) -> None:
    """Else a rule for what is not managed would let somebody have one replaced that is."""

    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            assert it.polkit
            it.privd.configure_account("other", "https://other.example/directory", "https://other.example/1")
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            it.polkit.answer = NO
            attempts = (partial(_revoke, it), partial(_revoke_given, it))
            for attempt in (*attempts, partial(_revoke_given, it, account=Variant("s", "other"))):
                with pytest.raises(DBusError) as refused:
                    await attempt()
                assert refused.value.name == "org.freedesktop.DBus.Error.AccessDenied"
            named, given, other = ((question.action, question.details) for question in it.polkit.asked)
            assert given == named
            assert other == (named[0], named[1] | {"account": "default,other"})
            assert "Revoke" not in it.clientd.called

    asyncio.run(run())


def test_polkit_is_asked_as_for_those_that_have_the_key_where_it_is_compromised(tmp_path: Path) -> None:
    """Anybody can make a certificate that has their key, as that is public, and would end it for them."""

    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            assert it.polkit
            it.privd.configure_account("other", "https://other.example/directory", "https://other.example/1")
            made = certificate(["x.example.com"])
            for name in ("a.example.com", "b.example.com"):
                it.privd.configure(name, [name])
                it.privd.install(name, made)
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            key = x509.load_pem_x509_certificate(made.encode()).public_key()
            assert isinstance(key, ec.EllipticCurvePublicKey)
            forged = der(certificate(["x.example.com"], public=key))
            it.polkit.answer = NO
            for reason in (1, 4):
                with pytest.raises(DBusError) as refused:
                    await it.caller.manager(
                        "RevokeOther", "ayua{sv}", forged, reason, {"account": Variant("s", "other")}
                    )
                assert refused.value.name == "org.freedesktop.DBus.Error.AccessDenied"
            compromised, superseded = (question.details for question in it.polkit.asked)
            assert compromised.pop("polkit.message") != superseded.pop("polkit.message")
            assert compromised == {
                "certificate": "a.example.com,b.example.com",
                "identifiers": "x.example.com,a.example.com,b.example.com",
                "account": "other,default",
                "reason": "keyCompromise",
            }
            assert superseded["certificate"] == hashlib.sha256(forged).hexdigest()

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
