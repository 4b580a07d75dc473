# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a certificate was revoked: who is asked, and what comes of whatever is answered."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from acmed.clientd.limits import Limits
from acmed.clientd.standing import Inquiry, Standing
from acmed.clientd.standing.result import Word
from acmed.clientd.standing.sources import distribution_points, origin, responders
from acmed.config.model import Account
from acmed.varlink import VarlinkError
from tests.unit.clientd.conftest import Play
from tests.unit.clientd.https import Asked, HangUp, HttpsServer, Reply
from tests.unit.clientd.revoking import DAY, HOUR, NOW, authority, new_key
from tests.unit.clientd.rig import Rig

CA = authority()
REVOKED = ocsp.OCSPCertStatus.REVOKED
QUICK = Limits(ocsp_body=8192, crl_body=64 * 1024)
Answers = Callable[[x509.Certificate], Reply]


class Place:
    """A web server with a responder at /ocsp, a list at /crl, and a certificate that names both, or some."""

    def __init__(self, by_ocsp: Answers | None, by_crl: Answers | None, certificate: Path | None = None) -> None:
        self.by_ocsp = by_ocsp
        self.by_crl = by_crl
        self.asked: list[Asked] = []
        self.server = HttpsServer(certificate, self._respond)
        self.scheme = "https" if certificate else "http"

    @property
    def paths(self) -> list[str]:
        return [one.path for one in self.asked]

    def make(self) -> x509.Certificate:
        base = f"{self.scheme}://127.0.0.1:{self.server.port}"
        self.leaf = CA.leaf([f"{base}/ocsp"] if self.by_ocsp else [], [f"{base}/crl"] if self.by_crl else [])
        return self.leaf

    def _respond(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        answer = {"/ocsp": self.by_ocsp, "/crl": self.by_crl}.get(asked.path)
        return answer(self.leaf) if answer else Reply(404)


def ask(place: Place, limits: Limits = QUICK, **account: Any) -> Standing:
    async def run() -> Standing:
        inquiry = Inquiry(limits)
        async with place.server:
            try:
                of = Account("main", "https://ca.example/directory", (), None, **account)
                return await inquiry.ask(of, CA.chain(place.make()))
            finally:
                inquiry.close()

    return asyncio.run(run())


def good(leaf: x509.Certificate) -> Reply:
    return Reply(body=CA.response(leaf))


def revoked(leaf: x509.Certificate) -> Reply:
    return Reply(body=CA.response(leaf, REVOKED, reason=x509.ReasonFlags.superseded))


def empty_list(_: x509.Certificate) -> Reply:
    return Reply(body=CA.crl())


def list_with_it(leaf: x509.Certificate) -> Reply:
    return Reply(body=CA.crl({leaf.serial_number: x509.ReasonFlags.superseded}))


@pytest.mark.parametrize(
    ("by_ocsp", "by_crl", "word", "paths"),
    [
        (good, list_with_it, Word.GOOD, ["/ocsp"]),
        (revoked, empty_list, Word.REVOKED, ["/ocsp"]),
        (None, empty_list, Word.GOOD, ["/crl"]),
        (None, list_with_it, Word.REVOKED, ["/crl"]),
        (None, None, Word.NONE, []),
    ],
)
def test_who_is_asked(by_ocsp: Answers | None, by_crl: Answers | None, word: Word, paths: list[str]) -> None:
    place = Place(by_ocsp, by_crl)
    found = ask(place)
    assert (found.word, place.paths) == (word, paths)
    if word is Word.REVOKED:
        assert (found.revoked_at, found.reason) == (NOW - HOUR, 4)
        assert found.source == f"http://127.0.0.1:{place.server.port}{paths[0]}"


def test_what_is_sent() -> None:
    place = Place(good, None)
    assert ask(place).ask_again == NOW + 3 * DAY
    (asked,) = place.asked
    assert (asked.method, asked.headers["content-type"]) == ("POST", "application/ocsp-request")
    assert ocsp.load_der_ocsp_request(asked.body).serial_number == place.leaf.serial_number


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(body=b"garbage"), "cannot be read"),
        (Reply(body=b"\0" * 8192), "cannot be read"),
        (Reply(body=b"\0" * 8193), "more than 8192 bytes"),
        (Reply(body=b"\0" * 4096, endless=True), "more than 8192 bytes"),
        (Reply(body=b"", cut=0), "cannot be read"),
        (Reply(body=b"much of it", cut=3), ""),
        (Reply(404, body=b"<html>"), "404"),
        (Reply(500), "500"),
        (Reply(301, {"Location": "/ocsp"}), "not followed"),
        (Reply(302, {"Location": "file:///etc/passwd"}), "not followed"),
        (Reply(307), "not followed"),
        (Reply(204), "204"),
        (HangUp(), ""),
    ],
)
def test_responder_that_says_nothing(reply: Reply, words: str) -> None:
    """It is asked once, and then there is the list; where that says nothing either, nothing is known."""
    place = Place(lambda _: reply, list_with_it)
    assert (ask(place).word, place.paths) == (Word.REVOKED, ["/ocsp", "/crl"])
    place = Place(lambda _: reply, None)
    found = ask(place)
    assert (found.word, place.paths) == (Word.UNKNOWN, ["/ocsp"])
    assert found.message.startswith(f"http://127.0.0.1:{place.server.port}/ocsp: ")
    assert words in found.message


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(body=b"garbage"), "cannot be read"),
        (Reply(body=b"\0" * 65537), "more than 65536 bytes"),
        (Reply(body=b"\0" * 4096, endless=True), "more than 65536 bytes"),
        (Reply(404), "404"),
        (Reply(302, {"Location": "/crl"}), "not followed"),
        (Reply(body=CA.crl(key=new_key())), "signature is wrong"),
        (HangUp(), ""),
    ],
)
def test_list_that_says_nothing(reply: Reply, words: str) -> None:
    place = Place(None, lambda _: reply)
    found = ask(place)
    assert (found.word, place.paths) == (Word.UNKNOWN, ["/crl"])
    assert words in found.message


