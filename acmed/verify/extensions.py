# SPDX-License-Identifier: LGPL-2.1-or-later
"""What certificates and requests have in common: their extensions (RFC 5280 section 4.2)."""

from typing import TypeVar

from cryptography import x509

Extension = TypeVar("Extension", bound=x509.ExtensionType)


def find(extensions: x509.Extensions, kind: type[Extension]) -> Extension | None:
    """The value of an extension, or None where it is not there."""
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def must_staple(extensions: x509.Extensions) -> bool:
    """Whether a TLS server with it is to staple an OCSP response (RFC 7633, feature status_request)."""
    features = find(extensions, x509.TLSFeature)
    return features is not None and x509.TLSFeatureType.status_request in features
