# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done without being asked: renewals when they are due, and what is owed from before."""
