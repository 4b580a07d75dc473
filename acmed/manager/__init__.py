# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmed: the bus name org.acmed1. It knows the whole of an order; each other daemon knows its step.

main.py is its life, and service.py puts it together. objects/ is what is on the bus, requests/ what callers may ask
for, behind polkit (authority.py), and upkeep/ what is done without being asked. jobs.py runs either; ways/ is what each
kind of job does, ways/order.py before all. known/ is what acmed knows, limits/ what it keeps to at each CA, and
challenges/ how a name is proven. It holds no key, writes only its own state and the pending tokens, and opens no
network socket.
"""
