# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests/preloaded.py has loaded before."""

import gc
from importlib import import_module

for name in (
    "acmed.keyd.far.main",
    "acmed.keyd.far.server",
    "acmed.keyd.far.stdio",
    "acmed.manager.main",
    "acmed.store.decrypt",
    "acmed.store.pkcs11",
    "tests.bus.rig",
    "tests.unit.keyd.far.program",
):
    import_module(name)
gc.freeze()  # what all processes share is not written to
