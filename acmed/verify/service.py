# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Verify. It reads no configuration: what it knows is what it is asked."""

import asyncio
import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from acmed import daemon, journal, varlink
from acmed.names import Identifier
from acmed.varlink import Call, VarlinkError, invalid_parameter
from acmed.verify.anchors import Untrusted
from acmed.verify.chain import verify_chain
from acmed.verify.links import InvalidChain
from acmed.verify.request import InvalidRequest, read_request

_IDLE = 10.0  # seconds
_LONGEST_MESSAGE = 1000  # a certificate can hold thousands of names


class Verify:
    """Answers org.acmed.Verify."""

    async def verify_chain(
        self,
        _: Call,
        chain: str,
        public_key: str,
        identifiers: list[dict[str, str]],
        must_staple: bool,
        trust_anchors: list[str] | None,
    ) -> dict[str, Any]:
        key = _decoded(public_key, "publicKey")
        ordered = frozenset(Identifier(identifier["type"], identifier["value"]) for identifier in identifiers)
        trusted = None if trust_anchors is None else [_decoded(one, "trustAnchors") for one in trust_anchors]
        try:
            verified = verify_chain(chain, key, ordered, must_staple, datetime.now(UTC), trusted)
        except InvalidChain as error:
            raise _refused("InvalidChain", "chain", error) from error
        except Untrusted as error:
            raise _refused("Untrusted", "chain", error) from error
        return {
            "certificates": [base64.b64encode(der).decode() for der in verified.certificates],
            "serialNumber": verified.serial_number,
            "issuer": verified.issuer,
            "fingerprint": verified.fingerprint,
            "certId": verified.cert_id,
            "notBefore": verified.not_before,
            "notAfter": verified.not_after,
        }

    async def read_request(self, _: Call, csr: str) -> dict[str, Any]:
        try:
            wanted = read_request(_decoded(csr, "csr"))
        except InvalidRequest as error:
            raise _refused("InvalidRequest", "CSR", error) from error
        return {
            "identifiers": [{"type": one.type, "value": one.value} for one in wanted.identifiers],
            "publicKey": base64.b64encode(wanted.public_key).decode(),
            "keyType": wanted.key_type,
            "mustStaple": wanted.must_staple,
        }


def _decoded(text: str, parameter: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_parameter(parameter) from error


def _refused(error: str, what: str, reason: Exception) -> VarlinkError:
    message = journal.printable(str(reason))[:_LONGEST_MESSAGE]
    journal.notice("Refused a %s: %s", what, message)
    return VarlinkError(f"org.acmed.Verify.{error}", message=message)


def main() -> None:
    """Runs until idle or SIGTERM."""
    journal.setup("acme-verify")
    asyncio.run(daemon.serve({"verify": varlink.Service(varlink.load("org.acmed.Verify"), Verify())}, _IDLE))
