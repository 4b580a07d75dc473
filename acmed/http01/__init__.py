# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-http01: answers http-01 challenges (RFC 8555 section 8.3) on a port that systemd holds while one is pending.

request.py reads what a stranger sent, tokens.py finds the file that acmed wrote, response.py is what goes back,
responder.py has a connection (acmed/strangers.py all of them), and main.py starts it. It answers a GET or HEAD of a
token, and nothing else.
"""
