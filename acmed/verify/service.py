# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Verify. It reads no configuration: what it knows is what it is asked."""

import asyncio
import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from acmed import daemon, journal, varlink
from acmed.names import Identifier
from acmed.varlink import Call, VarlinkError
from acmed.verify.chain import InvalidChain, verify_chain

_IDLE = 10.0  # seconds
_LONGEST_MESSAGE = 1000  # a certificate can hold thousands of names


class Verify:
    """Answers org.acmed.Verify."""

    async def verify_chain(
        self, _: Call, chain: str, public_key: str, identifiers: list[dict[str, str]]
    ) -> dict[str, Any]:
        try:
            key = base64.b64decode(public_key, validate=True)
        except (binascii.Error, ValueError) as error:
            raise VarlinkError("org.varlink.service.InvalidParameter", parameter="publicKey") from error
        ordered = frozenset(Identifier(identifier["type"], identifier["value"]) for identifier in identifiers)
        try:
            verified = verify_chain(chain, key, ordered, datetime.now(UTC))
        except InvalidChain as error:
            message = journal.printable(str(error))[:_LONGEST_MESSAGE]
            journal.notice("Refused a chain: %s", message)
            raise VarlinkError("org.acmed.Verify.InvalidChain", message=message) from error
        return {
            "certificates": [base64.b64encode(der).decode() for der in verified.certificates],
            "serialNumber": verified.serial_number,
            "issuer": verified.issuer,
            "fingerprint": verified.fingerprint,
            "notBefore": verified.not_before,
            "notAfter": verified.not_after,
        }


def main() -> None:
    """Runs until idle or SIGTERM."""
    journal.setup("acme-verify")
    asyncio.run(daemon.serve({"verify": varlink.Service(varlink.load("org.acmed.Verify"), Verify())}, _IDLE))
