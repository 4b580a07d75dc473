# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one program that root's configuration names: a hook, the reload of a zone, sendmail(8). It is there to hand on
what that one said last.
"""
