# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-clientd: speaks ACME (RFC 8555) to the CAs, and holds no key.

From the wire up: transport (HTTPS), nonces, authority (one CA: directory, nonces, clock, its origin), signer
(acme-keyd), session (signed requests of one account, repeated where that is right), objects (what the CA answered).
An order: creation, authorizations and order (its first half), validation, issuance, download and finalize (its
second), store (orders that survive). Besides: account, keychange with outstanding (changes that survive), renewalinfo,
revocation. handlers: Varlink.
"""
