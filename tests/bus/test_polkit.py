# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what: acmed asks polkit, and believes nothing but a clear yes."""

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from acmed.bus import DBusError, Variant
from acmed.manager import authority
from tests.bus import polkit
from tests.bus.peers import certificate, der, request
from tests.bus.rig import ACCOUNT, CERTIFICATE, JOB, MANAGER, NOBODY, ROOT, WWW, Caller, Rig, rig
from tests.unit.test_documentation import permissions

_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
_WITH_PASSWORD = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
_ACCOUNT = {"directory": Variant("s", "letsencrypt-staging"), "agree-tos": Variant("b", True)}

_ABOUT_WWW = {"certificate": "www.example.com", "identifiers": "www.example.com", "account": "default"}
_FOREIGN = der(certificate(["foreign.example.com", "not a name"]))
_SECOND = "/org/acmed1/account/second"

# Each call that changes anything: what polkit is asked about it.
_CHANGES: list[tuple[str, str, str, str, tuple[Any, ...], str, dict[str, str]]] = [
    (
        ROOT,
        MANAGER,
        "Order",
        "sasa{sv}",
        (
            "",
            ["New.Example.com", "n.example.com"],
            {
                "key-type": Variant("s", "rsa-2048"),
                "services": Variant("as", ["nginx", "postfix"]),
                "profile": Variant("s", "shortlived"),
                "failover": Variant("as", ["second"]),
            },
        ),
        "org.acmed1.order",
        {
            "certificate": "new.example.com",
            "identifiers": "new.example.com,n.example.com",
            "account": "default,second",
            "key-type": "rsa-2048",
            "services": "nginx,postfix",
            "profile": "shortlived",
        },
    ),
    (
        ROOT,
        MANAGER,
        "OrderCSR",
        "saya{sv}",
        (
            "",
            request(["n.example.com", "New.Example.com"], "new.example.com"),
            {"account": Variant("s", "second"), "services": Variant("as", ["nginx"])},
        ),
        "org.acmed1.order",
        {
            "certificate": "new.example.com",
            "identifiers": "new.example.com,n.example.com",
            "account": "second",
            "services": "nginx",
            "key-type": "",
            "profile": "",
        },
    ),
    (
        ROOT,
        MANAGER,
        "Authorize",
        "asa{sv}",
        (["A.example.com", "b.example.com"], {}),
        "org.acmed1.order",
        {"identifiers": "a.example.com,b.example.com", "account": "default"},
    ),
    (
        ROOT,
        MANAGER,
        "RevokeOther",
        "ayua{sv}",
        (_FOREIGN, 4, {"account": Variant("s", "second")}),
        "org.acmed1.revoke",
        {
            "certificate": hashlib.sha256(_FOREIGN).hexdigest(),
            "identifiers": "foreign.example.com",
            "account": "second",
            "reason": "superseded",
        },
    ),
    # The CA of www.example.com is to be asked whether it is to be renewed.
    (
        ROOT,
        MANAGER,
        "RenewDue",
        "t",
        (0,),
        "org.acmed1.renew",
        {"certificate": "due,www.example.com", "identifiers": "guest.example.com", "force": "false"},
    ),
    (
        ROOT,
        MANAGER,
        "AddAccount",
        "sa{sv}",
        ("third", _ACCOUNT),
        "org.acmed1.manage-accounts",
        {
            "account": "third",
            "directory": "https://acme-staging-v02.api.letsencrypt.org/directory",
            "key-type": "ecdsa-p256",
        },
    ),
    (ROOT, MANAGER, "Reload", "", (), "org.acmed1.reload", {}),
    (
        WWW,
        CERTIFICATE,
        "Renew",
        "a{sv}",
        ({"force": Variant("b", True)},),
        "org.acmed1.renew",
        {"certificate": "www.example.com", "identifiers": "www.example.com", "account": "default", "force": "true"},
    ),
    (
        WWW,
        CERTIFICATE,
        "Revoke",
        "ua{sv}",
        (1, {}),
        "org.acmed1.revoke",
        {
            "certificate": "www.example.com",
            "identifiers": "www.example.com",
            "account": "default",
            "reason": "keyCompromise",
        },
    ),
    (WWW, CERTIFICATE, "Restore", "a{sv}", ({},), "org.acmed1.renew", _ABOUT_WWW),
    (WWW, CERTIFICATE, "Check", "a{sv}", ({},), "org.acmed1.renew", _ABOUT_WWW),
    (
        _SECOND,
        ACCOUNT,
        "Update",
        "a{sv}",
        ({"contact": Variant("as", ["admin@example.com"])},),
        "org.acmed1.manage-accounts",
        {"account": "second", "directory": "https://second.example/"},
    ),
    (
        _SECOND,
        ACCOUNT,
        "Deactivate",
        "a{sv}",
        ({},),
        "org.acmed1.manage-accounts",
        {"account": "second", "directory": "https://second.example/"},
    ),
    (
        _SECOND,
        ACCOUNT,
        "RolloverKey",
        "a{sv}",
        ({"key-type": Variant("s", "rsa-3072")},),
        "org.acmed1.manage-accounts",
        {"account": "second", "directory": "https://second.example/", "key-type": "rsa-3072"},
    ),
    (
        WWW,
        CERTIFICATE,
        "Forget",
        "",
        (),
        "org.acmed1.configure",
        {"certificate": "www.example.com", "identifiers": "www.example.com", "account": "default"},
    ),
]
_NAMES = [change[2] for change in _CHANGES]


