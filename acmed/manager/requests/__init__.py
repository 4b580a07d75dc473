# SPDX-License-Identifier: LGPL-2.1-or-later
"""What callers may have acmed do: each checks what was sent, asks polkit, and checks again, since a person may have
taken minutes to answer. What takes time becomes a job. The methods are those of org.acmed1(5); all raise DBusError, of
which Failure is one.
"""

from acmed.manager.requests.accounts import Accounts
from acmed.manager.requests.certificates import Certificates
from acmed.manager.requests.desk import Desk
from acmed.manager.requests.orders import Orders
from acmed.manager.requests.revocations import Revocations

__all__ = ["Accounts", "Certificates", "Desk", "Orders", "Revocations"]
