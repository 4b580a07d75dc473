# SPDX-License-Identifier: LGPL-2.1-or-later
"""The chain that the CA issued (RFC 8555 section 7.4.2), or one of its alternates."""

import re
from collections.abc import AsyncIterator

from acmed import journal
from acmed.clientd.ca.links import links
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, Unreachable
from acmed.clientd.orders.chains import Preference
from acmed.clientd.orders.unfinished import Unfinished

_CHAIN_TYPE = "application/pem-certificate-chain"
# PEM (RFC 7468). acme-privd lets it be parsed, and trusts nothing of it; this keeps web pages away.
_CHAIN = re.compile(r"\s*-----BEGIN CERTIFICATE-----[\x20-\x7e\r\n\t]*-----END CERTIFICATE-----\s*")


async def download(unfinished: Unfinished, url: str, preferred: str | None) -> str:
    """The chain (PEM). preferred: as preferred-chain in acmed.toml(5). Raises any ClientError."""
    await unfinished.report("download", 90, "downloading the chain")
    answer, default = await _chain(unfinished, url)
    if preferred is None:
        return default
    preference = Preference(preferred, unfinished.session.account.ca_file)
    if preference.fits(default):
        return default
    await unfinished.report("download", 91, f"looking for the chain with {preferred!r}")
    async for chain in _alternates(unfinished, answer):
        if preference.fits(chain):
            return chain
    words = f"the CA has no chain with {preferred!r}; its default is used"
    journal.notice("%s", words)
    await unfinished.report("download", 92, words)
    return default


async def _alternates(unfinished: Unfinished, answer: Answer) -> AsyncIterator[str]:
    """The other chains that the CA has. One that cannot be had is none."""
    for url in links(answer, "alternate")[: unfinished.limits.alternates]:
        try:
            _, chain = await _chain(unfinished, url)
        except (AcmeError, Unreachable) as error:
            journal.notice("An alternate chain cannot be had: %s", error)
            continue
        yield chain


async def _chain(unfinished: Unfinished, url: str) -> tuple[Answer, str]:
    answer = await unfinished.session.get(url, accept=_CHAIN_TYPE)
    text = answer.body.decode("ascii", "replace")
    if not _CHAIN.fullmatch(text):
        raise Unreachable(url, f"answered with {answer.content_type or 'no type'} that is no chain of certificates")
    return answer, text
