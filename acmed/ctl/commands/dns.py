# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl dns show"""

from argparse import Namespace

from acmed.ctl.exits import Exit
from acmed.ctl.output import safe
from acmed.ctl.records import Certificate, Record
from acmed.ctl.session import Session

_OF_EACH_ORDER = ("dns-01", "dns-account-01")
_STRING = 255  # bytes of a character-string (RFC 1035 section 3.3)


async def show(session: Session, arguments: Namespace) -> Exit:
    """The records to publish, in the form of a zone file (RFC 1035 section 5) or for nsupdate(1)."""
    records = await session.acmed.records(arguments.certificate)
    if session.output.json:
        session.output.document([record.json() for record in records])
    elif arguments.nsupdate:
        session.output.lines([safe(f"update add {_data(record, '')}") for record in records] + ["send"] * bool(records))
    else:
        session.output.lines([safe(_data(record, "IN ")) for record in records])
    if not records and not session.output.json and not session.output.quiet:
        session.output.lines(nothing(await session.acmed.certificate(arguments.certificate)))
    return Exit.DONE


def nothing(certificate: Certificate) -> list[str]:
    """The comment in place of records, of which there are none to publish once and for all."""
    lines = [f"; no record needs to be published for {certificate.name}"]
    wildcard = any(name.startswith("*.") for name in certificate.identifiers)
    if certificate.challenge in _OF_EACH_ORDER or (wildcard and not certificate.challenge):
        lines = [
            f"; no lasting record is to be published for {certificate.name}: those of its challenges are set anew with "
            "each order,",
            "; which needs a [zone] for its names; 'acmectl config check' says where one is missing",
        ]
    return lines


def _data(record: Record, kind: str) -> str:
    value = quoted(record.value) if record.type == "TXT" else record.value
    return f"{record.name}. {record.ttl} {kind}{record.type} {value}"


def quoted(text: str) -> str:
    """A TXT record's data as character-strings of at most 255 bytes."""
    parts = [text[start : start + _STRING] for start in range(0, len(text), _STRING)] or [""]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
