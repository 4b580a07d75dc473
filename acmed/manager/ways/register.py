# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way of a new account (RFC 8555 section 7.3)."""

from dataclasses import replace
from typing import Any

from acmed import journal, paths
from acmed.bus import errors as bus_errors
from acmed.manager import errors
from acmed.manager.errors import Failure
from acmed.manager.jobs import Job
from acmed.manager.known.state import AccountRequest
from acmed.manager.tools import Tools

_TIMEOUT = 300.0  # seconds


async def register(job: Job, tools: Tools) -> None:
    """Makes the account's key, where it is not there, and has the CA know it. Raises Failure; TermsNotAgreed, and the
    refusal of a key that was made, leave no account where there was none, and nothing in the configuration names it.
    """
    wanted = job.record.account
    if wanted is None:
        raise Failure(bus_errors.FAILED, f"Job {job.id} does not say what account '{job.name}' is to be")
    job.report("account", 10)
    before = tools.catalogue.configuration.accounts.get(job.name)
    await tools.daemons.priv(
        "NewAccount",
        job=job.id,
        account=job.name,
        directory=wanted.directory or None,
        contact=list(wanted.contact),
        keyType=wanted.key_type or None,
        caPem=wanted.ca_pem,
    )
    tools.catalogue.reload()
    after = tools.catalogue.configuration.accounts.get(job.name)
    if before and after and before.directory != after.directory:
        tools.catalogue.forget_account(job.name)  # that was of another CA
    # A key that was elsewhere before may have an account already, and nobody has to agree to anything for that. So may
    # one for which an account was asked for, and the answer was lost.
    is_new = wanted.key_type and not tools.catalogue.account(job.name).asked
    answer = None if is_new else await _find(job, tools)
    if answer is None:
        if not wanted.agreed:
            await _refuse_terms(job, tools, wanted)
        job.report("account", 40)
        answer = await _ask(job, tools, wanted)
    job.commit()
    job.report("account", 80)
    await tools.daemons.priv("SetAccountUri", job=job.id, account=job.name, uri=answer["uri"])
    known = tools.catalogue.account(job.name)
    status, terms = journal.printable(answer["status"]), journal.printable(answer.get("termsOfService") or "")
    tools.catalogue.save_account(job.name, replace(known, status=status, terms=terms or known.terms, asked=""))
    tools.catalogue.reload()
    journal.notice("Account %s is %s, %s", job.name, status, answer["uri"])


async def _asked(method: str, job: Job, tools: Tools) -> dict[str, Any]:
    """What the CA says of the account. Until it does, and where its answer is lost, it is known that it may have made
    or may have found one: nobody but who has the key can end that.
    """
    account = tools.catalogue.configuration.accounts.get(job.name)
    before = tools.catalogue.account(job.name).asked
    _note(job, tools, asked=account.directory if account else "")
    try:
        return await tools.daemons.client(method, timeout=_TIMEOUT, job=job.id, account=job.name)
    except Failure as failure:
        if _is_no(failure):
            _note(job, tools, asked=before)
        raise


def _is_no(failure: Failure) -> bool:
    """Whether nothing was asked of the CA, or it refused: a page that says to wait may be of somebody in between."""
    is_of_ca = failure.name != errors.UNTYPED or failure.retry_after is None
    return failure.unsent or (failure.refused and is_of_ca)


def _note(job: Job, tools: Tools, asked: str) -> None:
    """Raises Failure where it cannot be kept that a CA is asked."""
    try:
        tools.catalogue.save_account(job.name, replace(tools.catalogue.account(job.name), asked=asked))
    except OSError as error:
        message = f"Cannot write what is known of account '{job.name}': {error.strerror}"
        raise Failure(bus_errors.FAILED, message) from error


async def _ask(job: Job, tools: Tools, wanted: AccountRequest) -> dict[str, Any]:
    """The account that the CA has made. A key that it does not take would be in the way of one of another type."""
    try:
        return await _asked("Register", job, tools)
    except Failure as failure:
        if not wanted.key_type or failure.name not in errors.KEY_REFUSED:
            raise
        if await _take_back(job, tools, wanted):
            raise
        kept = paths.ACCOUNT_CREDENTIALS / job.name
        message = f"{failure.message}. The key of account '{job.name}' is kept; move {kept} away first"
        raise Failure(failure.name, message, failure.retry_after, of_ca=failure.of_ca) from failure


async def _take_back(job: Job, tools: Tools, wanted: AccountRequest) -> bool:
    """Puts an account that is new, and that the CA does not know, into the archive; whether it was one, and nothing in
    the configuration names it.
    """
    account = tools.catalogue.configuration.accounts.get(job.name)
    if not wanted.new or account is None or account.uri is not None:
        return False
    try:
        await tools.daemons.priv("RetireAccount", job=job.id, account=job.name)
    except Failure as failure:
        if failure.name != errors.INVALID_CONFIGURATION:
            raise
        return False
    tools.catalogue.reload()
    return True


async def _find(job: Job, tools: Tools) -> dict[str, Any] | None:
    """The account that the CA knows by the key, or None."""
    job.report("account", 20)
    try:
        return await _asked("FindAccount", job, tools)
    except Failure as failure:
        if failure.name != errors.UNKNOWN_TO_CA:
            raise
    _note(job, tools, asked="")
    return None


async def _refuse_terms(job: Job, tools: Tools, wanted: AccountRequest) -> None:
    """Raises Failure TermsNotAgreed where the CA has terms, which nobody has agreed to, and where another account was
    looked for than a new one.
    """
    job.report("account", 30)
    directory = await tools.daemons.client("Directory", timeout=_TIMEOUT, job=job.id, account=job.name)
    terms = directory["termsOfService"]
    if terms is None and wanted.key_type:
        return
    await _take_back(job, tools, wanted)
    message = f"The CA has terms of service, to which you are to agree (agree-tos): {terms}"
    if not wanted.key_type:
        makes = f"if you agree to its terms of service (agree-tos): {terms}" if terms else "where agree-tos is given"
        message = f"The CA knows no account by this key, and is asked for a new one only {makes}"
    raise Failure(errors.TERMS_NOT_AGREED, message)
