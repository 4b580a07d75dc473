# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is asked of a CA without a signature."""

import re
import time

from acmed.clientd.handlers.answering import Answering, Reply, answering
from acmed.clientd.renewalinfo import renewal_info
from acmed.varlink import Call, invalid_parameter

# base64url of the authority key identifier, and of the serial number (RFC 9773 section 4.1).
_CERT_ID = re.compile(r"[A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{1,64}")


class Inquiries(Answering):
    """The methods that are about the CA itself, or about any of its certificates."""

    async def directory(self, _: Call, job: int, account: str, fresh: bool | None) -> Reply:
        with answering(job=job, account=account):
            authority = self._authority(account)
            if fresh:
                directory = await authority.resources.fresh()
            else:
                # Before there is an account, somebody may be shown the terms; those that are agreed to are of today.
                directory = await authority.resources.directory(fetched=self._account(account).uri is None)
                await authority.meet()  # its clock is to be told
            return {
                "termsOfService": directory.terms,
                "website": directory.website,
                "caaIdentities": list(directory.caa_identities),
                "externalAccountRequired": directory.external_account_required,
                "profiles": dict(directory.profiles),
                "renewalInfo": "renewalInfo" in directory.resources,
                "newAuthz": "newAuthz" in directory.resources,
                "clockOffset": round(authority.now() - time.time()),
            }

    async def renewal_info(self, _: Call, job: int, account: str, cert_id: str) -> Reply:
        if not _CERT_ID.fullmatch(cert_id):
            raise invalid_parameter("certId")
        with answering(job=job, account=account):
            info = await renewal_info(self._authority(account), cert_id)
            return {
                "start": info.start,
                "end": info.end,
                "explanationUrl": info.explanation,
                "retryAfter": info.retry_after,
            }
