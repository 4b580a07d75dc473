# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records as acmectl reads them from the bus, at a time that is known."""

from dataclasses import replace

from acmed.ctl.records import Certificate, Error, Job

DAY = 86400
NOW = 1_750_000_000
USEC = 1_000_000
VALID = Certificate(
    "/c",
    "www",
    identifiers=("www.example.com", "example.com"),
    account="default",
    state="valid",
    not_before=(NOW - DAY) * USEC,
    not_after=(NOW + 60 * DAY) * USEC,
    renew_at=(NOW + 30 * DAY) * USEC,
    fingerprint="aa",
    paths=(("fullchain", "/f.pem"), ("privkey", "/p.pem")),
)
FAILING = replace(
    VALID, state="failing", error=Error("org.acmed1.Error.Unreachable", "no A record", (NOW - 7200) * USEC), failures=3
)
OWED = replace(VALID, undelivered=(("nginx", "nginx.service failed"),))
JOB = Job("/j", 7, "order", "www", started=NOW * USEC, step="challenge", progress=40)
