# SPDX-License-Identifier: LGPL-2.1-or-later
"""One client's signer: its key, its policy, and what it is told at the beginning."""

from dataclasses import dataclass

from acmed.keyd import jws
from acmed.keyd.far import header
from acmed.keyd.far.hourly import Hourly, TooMany
from acmed.keyd.far.policy import Policy, account_of, allow
from acmed.keyd.far.record import Record
from acmed.keyd.far.request import FarRequest, understand
from acmed.keyd.keys import LocalKey
from acmed.keyd.policy import Refused
from acmed.keyd.request import NotUnderstood
from acmed.keyd.url import is_account_url
from acmed.store.opened import Unavailable
from acmed.varlink import Call


@dataclass(frozen=True)
class Signer:
    """name is that of the key. uri: the account's URL, or None. Where the key is on a token, signing takes seconds.

    hourly: its signatures. refusals: those that are put on record, as a client could fill a disk with them.
    """

    name: str
    key: LocalKey
    uri: str | None
    policy: Policy
    hourly: Hourly
    refusals: Hourly
    record: Record

    def greeting(self) -> bytes:
        """The first two lines of lacme's protocol: the version with what helps a client, and the JWK."""
        about = {"alg": self.key.algorithm, "jwk-thumbprint": self.key.thumbprint}
        about |= {"kid": self.uri} if self.uri else {}
        jwk = {} if self.policy.hide_jwk else self.key.jwk
        return b"1 OK " + jws.compact(about) + b"\r\n" + jws.compact(jwk) + b"\r\n"

    def sign(self, peer: Call, line: bytes) -> bytes:
        """The signature of a signing input, which is on record then. Raises Refused, NotUnderstood and Unavailable,
        which are on record too, and OSError where that cannot be written.
        """
        url, request = "", None
        try:
            wanted = header.parse(line, self.key)
            url = wanted.url
            account = account_of(wanted, self.policy, self.name, self.uri)
            request = understand(wanted, is_account_url(url, account), self.key)
            rule = allow(wanted, request, account, self.policy)
            self.hourly.count()
        except (NotUnderstood, Refused) as error:
            self._refused(peer, url, request, str(error))
            raise
        try:
            signature = self._signature(wanted.data)
        except Unavailable as error:
            self.record.unavailable(peer, self.name, url, request, rule, str(error))
            raise
        self.record.signed(peer, self.name, url, request, rule)
        return signature

    def refuse(self, peer: Call, rule: str) -> None:
        """Puts on record that something was not even a line. Raises OSError as above."""
        self._refused(peer, "", None, rule)

    def _signature(self, data: bytes) -> bytes:
        try:
            return self.key.sign(data)
        except OSError as error:  # of a token's process, which is not to be taken for one of the record
            raise Unavailable(error.strerror or str(error)) from error

    def _refused(self, peer: Call, url: str, request: FarRequest | None, rule: str) -> None:
        try:
            if self.refusals.count():
                rule = f"{rule}; what else is refused within the hour is not put on record"
        except TooMany:
            return
        except Refused:  # it cannot be counted, and then neither can a signature: that is to be seen
            pass
        self.record.refused(peer, self.name, url, request, rule)
