# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-dnsd: sets the DNS records that answer challenges (RFC 2136), waits until they are seen, and looks into DNS.

Runs as a DynamicUser; holds the TSIG keys as systemd credentials. From the wire up: transport (questions to one
server), resolver (the system's), tsig (keys), records (what may be set, and its name), places (where that is), update
and refusals, authority and propagation (what the zone's own servers answer), caa, reach, persist and checks (the
preflight), and service (Varlink).
"""