def _prepare(it: Rig) -> polkit.Polkit:
    assert it.polkit
    it.privd.configure("www.example.com", ["www.example.com"])
    it.privd.install("www.example.com", certificate(["www.example.com"]))
    it.privd.configure("due", ["due.example.com"])
    uri = "https://second.example/1"
    it.privd.configure_account("second", "https://second.example/", uri, 'authorize = ["guest.example.com"]\n')
    return it.polkit


@pytest.mark.parametrize("change", _CHANGES, ids=_NAMES)
def test_change_is_asked_about_with_its_details(tmp_path: Path, change: Any) -> None:
    path, interface, member, signature, body, action, details = change

    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            asked = _prepare(it)
            await it.caller.call(path, interface, member, signature, *body)
            (question,) = asked.asked
            told = {key: text for key, text in question.details.items() if key != "polkit.message"}
            assert (question.sender, question.action, question.flags) == (it.caller.bus.unique_name, action, 0)
            assert told == details
            # A text of its own must not ask about what is not there.
            words = question.details.get("polkit.message", "")
            assert set(re.findall(r"\$\((.*?)\)", words)) <= set(details)

    asyncio.run(run())


def test_table_of_permissions_is_what_is_asked() -> None:
    """The table in org.acmed1(5), against the calls above."""
    documented = {method: (action, details) for method, action, details in permissions() if method != "Job.Cancel"}
    asked = {}
    for _, interface, member, _, _, action, details in _CHANGES:
        asked[f"{interface.rpartition('.')[2]}.{member}"] = (action, set(details))
    assert {method: (action, details) for method, (action, details) in documented.items() if action != "-"} == asked


@pytest.mark.parametrize(
    ("answer", "interactive", "error"),
    [
        (polkit.NO, False, _DENIED),
        (polkit.NO, True, _DENIED),
        (polkit.CHALLENGE, False, _WITH_PASSWORD),
        (polkit.CHALLENGE, True, _DENIED),
        (None, False, _DENIED),
    ],
)
@pytest.mark.parametrize("change", _CHANGES, ids=_NAMES)
def test_change_that_is_not_allowed_is_not_made(
    tmp_path: Path, change: Any, answer: tuple[bool, bool] | None, interactive: bool, error: str
) -> None:
    """answer None: polkit's own cannot be understood."""
    path, interface, member, signature, body, _, _ = change

    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            asked = _prepare(it)
            asked.garbage, asked.answer = answer is None, answer or polkit.YES
            with pytest.raises(DBusError) as refused:
                await it.caller.call(path, interface, member, signature, *body, interactive=interactive)
            assert refused.value.name == error
            assert asked.asked[0].flags == int(interactive)
            assert await it.caller.manager("ListJobs") == [[]]
            assert it.privd.calls == it.clientd.calls == []

    asyncio.run(run())


