# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose answers to challenges acmed may present: told to root with each permit, and not by acme-clientd."""

import asyncio

from acmed.config import Account
from acmed.keyd.credentials import Credentials
from acmed.keyd.keyring import Keyring
from acmed.keyd.permits import Permits
from acmed.keyd.permitting import PermitService
from tests.unit.keyd.rig import DIGEST, NAMES, PEER, URI, Keyd


def test_it_comes_with_the_permit(keyd: Keyd) -> None:
    ordered = asyncio.run(keyd.permits.permit_order(PEER, "default", "www", NAMES, DIGEST, None, None, None, None, 60))
    authorized = asyncio.run(keyd.permits.permit_authorize(PEER, "default", "names", NAMES, 60))
    assert ordered == authorized == {"thumbprint": keyd.key.thumbprint}


def test_none_where_the_key_cannot_be_used(keyd: Keyd) -> None:
    accounts = {"default": Account("default", "https://ca.example/dir", uri=URI)}
    service = PermitService(accounts, Keyring(Credentials(), keyd.path.parent), Permits(keyd.path))
    assert asyncio.run(service.permit_authorize(PEER, "default", "names", NAMES, 60)) == {"thumbprint": None}
