# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second half of an order: answer the challenges, wait, finalize, wait, download."""

from collections.abc import Collection

from acmed.clientd.errors import AcmeError
from acmed.clientd.orders import authorizations
from acmed.clientd.orders.download import download
from acmed.clientd.orders.issuance import issue
from acmed.clientd.orders.shown import UNREAD
from acmed.clientd.orders.unfinished import Unfinished
from acmed.clientd.orders.validation import validate


async def finalize(
    unfinished: Unfinished, csr: bytes | None, preferred: str | None, challenges: Collection[str]
) -> str | None:
    """The chain (PEM); None without a CSR, where the order is left as it is when its authorizations are valid.

    challenges: the URLs of those that are to be answered. Raises any ClientError.
    """
    try:
        if unfinished.order.status == "pending":
            await validate(unfinished, challenges)
        if csr is None:
            await _read_all(unfinished)
            return None
        return await download(unfinished, await issue(unfinished, csr), preferred)
    except AcmeError as error:
        if error.final:
            await unfinished.store.drop(unfinished.certificate)
        raise


async def _read_all(unfinished: Unfinished) -> None:
    """Those that were valid before were not looked at, and it is to be known until when they are."""
    if any(item.status == UNREAD for item in unfinished.order.authorizations):
        order, _ = await authorizations.read(unfinished.session, unfinished.order)
        await unfinished.keep(order)
