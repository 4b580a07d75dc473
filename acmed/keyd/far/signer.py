# SPDX-License-Identifier: LGPL-2.1-or-later
"""One client's signer: its key, its policy, and what it is told at the beginning."""

from dataclasses import dataclass

from acmed.config import Account
from acmed.keyd import jws
from acmed.keyd.far import header
from acmed.keyd.far.hourly import Hourly
from acmed.keyd.far.policy import Policy, account_of, allow
from acmed.keyd.far.record import Record
from acmed.keyd.far.request import FarRequest, understand
from acmed.keyd.keys import LocalKey
from acmed.keyd.policy import Refused
from acmed.keyd.request import NotUnderstood
from acmed.keyd.url import is_account_url
from acmed.varlink import Call


@dataclass(frozen=True)
class Signer:
    """name is that of the key. uri: the account's URL, or None."""

    name: str
    key: LocalKey
    uri: str | None
    policy: Policy
    hourly: Hourly
    record: Record

    def greeting(self) -> bytes:
        """The first two lines of lacme's protocol: the version with what helps a client, and the JWK."""
        about = {"alg": self.key.algorithm, "jwk-thumbprint": self.key.thumbprint}
        about |= {"kid": self.uri} if self.uri else {}
        jwk = {} if self.policy.hide_jwk else self.key.jwk
        return b"1 OK " + jws.compact(about) + b"\r\n" + jws.compact(jwk) + b"\r\n"

    def sign(self, peer: Call, line: bytes) -> bytes:
        """The signature of a signing input. Raises Refused, or NotUnderstood; either is on record. Raises Unavailable
        where the key has gone.
        """
        url, request = "", None
        try:
            wanted = header.parse(line, self.key)
            url = wanted.url
            account = account_of(wanted, self.policy, self.name, self.uri)
            request = understand(wanted, is_account_url(url, account), self.key)
            rule = self._allow(wanted, request, account)
        except (NotUnderstood, Refused) as error:
            self.record.refused(peer, self.name, url, request, str(error))
            raise
        self.record.signed(peer, self.name, url, request, rule)
        return self.key.sign(wanted.data)

    def refuse(self, peer: Call, rule: str) -> None:
        """Puts on record that something was not even a line."""
        self.record.refused(peer, self.name, "", None, rule)

    def _allow(self, wanted: header.SigningInput, request: FarRequest, account: Account) -> str:
        rule = allow(wanted, request, account, self.policy)
        self.hourly.count()
        return rule
