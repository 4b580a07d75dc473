# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-alpn01: answers tls-alpn-01 challenges (RFC 8737, RFC 8738) on a port that systemd holds while one is pending.

hello.py reads what a stranger sent first, pending.py finds the file that acmed wrote, certificate.py makes a
certificate of it, responder.py has a connection (acmed/strangers.py all of them), and main.py starts it. It shakes
hands with whoever offers "acme-tls/1" and names a pending challenge, and with nobody else.
"""
