# SPDX-License-Identifier: LGPL-2.1-or-later
"""The configuration in /etc/acmed and /usr/lib/acmed: model.py is what it means, load.py reads it.

Each daemon reads it itself; it is root-owned, world-readable, and holds no secret.
"""

from acmed.config.load import Loaded, load
from acmed.config.model import Account, Certificate, Configuration, Http01, Problem, Service

__all__ = ["Account", "Certificate", "Configuration", "Http01", "Loaded", "Problem", "Service", "load"]
