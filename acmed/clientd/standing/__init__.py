# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a certificate was revoked, as its CA publishes it: by OCSP (RFC 6960, RFC 5019), or in CRLs (RFC 5280)."""

from acmed.clientd.standing.inquiry import Inquiry
from acmed.clientd.standing.result import Standing

__all__ = ["Inquiry", "Standing"]
