# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each kind of job does, step by step: a module of its own for each, and the parts that several have in common."""
