# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where tests have processes from that have loaded acmed before: most of a program's start goes there."""

import multiprocessing
from functools import cache
from multiprocessing.context import ForkServerContext


@cache
def preloaded() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preloading"])
    return context