def test_reading_needs_no_polkit(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            asked = _prepare(it)
            await it.caller.manager("ListCertificates")
            await it.caller.manager("ListJobs")
            await it.caller.manager("CheckConfiguration")
            await it.caller.manager("GetCertificate", "s", "due")
            await it.caller.call(WWW, CERTIFICATE, "Describe")
            await it.caller.call(WWW, CERTIFICATE, "ListRecords", "a{sv}", {})
            await it.caller.properties()
            assert asked.asked == []

    asyncio.run(run())


def test_without_polkit_only_trusted_users_may(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY) as it:
            with pytest.raises(DBusError) as refused:
                await it.caller.manager("Reload")
            assert refused.value.name == _DENIED

    asyncio.run(run())


def test_trusted_user_is_not_asked_about(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, polkit=True) as it:
            await it.caller.manager("Reload")
            assert it.polkit
            assert it.polkit.asked == []

    asyncio.run(run())


def test_caller_that_leaves_while_polkit_thinks(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            asked, other = _prepare(it), await Caller.connect(it.address)
            asked.release.clear()
            call = asyncio.ensure_future(other.order("", "new.example.com"))
            await asked.came.wait()
            other.bus.disconnect()
            await asyncio.gather(call, return_exceptions=True)
            asked.release.set()
            await asked.settled()
            # acmed has polkit's answer before this call: both go through the same bus, one after the other.
            await it.caller.manager("ListJobs")
            assert await it.caller.manager("ListJobs") == [[]]
            assert it.privd.calls == []

    asyncio.run(run())


def test_dialogue_that_nobody_answers_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A late answer would have no effect, and the person not know it."""
    monkeypatch.setattr(authority, "_INTERACTIVE_TIMEOUT", 0.1)

    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            asked = _prepare(it)
            asked.release.clear()
            for _ in range(2):
                with pytest.raises(DBusError, match="polkit did not decide on org.acmed1.reload") as refused:
                    await it.caller.manager("Reload", interactive=True)
                assert refused.value.name == _DENIED
            assert len(set(asked.ids)) == 2
            assert asked.cancelled == asked.ids
            asked.release.set()
            await asked.settled()

    asyncio.run(run())


def test_world_that_moves_while_a_person_types(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            asked = _prepare(it)
            asked.release.clear()
            renewal = asyncio.ensure_future(it.caller.renew(force=True))
            order = asyncio.ensure_future(it.caller.order("", "new.example.com"))
            while len(asked.asked) < 2:
                await asyncio.sleep(0)
            (it.places.etc / "certificates.d" / "www.example.com.toml").unlink()
            it.privd.configure("new.example.com", ["other.example.com"])
            await it.caller.manager("ListJobs")
            asked.release.set()
            with pytest.raises(DBusError) as gone:
                await renewal
            assert gone.value.name == "org.acmed1.Error.NoSuchCertificate"
            with pytest.raises(DBusError) as exists:
                await order
            assert exists.value.name == "org.acmed1.Error.CertificateExists"
            assert it.privd.calls == []

    asyncio.run(run())


def test_what_falls_due_while_a_person_types_is_not_renewed(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            asked = _prepare(it)
            asked.release.clear()
            renewal = asyncio.ensure_future(it.caller.manager("RenewDue", "t", 0))
            while not asked.asked:
                await asyncio.sleep(0)
            it.privd.configure("later", ["later.example.com"])
            await it.caller.manager("ListJobs")
            asked.release.set()
            (jobs,) = await renewal
            assert [job[0] for job in jobs if not job[0].startswith("authorize.")] == ["due"]

    asyncio.run(run())


def test_cancel_needs_the_action_of_the_job(tmp_path: Path) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            asked = _prepare(it)
            it.clientd.gate("Order")
            it.clientd.gate("Register")
            it.privd.gate("PermitRevoke")
            it.privd.gate("PermitRevokeOther")
            it.privd.gate("NewAccountKey")
            order = await it.caller.order("", "new.example.com")
            names, _ = await it.caller.manager("Authorize", "asa{sv}", ["new.example.com"], {})
            due = await it.caller.renew("/org/acmed1/certificate/due")
            revocation, _ = await it.caller.call(WWW, CERTIFICATE, "Revoke", "ua{sv}", 0, {})
            other, _ = await it.caller.manager("RevokeOther", "ayua{sv}", _FOREIGN, 0, {})
            account, _ = await it.caller.manager("AddAccount", "sa{sv}", "third", _ACCOUNT)
            rollover, _ = await it.caller.call(_SECOND, ACCOUNT, "RolloverKey", "a{sv}", {})
            numbers = (order, names, due, revocation, other, account, rollover)
            asked.asked.clear()
            asked.answer = polkit.NO
            for number in numbers:
                with pytest.raises(DBusError) as refused:
                    await it.caller.call(f"{ROOT}/job/_{number}", JOB, "Cancel")
                assert refused.value.name == _DENIED
            assert [(question.action.removeprefix("org.acmed1."), question.details) for question in asked.asked] == [
                (
                    "order",
                    {"certificate": "new.example.com", "identifiers": "new.example.com", "account": "default"},
                ),
                ("order", {"identifiers": "new.example.com", "account": "default"}),
                ("renew", {"certificate": "due", "identifiers": "due.example.com", "account": "default"}),
                ("revoke", _ABOUT_WWW),
                (
                    "revoke",
                    {
                        "certificate": hashlib.sha256(_FOREIGN).hexdigest(),
                        "identifiers": "foreign.example.com",
                        "account": "default",
                    },
                ),
                ("manage-accounts", {"account": "third"}),
                ("manage-accounts", {"account": "second"}),
            ]
            asked.answer = polkit.YES
            for number in numbers:
                await it.caller.call(f"{ROOT}/job/_{number}", JOB, "Cancel")
                assert await it.caller.result(number) == "canceled"

    asyncio.run(run())


@pytest.mark.parametrize(
    "identifiers",
    [
        ["a'; rm -rf /"],
        ["www.example.com\nIs this yours?"],
        ["$(account)"],
        ["localhost"],
        ["x" * 300],
        ["2001:db8::1%1,www.example.com\nIs this yours?"],  # a zone of RFC 4007 may be any text
    ],
)
def test_name_that_is_none_never_comes_into_a_prompt(tmp_path: Path, identifiers: list[str]) -> None:
    async def run() -> None:
        async with rig(tmp_path, trusted=NOBODY, polkit=True) as it:
            for name, texts in (("", identifiers), ("www", identifiers), (identifiers[0], ["www.example.com"])):
                if name == "localhost":
                    continue  # a name for a certificate like any other
                with pytest.raises(DBusError) as refused:
                    await it.caller.order(name, *texts)
                assert refused.value.name == "org.acmed1.Error.InvalidName"
            assert it.polkit
            assert it.polkit.asked == []

    asyncio.run(run())
