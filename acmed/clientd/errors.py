# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can go wrong: one class for each error of org.acmed.Client."""

import math
from typing import Any

from acme import messages

from acmed.varlink import InterfaceError, VarlinkError

_REQUEST_TIMEOUT = 408  # somebody in between has lost patience, who does not know what the CA does
_LONGEST_OF_OTHERS = 86400.0  # seconds to wait by the word of somebody in between, who knows no rate limits


class ClientError(InterfaceError):
    """Any of them."""

    interface = "org.acmed.Client"


class Unreachable(ClientError):
    """The CA at url cannot be reached, or its answer cannot be understood.

    lost: no whole answer came, so the request may or may not have been carried out, and may be repeated.
    """

    def __init__(self, url: str, message: str, lost: bool = False) -> None:
        super().__init__(f"{url}: {message}", url=url, message=message)
        self.lost = lost


class TimedOut(ClientError):
    """A deadline passed, or would, while the CA was still busy with step (challenge or finalize).

    retry_after: seconds that the CA last said to wait, or None.
    """

    def __init__(self, step: str, message: str, retry_after: float | None) -> None:
        super().__init__(message, step=step, message=message, retryAfter=_whole(retry_after))


class NoSuchAccount(ClientError):
    """The configuration has no such account."""

    def __init__(self, account: str) -> None:
        super().__init__(f"there is no account {account}", account=account)


class KeyUnavailable(ClientError):
    """acme-keyd cannot sign; reason is its answer."""

    def __init__(self, account: str, reason: str) -> None:
        super().__init__(f"the key of {account} is not available: {reason}", account=account, reason=reason)


class NotPermitted(ClientError):
    """acme-keyd does not sign this; rule is what it would have needed."""

    def __init__(self, account: str, rule: str) -> None:
        super().__init__(f"acme-keyd does not sign this for {account}: {rule}", account=account, rule=rule)


class AcmeError(ClientError):
    """The CA refused. status: HTTP; retry_after: seconds or None; final: the order is lost.

    understood: the answer was a problem document (RFC 7807), not for example the page of a proxy in between. location:
    what its header field of that name says, or None. unsent: it was about the nonce for a request, which was not sent.
    """

    def __init__(
        self,
        url: str,
        problem: messages.Error,
        status: int,
        retry_after: float | None = None,
        final: bool = False,
        understood: bool = True,
        location: str | None = None,
    ) -> None:
        super().__init__(f"{url}: {problem.typ}: {problem.detail}")
        self.url = url
        self.problem = problem
        self.status = status
        self.retry_after = retry_after
        self.final = final
        self.understood = understood
        self.location = location
        self.unsent = False

    @classmethod
    def told(cls, url: str, detail: str, kind: str = "", final: bool = False) -> "AcmeError":
        """What the CA was not asked, as it is known. kind: the last part of the type, "" for none of ACME's."""
        typ = messages.ERROR_PREFIX + kind if kind else "about:blank"
        return cls(url, messages.Error(typ=typ, detail=detail), status=0, final=final)

    def advise(self, advice: str) -> None:
        """Adds what a person can do."""
        self.problem = self.problem.update(detail=f"{self.problem.detail}: {advice}")

    @property
    def type(self) -> str:
        """The last part of urn:ietf:params:acme:error:…, or "" for anything else."""
        return _type(self.problem)

    @property
    def is_refusal(self) -> bool:
        """Whether it is the CA's own word that it did not do what it was asked for."""
        return self.understood and 400 <= self.status < 500 and self.status != _REQUEST_TIMEOUT

    def reply(self) -> VarlinkError:
        """Acme, with all that the CA told; Unreachable for what nobody understands, unless it names a time to wait,
        which is a day at most then, or costs the order.
        """
        if not self.understood and self.retry_after is None and not self.final:
            unreachable = f"{self.interface}.Unreachable"
            return VarlinkError(unreachable, url=self.url, message=self.problem.detail, **self.parameters)
        wait = self.retry_after
        if wait is not None and not self.understood:
            wait = min(wait, _LONGEST_OF_OTHERS)
        return VarlinkError(
            f"{self.interface}.Acme",
            type=self.type,
            detail=self.problem.detail,
            status=self.status,
            retryAfter=_whole(wait),
            final=self.final,
            subproblems=[_subproblem(item) for item in self.problem.subproblems or ()],
            **self.parameters,
        )


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else math.ceil(seconds)


class NextKeyRefused(ClientError):
    """The CA did not change to an account's next key, knows no account by that, and cannot come to know one: another
    key may be made. refusal: what it said to the change.
    """

    def __init__(self, refusal: AcmeError) -> None:
        detail = refusal.problem.detail
        super().__init__(str(refusal), type=refusal.type, detail=detail, status=refusal.status)
        self.refusal = refusal


def _subproblem(problem: messages.Error) -> dict[str, Any]:
    who = problem.identifier
    identifier = {"type": who.typ.name, "value": who.value} if who else None
    return {"identifier": identifier, "type": _type(problem), "detail": problem.detail}


def _type(problem: messages.Error) -> str:
    """The last part of a problem's type in the ACME namespace (RFC 8555 section 6.7), or ""."""
    kind = str(problem.typ)
    return kind.removeprefix(messages.ERROR_PREFIX) if kind.startswith(messages.ERROR_PREFIX) else ""
