# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed: the bus name org.acmed1. It knows the whole of an order; each other daemon knows its step.

order.py is the way of an order. requests/ is what callers may ask for, behind polkit (authority.py), and due.py what is
done without being asked; jobs.py runs it; catalogue.py and state.py know what there is. It holds no key, writes only
its own state and the pending tokens, and opens no network socket.
"""
