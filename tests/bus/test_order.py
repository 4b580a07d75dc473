# SPDX-License-Identifier: LGPL-2.1-or-later
"""Orders from the call to JobRemoved."""

import asyncio
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from acmed.bus import DBusError, Variant
from acmed.varlink import VarlinkError
from tests.bus.peers import THUMBPRINT, TOKEN, certificate
from tests.bus.rig import CERTIFICATE, JOB, OBJECT_MANAGER, ROOT, WWW, Caller, rig


def test_order_is_done_and_each_step_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            seen: list[tuple[str, str, int]] = []

            def look() -> None:
                for path in it.places.tokens.iterdir():
                    seen.append((path.name, path.read_text(), stat.S_IMODE(path.stat().st_mode)))

            it.clientd.at_finalize = look
            number = await it.caller.order("", "www.example.com", services=Variant("as", ["nginx"]))
            assert await it.caller.result(number) == "done"

            token = f"{TOKEN}0"
            assert seen == [(token, f"{token}.{THUMBPRINT}", 0o644)]
            assert list(it.places.tokens.iterdir()) == []
            assert [call for call in it.privd.called if call != "CloseChallenge"] == [
                "Configure", "NewRequest", "OpenChallenge", "Install", "Deliver",
            ]  # fmt: skip
            assert it.privd.called.count("CloseChallenge") == 1
            assert it.dnsd.called == ["Check"]
            calls = it.privd.calls + it.clientd.calls + it.dnsd.calls
            assert {parameters["job"] for _, parameters in calls} == {number}

            job = f"{ROOT}/job/_{number}"
            steps = [
                signal.body[1]
                for signal in it.caller.signals
                if (signal.path, signal.member) == (job, "PropertiesChanged")
            ]
            assert [step["Step"].value for step in steps if "Step" in step] == [
                "order", "authorize", "challenge", "finalize", "download", "install", "reload",
            ]  # fmt: skip
            progress = [step["Progress"].value for step in steps if "Progress" in step]
            assert progress == sorted(progress)
            statuses = [step["Challenges"].value for step in steps if "Challenges" in step]
            assert statuses == [
                [["www.example.com", "http-01", status]] for status in ("pending", "processing", "valid")
            ]

            values = await it.caller.properties()
            assert (values["Name"], values["State"], values["Services"]) == ("www.example.com", "valid", ["nginx"])
            assert (values["Failures"], values["LastError"], values["Undelivered"]) == (0, ["", ""], [])
            assert values["Job"] == [0, "/"]
            assert values["RenewAt"] == values["NotAfter"] - timedelta(days=30) // timedelta(microseconds=1)
            assert values["Paths"]["cert"] == str(it.places.certificates / "www.example.com" / "cert.pem")

    asyncio.run(run())


def test_signals_come_in_an_order_that_clients_can_rely_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            number = await it.caller.order("", "www.example.com")
            # What was sent before the reply has been heard by now.
            early = [(signal.member, signal.path, signal.body[0]) for signal in it.caller.signals]
            job = f"{ROOT}/job/_{number}"
            assert ("InterfacesAdded", ROOT, WWW) in early
            assert early.index(("InterfacesAdded", ROOT, job)) < early.index(("JobNew", ROOT, number))
            await it.caller.result(number)
            last = [(signal.interface, signal.member, signal.path) for signal in it.caller.signals]
            removed = last.index((OBJECT_MANAGER, "InterfacesRemoved", ROOT))
            assert removed < last.index(("org.acmed1.Manager", "JobRemoved", ROOT)) == len(last) - 1
            assert (await it.caller.until("InterfacesRemoved", job)).body[1] == [JOB]

    asyncio.run(run())


