# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Link header field (RFC 8288)."""

import re
from urllib.parse import urljoin

from acmed.clientd.ca.transport import Answer

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_RELATION = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))', re.IGNORECASE)


def links(answer: Answer, relation: str) -> list[str]:
    """The targets of that relation (alternate), absolute, in their order and each once. They may be of any origin."""
    found: dict[str, None] = {}
    for target, parameters in _LINK.findall(answer.headers.get("link", "")):
        match = _RELATION.search(parameters)
        if match and relation in (match[1] or match[2] or "").lower().split():
            try:
                found[urljoin(answer.url, target)] = None
            except ValueError:  # no URL, as with half an IPv6 address
                continue
    return list(found)
