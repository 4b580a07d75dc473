# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-firewall: lets a TCP port through the host's firewall while a lease on it lives, and takes that back.

An accept in a table of one's own does not open what another base chain drops, so the opening goes into each chain
that would drop the port, and nothing is touched where none does. Three backends, each with a unit of its own and no
more rights than it needs: nft.py (also for iptables-nft and ufw), firewalld.py, and iptables.py (legacy tables).
chains.py decides what drops; nft_rules.py and iptables_rules.py read rulesets for it. Nothing is remembered: what is
to be taken back is found by its comment.
"""


class FirewallError(Exception):
    """The port could not be opened or closed; the message says where and why."""


def comment(port: int) -> str:
    """The comment that marks our rules."""
    return f"acmed:http01:{port}"
