# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a CA answers is held against what was ordered, and nothing leads elsewhere."""

from typing import Any

import pytest

from acmed.varlink import VarlinkError
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.rig import Rig


@pytest.mark.parametrize("change", ["more", "fewer", "other"])
def test_an_order_for_other_names(play: Play, change: str) -> None:
    async def scenario(rig: Rig) -> None:
        def edit(fields: dict[str, Any]) -> None:
            more = {"type": "dns", "value": "c.example"}
            found = fields["identifiers"]
            fields["identifiers"] = {"more": [*found, more], "fewer": found[:1], "other": [*found[:1], more]}[change]

        rig.ca.edits["newOrder"] = edit
        with pytest.raises(VarlinkError) as caught:
            await rig.order("a.example", "b.example")
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert "other identifiers" in caught.value.parameters["message"]

    play(scenario)


def test_an_authorization_for_another_name(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        rig.ca.edits["authz"] = lambda fields: fields.update(identifier={"type": "dns", "value": "evil.example"})
        with pytest.raises(VarlinkError) as caught:
            await rig.order()
        assert "evil.example, which was not ordered" in caught.value.parameters["message"]

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("newOrder", "finalize", "https://evil.example/finalize"),
        ("newOrder", "finalize", "http://localhost/finalize"),
        ("newOrder", "authorizations", ["https://evil.example/authz/1"]),
        ("newOrder", "authorizations", ["https://user@localhost/authz/1"]),
        ("newOrder", "authorizations", ["/authz/1"]),
        ("newOrder", "authorizations", ["https://[/"]),
        ("newOrder", "authorizations", ["https://localhost:99999999/"]),
        ("order", "certificate", "https://evil.example/certificate/1"),
        ("order", "certificate", "{base}/certificate/1\r\nX: y"),
        ("order", "certificate", "{base}/certificate/1#x"),
        ("order", "certificate", "{base}\\@evil.example/1"),
    ],
)
def test_urls_of_other_origins_are_not_asked(play: Play, kind: str, field: str, value: Any) -> None:
    async def scenario(rig: Rig) -> None:
        url = value.replace("{base}", rig.ca.base) if isinstance(value, str) else value

        rig.ca.edits[kind] = lambda fields: fields.update({field: url})
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.name == "org.acmed.Client.Unreachable"
        assert caught.value.parameters["url"] == (url if isinstance(url, str) else url[0])
        assert not [signed for signed in rig.keys.signed if not signed.startswith(f"{rig.ca.base}/")]

    play(scenario)


def test_a_challenge_of_another_origin_is_not_answered(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        def edit(fields: dict[str, Any]) -> None:
            for item in fields["challenges"]:
                item["url"] = "https://evil.example/challenge"

        rig.ca.edits["authz"] = edit
        with pytest.raises(VarlinkError) as caught:
            await rig.issue()
        assert caught.value.parameters["url"] == "https://evil.example/challenge"

    play(scenario)


def test_only_challenges_of_the_order_are_answered(play: Play) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.order()
        with pytest.raises(VarlinkError) as caught:
            await rig.finalize([f"{rig.ca.base}/account/1"])
        assert caught.value.parameters == {"parameter": "challenges"}

    play(scenario)


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"certificate": "../etc/passwd"}, "certificate"),
        ({"certificate": ""}, "certificate"),
        ({"identifiers": []}, "identifiers"),
        ({"identifiers": [{"type": "email", "value": "a@a.example"}]}, "identifiers"),
        ({"csr": "not base64!"}, "csr"),
        ({"csr": "é"}, "csr"),
    ],
)
def test_wrong_parameters(play: Play, parameters: dict[str, Any], wrong: str) -> None:
    async def scenario(rig: Rig) -> None:
        good = {"certificate": "www", "identifiers": [{"type": "dns", "value": "a.example"}], "csr": "YQ=="}
        with pytest.raises(VarlinkError) as caught:
            await rig.client.call("Order", timeout=5, job=1, account="main", **good | parameters)
        assert caught.value.name == "org.varlink.service.InvalidParameter"
        assert caught.value.parameters == {"parameter": wrong}

    play(scenario)
