# SPDX-License-Identifier: LGPL-2.1-or-later
"""CSRs and certificates (DER) that callers send: their names, for polkit's details. What is sent is not believed for
that; acme-privd reads a CSR itself, in a process of its own, and the CA knows what it has issued.
"""

import hashlib
from typing import Any

from acmed.config.certificates import MAX_NAMES
from acmed.manager import options
from acmed.names import Identifier, InvalidName

_MAX_SIZE = 64 * 1024  # bytes


def digest(der: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def request(der: bytes) -> tuple[Identifier, ...]:
    """The identifiers of a CSR (RFC 2986), its common name first where it has one: CAs take that for a name, too (RFC
    8555 section 7.4). Raises DBusError.
    """
    # Slow to load, and few calls need it.
    from cryptography import x509  # noqa: PLC0415

    _check_size(der)
    try:
        found = x509.load_der_x509_csr(bytes(der))
        common = [str(item.value) for item in found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        names, others = _names(found.extensions)
    except Exception as error:  # cryptography raises a dozen unrelated types for what others have encoded
        raise options.invalid(f"That is not a CSR in DER: {error}") from None
    if others:
        raise options.invalid("The CSR has names that are neither DNS names nor IP addresses")
    if not names and not common:
        raise options.invalid("The CSR has no DNS name or IP address: neither a subjectAltName nor a common name")
    return options.identifiers(list(dict.fromkeys((*common, *names))))


def certificate(der: bytes) -> tuple[str, ...]:
    """The identifiers of a certificate, as far as they are such. Raises DBusError."""
    from cryptography import x509  # noqa: PLC0415

    _check_size(der)
    try:
        names, _ = _names(x509.load_der_x509_certificate(bytes(der)).extensions)
    except Exception as error:
        raise options.invalid(f"That is not a certificate in DER: {error}") from None
    found = []
    for name in names[:MAX_NAMES]:
        try:
            found.append(str(Identifier.parse(name)))
        except InvalidName:
            continue  # it does not come into a prompt
    return tuple(found)


def _names(extensions: Any) -> tuple[list[str], int]:
    """The DNS names and IP addresses, and how many others there are."""
    from cryptography import x509  # noqa: PLC0415

    try:
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], 0
    names = [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    return names, len(list(found)) - len(names)


def _check_size(der: bytes) -> None:
    if len(der) > _MAX_SIZE:
        raise options.invalid(f"{len(der)} bytes are more than the {_MAX_SIZE} that are read")
