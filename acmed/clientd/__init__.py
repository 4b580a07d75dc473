# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-clientd: speaks ACME (RFC 8555) to the CAs, and holds no key.

From the wire up: ca/ is one CA: transport.py (HTTPS), nonces.py, authority.py (its directory, nonces, clock and
origin), session.py (signed requests of one account, repeated where that is right), objects.py (what it answered).
signer.py asks acme-keyd for signatures. orders/ is an order: creation.py, authorizations.py and order.py its first
half; validation.py, issuance.py, download.py and finalize.py its second; store.py has those that survive. accounts/ is
an account, and the change of its key. standing/ asks whether a certificate was revoked. handlers/: Varlink.
"""