def test_who_never_answers() -> None:
    never = asyncio.Event()
    place = Place(lambda _: Reply(when=never), lambda _: Reply(when=never))
    found = ask(place, replace(QUICK, ocsp_within=0.2, crl_within=0.2))
    assert found.word is Word.UNKNOWN
    assert found.message.count("no whole answer within 0.2 s") == 2


def test_who_never_ends() -> None:
    place = Place(None, lambda _: Reply(body=b"0", endless=True))
    found = ask(place, replace(QUICK, crl_within=0.2))
    assert (found.word, "0.2 s" in found.message or "does not end" in found.message) == (Word.UNKNOWN, True)


def test_nobody_there() -> None:
    async def run() -> Standing:
        inquiry = Inquiry(QUICK)
        leaf = CA.leaf(
            ["http://127.0.0.1:1/"], ["http://127.0.0.1:1/a", "http://127.0.0.1:1/b", "http://127.0.0.1:1/c"]
        )
        try:
            return await inquiry.ask(Account("main", "https://ca.example/directory", (), None), CA.chain(leaf))
        finally:
            inquiry.close()

    found = asyncio.run(run())
    assert found.word is Word.UNKNOWN
    assert found.message.count("refused") == 3  # two of the lists


def test_https_is_the_ca_s_own(certificate: Path) -> None:
    """It is believed to whom the CA's directory would be."""
    assert ask(Place(revoked, None, certificate), ca_file=certificate).word is Word.REVOKED
    found = ask(Place(revoked, None, certificate))
    assert (found.word, "not trusted" in found.message) == (Word.UNKNOWN, True)


def test_proxy_of_the_account() -> None:
    place = Place(None, None)
    leaf = CA.leaf(["http://ocsp.example/here"])

    def respond(asked: Asked) -> Reply:
        place.asked.append(asked)
        return Reply(body=CA.response(leaf))

    async def run() -> Standing:
        inquiry = Inquiry(QUICK)
        async with HttpsServer(None, respond) as proxy:
            try:
                of = Account("main", "https://ca.example/directory", (), None, proxy=f"http://127.0.0.1:{proxy.port}")
                return await inquiry.ask(of, CA.chain(leaf))
            finally:
                inquiry.close()

    assert asyncio.run(run()).word is Word.GOOD
    assert place.paths == ["http://ocsp.example/here"]


@pytest.mark.parametrize(
    "url",
    [
        "ldap://ca.example/cn=CA", "file:///etc/passwd", "ftp://ca.example/crl", "http:///crl", "http://u:p@ca.example/",
        "http://ca.example/a b", "http://ca.example/\r\nX: y", "http://[::1/", "http://ca.example:99999/", "",
        "crl.der", "http://ca.example/#f", "http://ca.example/" + "a" * 2000,
    ],
)  # fmt: skip
def test_urls_that_are_not_asked(url: str) -> None:
    leaf = CA.leaf([url, "http://ca.example/ocsp"], [url, "http://[::1]:8080/crl"])
    assert responders(leaf) == ["http://ca.example/ocsp"]
    assert distribution_points(leaf) == ["http://[::1]:8080/crl"]


def test_origins() -> None:
    assert origin("HTTP://CA.example/x") == ("http", "ca.example", 80)
    assert origin("https://[::1]/x") == ("https", "::1", 443)
    assert origin("http://ca.example:8080?x") == ("http", "ca.example", 8080)


def test_points_of_others() -> None:
    """An indirect list, or one for some reasons, does not say that all is well."""
    urls: Sequence[str] = ["http://ca.example/crl"]
    someone = [x509.DirectoryName(CA.certificate.subject)]
    assert distribution_points(CA.leaf(lists=urls, crl_issuer=someone)) == []
    assert distribution_points(CA.leaf(lists=urls, reasons=frozenset([x509.ReasonFlags.superseded]))) == []


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ("", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
        (CA.chain(CA.leaf(["http://127.0.0.1:1/"])).split("-----BEGIN")[1].join(["-----BEGIN", ""]), "is not there"),
        (authority("Another").chain(CA.leaf(["http://127.0.0.1:1/"])), "not the issuer"),
        (authority("A CA").chain(CA.leaf(["http://127.0.0.1:1/"])), "did not sign"),
    ],
)
def test_chain_that_is_none(play: Play, chain: str, words: str) -> None:
    async def scenario(rig: Rig) -> None:
        found = await rig.ask("RevocationStatus", certificate="www", chain=chain)
        assert (found["status"], found["source"], found["askAgain"]) == ("unknown", "", None)
        assert words in found["message"]

    play(scenario, registered=False)


def test_as_acmed_asks(play: Play) -> None:
    place = Place(None, list_with_it)

    async def scenario(rig: Rig) -> None:
        async with place.server:
            chain = CA.chain(place.make())
            assert await rig.ask("RevocationStatus", certificate="www", chain=chain) == {
                "status": "revoked",
                "revokedAt": int((NOW - HOUR).timestamp()) * 1_000_000,
                "reason": 4,
                "source": f"http://127.0.0.1:{place.server.port}/crl",
                "askAgain": None,
                "message": "",
            }
            assert rig.keys.signed == []
            with pytest.raises(VarlinkError) as caught:
                await rig.client.call(
                    "RevocationStatus", timeout=30, job=0, account="none", certificate="www", chain=chain
                )
            assert caught.value.name == "org.acmed.Client.NoSuchAccount"

    play(scenario, registered=False)
