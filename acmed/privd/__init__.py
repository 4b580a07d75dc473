# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme-privd: the handful of things that only root may do, for acmed. It parses nothing that came from the network.

handlers/ takes the calls of org.acmed.Priv, one at a time for each subject. A certificate's way: requests/ (what is to
be certified), installed/ (what was), delivery/ (who gets it). challenges/ opens ports and writes where others serve,
accounts/ makes and seals keys. permits.py, verifier.py and pid1.py are what acme-privd asks of acme-keyd, acme-verify
and PID 1, which runs everything else in a sandbox (transient.py).
"""
