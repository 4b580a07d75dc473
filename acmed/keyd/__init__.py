# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-keyd: signs ACME requests with the account keys, and nothing that root did not ask for.

Runs as a DynamicUser without network; holds the account keys as systemd credentials, but for those in key stores
(acmed/store). A request's way: signing.py takes the call, request.py tells what kind of request the payload is,
policy.py decides with the permits of permits.py, and the key that keyring.py has found signs the header that jws.py
built. Root leaves its permits through permitting.py.
"""
