# SPDX-License-Identifier: LGPL-2.1-or-later
"""finalize, and waiting for the CA to issue (RFC 8555 section 7.4)."""

from acme import messages

from acmed import base64url, journal
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, TimedOut, Unreachable
from acmed.clientd.orders.polling import Deadline, Pace, waiting
from acmed.clientd.orders.shown import checked, lost, shown
from acmed.clientd.orders.unfinished import Unfinished


async def issue(unfinished: Unfinished, csr: bytes) -> str:
    """The URL of the certificate. Raises any ClientError."""
    limits = unfinished.limits
    deadline = Deadline("finalize", unfinished.session.account.deadlines.finalize)
    await unfinished.report("finalize", 70, "asking for the certificate")
    first = _ask(unfinished, csr) if unfinished.order.status == "ready" else _poll(unfinished)
    answer, order = await first
    pace = Pace(limits, limits.first_issuance_poll)
    asked = 1
    while order.status != messages.STATUS_VALID:
        if order.status == messages.STATUS_INVALID:
            raise lost(answer, order.error, "the CA made the order invalid and does not say why")
        subject = f"the order is still {order.status.name}"
        pause = pace.pause(answer.retry_after)
        await unfinished.report("finalize", 80, waiting(answer))
        await deadline.sleep(pause, subject, answer.retry_after)
        if order.status != messages.STATUS_READY:
            answer, order = await _poll(unfinished)
        elif asked < limits.finalize_tries:
            asked += 1
            answer, order = await _ask(unfinished, csr)
        else:
            raise TimedOut("finalize", f"{subject} after {asked} finalize requests", answer.retry_after)
    if not order.certificate:
        raise Unreachable(answer.url, "answered with a valid order that has no certificate")
    return str(order.certificate)


async def _ask(unfinished: Unfinished, csr: bytes) -> tuple[Answer, messages.Order]:
    """Sends finalize. Where the CA says that the order is not ready, its status tells what to do."""
    try:
        answer = await unfinished.session.post(unfinished.order.finalize, {"csr": base64url.encode(csr)})
    except AcmeError as error:
        if error.type != "orderNotReady":
            raise
        journal.info("The CA is not ready to finalize: %s", error.problem.detail)
        return await _poll(unfinished)
    return await _seen(unfinished, answer)


async def _poll(unfinished: Unfinished) -> tuple[Answer, messages.Order]:
    return await _seen(unfinished, await unfinished.session.get(unfinished.order.url))


async def _seen(unfinished: Unfinished, answer: Answer) -> tuple[Answer, messages.Order]:
    order = checked(unfinished.session, answer, unfinished.order.identifiers)
    await unfinished.keep(shown(unfinished.order, order))
    return answer, order
