# SPDX-License-Identifier: LGPL-2.1-or-later
"""Challenges: which one is answered for each name, and what is presented for it while the CA looks."""

from acmed.manager.challenges.choose import choose, expected, types_for
from acmed.manager.challenges.files import sweep
from acmed.manager.challenges.offer import Challenge, check_ours, rows
from acmed.manager.challenges.presentation import Presentation, presented, put_away, withdraw_left

__all__ = [
    "Challenge",
    "Presentation",
    "check_ours",
    "choose",
    "expected",
    "presented",
    "put_away",
    "rows",
    "sweep",
    "types_for",
    "withdraw_left",
]