def test_token_directory_of_a_web_server(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.challenge_method = "webroot"
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "done"
            published = [given for method, given in it.privd.calls if method == "PublishToken"]
            assert [(given["token"], given["key_authorization"]) for given in published] == [
                (f"{TOKEN}0", f"{TOKEN}0.{THUMBPRINT}")
            ]
            assert it.privd.called.index("PublishToken") < it.privd.called.index("WithdrawToken")
            assert list(it.places.tokens.iterdir()) == []

    asyncio.run(run())


def test_no_port_is_opened_where_nothing_is_to_be_shown(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.already_valid = True
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "done"
            assert not {"OpenChallenge", "CloseChallenge"} & set(it.privd.called)

    asyncio.run(run())


@pytest.mark.parametrize("token", ["../../etc/passwd", "a/b", "a.b", "a b"])
def test_token_that_is_none_is_not_written(tmp_path: Path, token: str) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.token = token
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "failed"
            assert (await it.caller.properties())["LastError"][0] == "org.acmed1.Error.ChallengeUnavailable"
            assert "Install" not in it.privd.called
            assert list(it.places.tokens.iterdir()) == []

    asyncio.run(run())


def test_name_that_can_only_be_validated_otherwise(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.challenge_type = "device-attest-01"
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "failed"
            name, message = (await it.caller.properties())["LastError"]
            assert name == "org.acmed1.Error.ChallengeUnavailable"
            assert "www.example.com" in message
            assert "device-attest-01" in message

    asyncio.run(run())


def test_two_callers_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            other = await Caller.connect(it.address)
            gate = it.clientd.gate("Order")
            first = await it.caller.order("", "www.example.com")
            second = await other.order("", "mail.example.com")
            with pytest.raises(DBusError) as busy:
                await other.order("", "www.example.com")
            assert busy.value.name == "org.acmed1.Error.Busy"
            assert str(first) in busy.value.message
            (listed,) = await other.manager("ListJobs")
            assert [job[:3] for job in listed] == [
                [first, "order", "www.example.com"],
                [second, "order", "mail.example.com"],
            ]
            gate.set()
            assert await it.caller.result(second) == "done"
            assert await other.result(first) == "done"

    asyncio.run(run())


def test_two_orders_of_one_name_at_the_same_moment(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            answers = await asyncio.gather(
                it.caller.order("", "www.example.com"), it.caller.order("", "www.example.com"), return_exceptions=True
            )
            numbers = [answer for answer in answers if isinstance(answer, int)]
            refused = [answer.name for answer in answers if isinstance(answer, DBusError)]
            assert (len(numbers), refused) == (1, ["org.acmed1.Error.Busy"])
            assert it.privd.called.count("Configure") == 1

    asyncio.run(run())


def test_cancel_puts_everything_away(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.gate("Finalize")
            number = await it.caller.order("", "www.example.com")
            async with asyncio.timeout(5):
                await it.clientd.reached["Finalize"].wait()
            assert len(list(it.places.tokens.iterdir())) == 1
            await it.caller.call(f"{ROOT}/job/_{number}", JOB, "Cancel")
            assert await it.caller.result(number) == "canceled"
            assert list(it.places.tokens.iterdir()) == []
            # acme-clientd, were it taken over, could use the permit for days.
            assert it.privd.called[-2:] == ["CloseChallenge", "DropPermit"]
            assert it.privd.given("DropPermit") == [{"job": number, "certificate": "www.example.com"}]
            assert "Drop" not in it.clientd.called  # the next order goes on with what is unfinished at the CA
            values = await it.caller.properties()
            assert (values["State"], values["Failures"]) == ("missing", 0)
            with pytest.raises(DBusError) as gone:
                await it.caller.call(f"{ROOT}/job/_{number}", JOB, "Cancel")
            assert gone.value.name == "org.freedesktop.DBus.Error.UnknownObject"

    asyncio.run(run())


def test_cancel_comes_too_late_for_what_is_being_installed(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            gate = it.privd.gate("Install")
            number = await it.caller.order("", "www.example.com")
            await it.privd.reached["Install"].wait()
            with pytest.raises(DBusError) as refused:
                await it.caller.call(f"{ROOT}/job/_{number}", JOB, "Cancel")
            assert refused.value.name == "org.acmed1.Error.Busy"
            gate.set()
            assert await it.caller.result(number) == "done"

    asyncio.run(run())


def test_failed_order_keeps_its_configuration_and_is_tried_again_later(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.clientd.errors["Finalize"] = _acme("unauthorized", "No answer at port 80")
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "failed"
            values = await it.caller.properties()
            assert (values["State"], values["Failures"]) == ("failing", 1)
            assert (values["LastError"][0]) == "org.acmed1.AcmeError.unauthorized"
            assert it.privd.called[-1] == "CloseChallenge"
            # The timer waits; a person need not.
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]
            it.clientd.errors.clear()
            assert await it.caller.result(await it.caller.renew()) == "done"
            values = await it.caller.properties()
            assert (values["State"], values["Failures"], values["LastError"]) == ("valid", 0, ["", ""])

    asyncio.run(run())


def test_configured_certificate_is_ordered_by_its_name(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com", "example.com"])
            assert await it.caller.result(await it.caller.order("www.example.com")) == "done"
            assert "Configure" not in it.privd.called
            assert (await it.caller.properties())["Identifiers"] == ["www.example.com", "example.com"]
            for identifiers in ([], ["other.example.com"]):
                with pytest.raises(DBusError) as exists:
                    await it.caller.order("www.example.com", *identifiers)
                assert exists.value.name == "org.acmed1.Error.CertificateExists"

    asyncio.run(run())


def test_same_order_again_after_it_failed(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"], services=["nginx"])
            number = await it.caller.order("", "www.example.com", services=Variant("as", ["nginx"]))
            assert await it.caller.result(number) == "done"
            assert "Configure" not in it.privd.called

    asyncio.run(run())


def test_order_of_what_there_is_moves_it(tmp_path: Path) -> None:
    """From the staging CA to production: the same names, another account, and all else as it was."""

    async def run() -> None:
        async with rig(tmp_path) as it:
            number = await it.caller.order("", "www.example.com", services=Variant("as", ["nginx"]))
            assert await it.caller.result(number) == "done"
            it.privd.configure_account("production", "https://production.example/directory")
            number = await it.caller.order("", "www.example.com", account=Variant("s", "production"))
            assert await it.caller.result(number) == "done"
            (first, second) = [given for method, given in it.privd.calls if method == "Configure"]
            assert (first["settings"]["account"], first["replace"]) == ("default", False)
            settings = second["settings"]
            assert (settings["account"], second["replace"], settings["services"]) == ("production", True, ["nginx"])
            assert (second["names"], settings["keyType"]) == (["www.example.com"], "ecdsa-p256")
            # The order that is over was forgotten each time.
            assert it.clientd.called.count("Drop") == 2

    asyncio.run(run())


def test_a_move_that_failed_is_due(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            assert await it.caller.result(await it.caller.order("", "www.example.com")) == "done"
            assert (await it.caller.properties())["State"] == "valid"
            it.privd.configure_account("production", "https://production.example/directory")
            it.privd.configure("www.example.com", ["www.example.com"], account="production")
            assert await it.caller.manager("RenewDue", "t", 0) != [[]]

    asyncio.run(run())


def test_renewal(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            with pytest.raises(DBusError) as early:
                await it.caller.renew()
            assert early.value.name == "org.acmed1.Error.NotDue"
            assert await it.caller.result(await it.caller.renew(force=True, new_key=True)) == "done"
            assert [given["new_key"] for method, given in it.privd.calls if method == "NewRequest"] == [True]

    asyncio.run(run())


def test_timer_renews_what_is_due_and_nothing_else(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            for name, age in (("fresh", 10), ("old", 61), ("expired", 91)):
                it.privd.configure(name, [f"{name}.example.com"])
                it.privd.install(name, certificate([f"{name}.example.com"], begun=timedelta(days=age)))
            it.privd.configure("missing", ["missing.example.com"])
            it.privd.configure("renamed", ["new.example.com"])
            it.privd.install("renamed", certificate(["former.example.com"]))
            (it.places.etc / "certificates.d" / "broken.toml").write_text("name = 1\n")
            (jobs,) = await it.caller.manager("RenewDue", "t", 0)
            assert [job[0] for job in jobs] == ["expired", "missing", "old", "renamed"]
            assert [await it.caller.result(job[1]) for job in jobs] == ["done"] * 4
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]
            (listed,) = await it.caller.manager("ListCertificates")
            assert [row[0] for row in listed] == ["broken", "expired", "fresh", "missing", "old", "renamed"]
            broken = await it.caller.properties("/org/acmed1/certificate/broken")
            assert broken["State"] == "failing"
            assert "broken.toml:1" in broken["LastError"][1]

    asyncio.run(run())


def test_timer_with_nothing_to_do_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            it.privd.install("www.example.com", certificate(["www.example.com"]))
            await it.caller.manager("RenewDue", "t", 0)
            assert it.clientd.called == ["RenewalInfo"]
            it.clientd.calls.clear()
            capfd.readouterr()
            assert await it.caller.manager("RenewDue", "t", 0) == [[]]
            assert it.privd.calls == it.clientd.calls == it.dnsd.calls == []

    asyncio.run(run())
    assert capfd.readouterr() == ("", "")


def test_forget(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            await it.caller.result(await it.caller.order("", "www.example.com"))
            await it.caller.call(WWW, CERTIFICATE, "Forget")
            assert (await it.caller.until("InterfacesRemoved", WWW)).path == ROOT
            with pytest.raises(DBusError) as gone:
                await it.caller.manager("GetCertificate", "s", "www.example.com")
            assert gone.value.name == "org.acmed1.Error.NoSuchCertificate"
            assert (it.places.certificates / "www.example.com" / "cert.pem").exists()
            assert list((it.places.state / "certificates").iterdir()) == []
            assert "Drop" in it.clientd.called

    asyncio.run(run())


def test_file_that_root_edits_is_seen_without_reload(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            assert await it.caller.manager("GetCertificate", "s", "www.example.com") == [WWW]
            it.privd.configure("www.example.com", ["www.example.com", "example.com"])
            await it.caller.manager("ListCertificates")
            changed = await it.caller.until("PropertiesChanged", CERTIFICATE)
            assert changed.body[1]["Identifiers"].value == ["www.example.com", "example.com"]
            (it.places.etc / "certificates.d" / "www.example.com.toml").write_text("names = 1\nservice = []\n")
            (problems,) = await it.caller.manager("CheckConfiguration")
            assert {(Path(path).name, line) for path, line, _, _ in problems} == {
                ("www.example.com.toml", 1),
                ("www.example.com.toml", 2),
            }

    asyncio.run(run())


def test_a_file_counts_again_when_only_its_mode_was_mended(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path) as it:
            it.privd.configure("www.example.com", ["www.example.com"])
            path = it.places.etc / "certificates.d" / "www.example.com.toml"
            states = []
            for mode in (0o644, 0o666, 0o644):
                path.chmod(mode)
                states.append((await it.caller.properties())["State"])
            assert states == ["missing", "failing", "missing"]

    asyncio.run(run())


def _acme(kind: str, detail: str) -> VarlinkError:
    return VarlinkError(
        "org.acmed.Client.Acme", type=kind, detail=detail, status=403, retryAfter=None, final=True, subproblems=[]
    )
