# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.acmed.Client"""

from acmed.clientd.handlers.accounts import Accounts
from acmed.clientd.handlers.inquiries import Inquiries
from acmed.clientd.handlers.orders import Orders
from acmed.clientd.handlers.revocations import Revocations


class Handlers(Accounts, Inquiries, Orders, Revocations):
    """Answers all of it."""
