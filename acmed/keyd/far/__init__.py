# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-keyd as a signer for others: for lacme, and for hosts whose account key is to be on another one.

There is no root to leave permits, so keyd.toml (settings.py) takes their place. A request's way: server.py or stdio.py
brings bytes, conversation.py makes lines of them (lacme's wire protocol), header.py and request.py tell what is to be
signed, policy.py decides, hourly.py counts, record.py says it, and the very bytes that were parsed are signed.
"""
