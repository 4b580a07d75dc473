# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of a revocation (RFC 8555 section 7.6)."""

import base64
import hashlib

from acmed import journal
from acmed.manager import clock, errors, outcome
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.known import providedkeys
from acmed.manager.known.status import Status, why_no_new_key
from acmed.manager.tools import Tools
from acmed.reasons import PUBLISHED, REASONS

_TIMEOUT = 300.0  # seconds
_BAD_NONCE = "org.acmed1.AcmeError.badNonce"
_ATTEMPTS = 10


async def revoke(job: Job, tools: Tools) -> None:
    """Revokes what is installed, unless its CA did so by itself. Its key is put where it is never used again, and the
    certificate is due where it is to be replaced. Raises Failure.
    """
    job.report("revoke", 10)
    fingerprint = job.record.before
    if not (job.resumed and tools.catalogue.status(job.name).state.revoked == fingerprint):
        if job.record.found:
            job.commit()
        else:
            sign = _by_its_key if job.record.certificate_key else _by_account
            fingerprint = await sign(job, tools)
        await _remember(job, tools, fingerprint)
    job.report("revoke", 80)
    try:
        await tools.daemons.priv("Archive", job=job.id, certificate=job.name, fingerprint=fingerprint)
    except Failure as failure:
        journal.error("The key of %s, which is revoked, is not in the archive: %s", job.name, failure.message)
        _remark(job, f"its key is not in the archive: {failure.message}")


async def revoke_other(job: Job, tools: Tools) -> None:
    """Revokes a certificate that is not installed here. Raises Failure."""
    job.report("revoke", 10)
    await _by_any_account(job, tools)
    journal.notice("The certificate %s is revoked (%s)", job.name, REASONS[job.record.reason], fingerprint=job.name)


async def _by_account(job: Job, tools: Tools) -> str:
    """The fingerprint of what was revoked."""
    if job.record.der:  # a caller gave the certificate, and not its name
        await _by_any_account(job, tools)
        return job.record.before
    permit = await tools.daemons.priv("PermitRevoke", job=job.id, certificate=job.name, reason=job.record.reason)
    job.commit()
    _replace_others(job, tools, permit["sharing"])
    job.report("revoke", 40)
    await _send(job, tools, permit["account"], permit["der"])
    return hashlib.sha256(base64.b64decode(permit["der"])).hexdigest()


async def _by_any_account(job: Job, tools: Tools) -> None:
    account, der, reason = job.record.account_name, job.record.der, job.record.reason
    permit = await tools.daemons.priv("PermitRevokeOther", job=job.id, account=account, der=der, reason=reason)
    job.commit()
    _replace_others(job, tools, permit["sharing"])
    job.report("revoke", 40)
    await _send(job, tools, account, der)


async def _send(job: Job, tools: Tools, account: str, der: str) -> None:
    try:
        await tools.daemons.client(
            "Revoke",
            timeout=_TIMEOUT,
            job=job.id,
            account=account,
            certificate=job.name,
            der=der,
            reason=job.record.reason,
        )
    except Failure as failure:
        if failure.name != errors.ALREADY_REVOKED:  # by an attempt whose answer was lost, or by another way
            raise


async def _by_its_key(job: Job, tools: Tools) -> str:
    """Signed by acme-privd, which has the certificate's key. A signature is for one nonce, which the CA may refuse."""
    status = tools.catalogue.status(job.name)
    account = _of_its_ca(status, tools)
    job.commit()
    for left in reversed(range(_ATTEMPTS)):
        nonce = await tools.daemons.client("RevocationNonce", timeout=_TIMEOUT, job=job.id, account=account)
        signed = await tools.daemons.priv(
            "SignRevocation", job=job.id, certificate=job.name, reason=job.record.reason, **nonce
        )
        _replace_others(job, tools, signed.pop("sharing"))
        job.report("revoke", 40)
        try:
            await tools.daemons.client("SendRevocation", timeout=_TIMEOUT, job=job.id, account=account, **signed)
        except Failure as failure:
            if failure.name == errors.ALREADY_REVOKED:
                break
            if failure.name != _BAD_NONCE or not left:
                raise
        else:
            break
    return status.fingerprint


def _replace_others(job: Job, tools: Tools, names: list[str]) -> None:
    """Has certificates ordered again whose key is compromised, too: that of the one which is revoked. acme-privd does
    not use it for another one, whatever the CA says to the revocation. Raises Failure.
    """
    others = sorted(set(names) & tools.catalogue.names - {job.name}) if job.record.replace else []
    for name in others:
        tools.catalogue.compromised(name)
        journal.notice("%s has the same key, which is compromised, and is ordered again", name, certificate=name)
    if others:
        _remark(job, f"ordered again, as they have the same key, which is compromised: {', '.join(others)}")


def _of_its_ca(status: Status, tools: Tools) -> str:
    """The account whose table says how the CA that issued it is reached: the one that got it or, where that is gone or
    at another CA now, another one. Raises Failure.
    """
    accounts = tools.catalogue.configuration.accounts
    account = status.account or (status.configured.account if status.configured else "")
    directory = status.issued.directory if status.issued else ""
    if not directory or (account in accounts and accounts[account].directory == directory):
        return account
    others = [name for name in sorted(accounts) if accounts[name].directory == directory]
    if not others:
        message = f"No account in the configuration has the directory of the CA that issued it, {directory}"
        raise Failure(errors.NO_SUCH_ACCOUNT, message)
    return others[0]


async def _remember(job: Job, tools: Tools, fingerprint: str) -> None:
    """Tells, too, where it is not replaced at once."""
    status, wanted = tools.catalogue.status(job.name), job.record.replace
    why_not = why_no_new_key(status.configured) if status.configured else ""
    state = outcome.revoked(status.state, fingerprint, wanted, clock.now(), awaits_key=bool(why_not))
    tools.catalogue.save(job.name, state)
    journal.notice("%s is revoked (%s)", job.name, PUBLISHED[job.record.reason], fingerprint=fingerprint)
    if wanted and why_not:
        await providedkeys.look([job.name], tools.catalogue, tools.daemons)  # root may have put another one there
    status = tools.catalogue.status(job.name)
    if wanted and status.left_alone:
        remark = f"not replaced: {why_not}"
    elif wanted and state.retry_at:
        reason = state.error_message or "the CA has asked for that time"
        remark = f"not replaced before {clock.text(state.retry_at)}: {reason}"
    elif wanted and status.problem:
        remark = f"not replaced as long as its configuration is broken: {status.problem}"
    else:
        return
    journal.notice("%s is %s", job.name, remark)
    _remark(job, f"it is {remark}")


def _remark(job: Job, note: str) -> None:
    """Tells it besides what was told before, which may have many names in it and be cut off."""
    if note not in job.note:
        job.remark("; ".join(filter(None, (note, job.note))))
