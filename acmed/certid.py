# SPDX-License-Identifier: LGPL-2.1-or-later
"""The name that a certificate has for its CA (RFC 9773 section 4.1)."""

from cryptography import x509

from acmed import base64url


def certificate_id(certificate: x509.Certificate) -> str | None:
    """The authority key identifier, a dot, and the serial number as DER has it: as few octets as there are, and a zero
    in front where the first bit is set. None where it does not say by which key it was signed.

    Raises ValueError or what else cryptography has for extensions that cannot be read.
    """
    try:
        issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None
    if not issuer:
        return None
    number = certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    return f"{base64url.encode(issuer)}.{base64url.encode(serial)}"
