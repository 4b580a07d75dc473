# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that stand in for a daemon of ours that was taken over; copied into the machine."""
