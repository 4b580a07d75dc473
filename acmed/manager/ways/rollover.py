# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of an account's new key (RFC 8555 section 7.3.5). acme-privd keeps both keys until the CA has taken the new
one, so that a job that was interrupted anywhere can go on.

So the next key may be one that an earlier job has left, of another type than this job is to have. It cannot just be put
aside, as the CA may know it: that change is finished first, and then the key is changed again.
"""

from typing import Any

from acmed import journal
from acmed.manager.errors import NextKeyRefused
from acmed.manager.jobs import Job
from acmed.manager.tools import Tools

_TIMEOUT = 300.0  # seconds


async def rollover(job: Job, tools: Tools) -> None:
    """Raises Failure; NextKeyRefused leaves the account as it was, without a next key."""
    wanted = job.record.key_type
    await _change(job, tools, wanted)
    found = await _adopt(job, tools)
    if found != wanted:
        journal.notice("Account %s has the key (%s) of an earlier change, and gets another one", job.name, found)
        job.keep(changed=False)
        await _change(job, tools, wanted)
        found = await _adopt(job, tools)
    journal.notice("Account %s has a new key (%s)", job.name, found)


async def _change(job: Job, tools: Tools, wanted: str) -> None:
    """Has the CA take the next key. One that it does not take is given up: it knows only the old one."""
    about: dict[str, Any] = {"job": job.id, "account": job.name}
    while not job.record.changed:
        job.report("account", 10)
        made = (await tools.daemons.priv("NewAccountKey", **about, keyType=wanted))["keyType"]
        job.commit()
        if made != wanted:
            job.remark(f"A change to {made} was left by an earlier job, and is finished first")
        job.report("account", 30)
        try:
            await tools.daemons.client("ChangeKey", timeout=_TIMEOUT, **about)
        except NextKeyRefused as failure:
            await tools.daemons.priv("DropAccountKey", **about)
            if made == wanted:
                raise
            journal.notice("The CA does not take the key (%s) of an earlier change: %s", made, failure.message)
        else:
            job.keep(changed=True)  # from here on there is only one way, and no other key


async def _adopt(job: Job, tools: Tools) -> str:
    """The type of the key that the account has now."""
    job.report("account", 80)
    answer = await tools.daemons.priv("AdoptAccountKey", job=job.id, account=job.name)
    return str(answer["keyType"])
