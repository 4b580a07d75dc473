# SPDX-License-Identifier: LGPL-2.1-or-later
"""A permit to order ends with its order: acme-clientd, were it taken over later, could have the CA issue once more for
a key that was replaced, or revoked, in the week that a permit lives.
"""

import asyncio
from typing import Any

from tests.unit.privd.rig import DIRECTORY, NAME, ROOT, Rig, issue


def orders(rig: Rig) -> list[Any]:
    return [permit["subject"] for permit in rig.permits() if permit["kind"] == "order"]


def test_when_the_certificate_is_installed(rig: Rig) -> None:
    made = rig.request()
    assert orders(rig) == [NAME]
    rig.install(made["request"], issue(made["csr"]))
    assert orders(rig) == []


def test_when_its_job_is_cancelled(rig: Rig) -> None:
    """The next one goes on with the same request, and is permitted it again."""
    rig.configure("certificates.d/other.toml", 'names = ["other.example.com"]\n')
    made = rig.request()
    rig.request(job=2, certificate="other")
    rig.run(lambda priv: priv.drop_permit(ROOT, 1, NAME))
    assert orders(rig) == ["other"]
    rig.run(lambda priv: priv.drop_permit(ROOT, 1, NAME))
    assert rig.request(job=3)["csr"] == made["csr"]
    assert sorted(orders(rig)) == ["other", NAME]


def test_when_the_names_are_authorized(rig: Rig) -> None:
    rig.configure("acmed.toml.d/a.toml", f'[account.a]\ndirectory = "{DIRECTORY}"\nuri = "https://ca.example/1"\n')
    names = [{"type": "dns", "value": NAME}]
    for subject in ("authorize.x", "authorize.y"):
        rig.run(lambda priv, subject=subject: priv.permit_authorize(ROOT, 1, "a", subject, names))  # type: ignore[misc]
    rig.run(lambda priv: priv.drop_permit(ROOT, 1, "authorize.x"))
    assert [permit["subject"] for permit in rig.permits()] == ["authorize.y"]


def test_keyd_that_is_not_there_is_no_error(rig: Rig) -> None:
    """The permit ends by its lifetime."""
    assert asyncio.run(rig.priv.drop_permit(ROOT, 1, NAME)) == {}


def test_when_the_key_that_was_ordered_for_is_revoked(rig: Rig) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nreuse-key = true\n')
    installed = rig.order()
    rig.request(job=2)
    assert orders(rig) == [NAME]
    rig.run(lambda priv: priv.archive(ROOT, 3, NAME, installed["fingerprint"]))
    assert orders(rig) == []
