# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whom a certificate names for questions about itself."""

import re
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from acmed.verify import extensions

# RFC 3986, without a fragment.
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]{1,2000}", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def responders(certificate: x509.Certificate) -> list[str]:
    """The URLs of OCSP responders (RFC 5280 section 4.2.2.1)."""
    access = extensions.find(certificate.extensions, x509.AuthorityInformationAccess) or ()
    locations = [one.access_location for one in access if one.access_method == AuthorityInformationAccessOID.OCSP]
    return _urls(locations)


def distribution_points(certificate: x509.Certificate) -> list[str]:
    """The URLs of CRLs that the issuer itself signs, and that have all reasons (RFC 5280 section 4.2.1.13)."""
    points = extensions.find(certificate.extensions, x509.CRLDistributionPoints) or ()
    own = (point.full_name or () for point in points if not point.crl_issuer and not point.reasons)
    return _urls([name for names in own for name in names])


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an http or https URL without a user. Raises ValueError for anything else."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if not _URL.fullmatch(url) or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"{url!r} is not an http URL")
    return scheme, parts.hostname.lower(), parts.port or _PORTS[scheme]


def _urls(names: list[x509.GeneralName]) -> list[str]:
    """Those that can be asked, each once."""
    found = [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]
    return list(dict.fromkeys(filter(_is_http, found)))


def _is_http(url: str) -> bool:
    try:
        origin(url)
    except ValueError:
        return False
    return True
