# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-keyd as a signer for others: for lacme, and for hosts whose account key is to be on another one.

There is no root to leave permits, so keyd.toml (settings.py) takes their place. A request's way: server.py or stdio.py
brings bytes, conversation.py makes lines of them (lacme's wire protocol), which take turns (turns.py). header.py and
request.py tell what is to be signed, policy.py decides, hourly.py counts, the very bytes that were parsed are signed,
and record.py says so before the signature is given away.
"""
