# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acme-verify says of chains and CSRs, which are opaque here. It may have been taken over by what it parsed, so
its answers are held against what they may be.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from acmed import journal, varlink
from acmed.config.certificates import MAX_NAMES
from acmed.names import Identifier, InvalidName
from acmed.privd.anchors import Anchors
from acmed.privd.places import Places
from acmed.privd.refusal import refusal
from acmed.privd.requests.request import Request
from acmed.varlink import ConnectionLost, VarlinkError

MAX_CHAIN = 64 * 1024  # characters
MAX_CSR = 64 * 1024  # bytes

_MAX_CERTIFICATES = 10
_LONGEST_ISSUER = 1000
_TIMEOUT = 15.0  # seconds
_UNTRUSTED = "org.acmed.Verify.Untrusted"
_BASE64URL = "[A-Za-z0-9_-]{1,100}"


class _Nonsense(Exception):
    """acme-verify answered what it never does."""


@dataclass(frozen=True)
class Verified:
    """What acme-verify found in a chain; org.acmed.Verify has what each field means."""

    certificates: tuple[bytes, ...]
    serial_number: str
    issuer: str
    fingerprint: str
    cert_id: str | None
    not_before: int
    not_after: int


@dataclass(frozen=True)
class Wanted:
    """What a CSR asks for. public_key: base64 of the DER SubjectPublicKeyInfo."""

    identifiers: tuple[Identifier, ...]
    public_key: str
    key_type: str
    must_staple: bool


async def warm(places: Places) -> None:
    """Has PID 1 start acme-verify, which takes a while to load, while the CA validates."""
    await _client(places).warm()


async def verify(places: Places, name: str, pending: Request, chain: str, anchors: Anchors | None = None) -> Verified:
    """Has a chain parsed and held against the request. Raises InvalidChain, or InstallFailed, also where it leads to no
    anchor: that may be put right, and then the same chain will do.
    """
    if len(chain) > MAX_CHAIN:
        message = f"it has {len(chain)} bytes; allowed are {MAX_CHAIN}"
        raise refusal("InvalidChain", certificate=name, message=message)
    identifiers = [{"type": identifier.type, "value": identifier.value} for identifier in pending.identifiers]
    with _answering(name, "chain"):
        try:
            answer = await _client(places).call(
                "VerifyChain",
                timeout=_TIMEOUT,
                chain=chain,
                publicKey=pending.public_key,
                identifiers=identifiers,
                mustStaple=pending.must_staple,
                trustAnchors=list(anchors.certificates) if anchors else None,
            )
        except VarlinkError as error:
            if anchors and error.name == _UNTRUSTED:
                raise refusal("InstallFailed", certificate=name, message=_untrusted(name, anchors, error)) from error
            raise refusal("InvalidChain", certificate=name, message=_message(error)) from error
        return _verified(answer)


async def read_request(places: Places, name: str, der: bytes) -> Wanted:
    """Has a CSR parsed that was made elsewhere. Raises InvalidConfiguration or InstallFailed."""
    with _answering(name, "CSR"):
        try:
            answer = await _client(places).call("ReadRequest", timeout=_TIMEOUT, csr=base64.b64encode(der).decode())
        except VarlinkError as error:
            raise refusal("InvalidConfiguration", message=f"the CSR for {name} {_message(error)}") from error
        return _wanted(answer)


def _untrusted(name: str, anchors: Anchors, error: VarlinkError) -> str:
    return (
        f"what the CA issued is not installed: its chain leads to no certificate in {anchors.path} ('trust-anchors'): "
        f"{_message(error)}. To do: put the CA's certificate into that file, or have another chain by "
        f"'preferred-chain'; then run 'acmectl renew {name}'. What was issued is kept, and not ordered again"
    )


def _client(places: Places) -> varlink.Client:
    return varlink.Client(varlink.load("org.acmed.Verify"), places.verify_socket)


def _message(error: VarlinkError) -> str:
    return str(error.parameters.get("message", error.name))


@contextmanager
def _answering(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except (ConnectionLost, TimeoutError, _Nonsense) as error:
        reason = str(error) or "timeout"
        message = f"acme-verify did not check the {what} ({reason}); see: journalctl -u acme-verify.service"
        raise refusal("InstallFailed", certificate=name, message=message) from error


def _verified(answer: dict[str, Any]) -> Verified:
    """Varlink has checked the types. Raises _Nonsense where a value is not what its description says."""
    try:
        certificates = tuple(base64.b64decode(text, validate=True) for text in answer["certificates"])
    except binascii.Error as error:
        raise _Nonsense("certificates that are not base64") from error
    cert_id = answer["certId"]
    sound = (
        1 <= len(certificates) <= _MAX_CERTIFICATES
        and sum(map(len, certificates)) <= MAX_CHAIN
        and re.fullmatch("[0-9a-f]{1,64}", answer["serialNumber"])
        and hashlib.sha256(certificates[0]).hexdigest() == answer["fingerprint"]
        and (cert_id is None or re.fullmatch(rf"{_BASE64URL}\.{_BASE64URL}", cert_id))
        and 0 <= answer["notBefore"] < answer["notAfter"] < 2**63
    )
    if not sound:
        raise _Nonsense("an answer that cannot be")
    return Verified(
        certificates,
        answer["serialNumber"],
        journal.printable(answer["issuer"])[:_LONGEST_ISSUER],
        answer["fingerprint"],
        cert_id,
        answer["notBefore"],
        answer["notAfter"],
    )


def _wanted(answer: dict[str, Any]) -> Wanted:
    """Raises _Nonsense."""
    try:
        base64.b64decode(answer["publicKey"], validate=True)
        identifiers = tuple(Identifier.parse(one["value"]) for one in answer["identifiers"])
    except (binascii.Error, InvalidName) as error:
        raise _Nonsense("an answer that cannot be") from error
    given = tuple(Identifier(one["type"], one["value"]) for one in answer["identifiers"])
    sound = (
        identifiers == given
        and 1 <= len(set(identifiers)) == len(identifiers) <= MAX_NAMES
        and 0 < len(answer["publicKey"]) <= MAX_CSR
        and re.fullmatch("[a-z0-9-]{1,40}", answer["keyType"])
    )
    if not sound:
        raise _Nonsense("an answer that cannot be")
    return Wanted(identifiers, answer["publicKey"], answer["keyType"], answer["mustStaple"])
