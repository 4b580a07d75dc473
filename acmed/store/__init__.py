# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-store-KIND: account keys that acme-keyd must not have itself, each kind behind a socket and a sandbox.

acme-keyd checks permit and policy, and hands over what is to be signed (org.acmed.Store). service.py takes the call,
and asks the module of its kind (main.py) to open the key; config/current.py has the accounts as they are now.
"""
