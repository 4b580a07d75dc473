# SPDX-License-Identifier: LGPL-2.1-or-later
"""What CAs answer, and what RFC 8555 calls valid but acme.messages refuses."""

import json
from typing import Any

import pytest
from acme import challenges, messages

from acmed.clientd.ca import objects
from acmed.clientd.ca.transport import Answer
from acmed.clientd.errors import AcmeError, Unreachable

URL = "https://ca.example/x"
ORDER = {
    "status": "pending",
    "expires": "2036-01-01T00:00:00Z",
    "identifiers": [{"type": "dns", "value": "a.example"}, {"type": "ip", "value": "192.0.2.1"}],
    "authorizations": ["https://ca.example/authz/1", "https://ca.example/authz/2"],
    "finalize": "https://ca.example/finalize/1",
}
AUTHORIZATION = {
    "status": "pending",
    "expires": "2036-01-01T00:00:00Z",
    "identifier": {"type": "dns", "value": "a.example"},
    "challenges": [
        {"type": "http-01", "url": "https://ca.example/c/1", "status": "pending", "token": "DGyRejmCefe7v4NfDGDKfA"},
        {"type": "dns-01", "url": "https://ca.example/c/2", "status": "pending", "token": "DGyRejmCefe7v4NfDGDKfA"},
    ],
}


def answer(value: Any, status: int = 200, kind: str = "application/json", **headers: str) -> Answer:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Answer(URL, status, {"content-type": kind} | headers, body)


def test_an_order_is_what_acme_reads() -> None:
    found, expected = objects.order(answer(ORDER)), messages.Order.from_json(ORDER)
    for name in ("identifiers", "status", "authorizations", "finalize", "certificate"):
        assert getattr(found, name) == getattr(expected, name)


def test_an_authorization_is_what_acme_reads() -> None:
    found, expected = objects.authorization(answer(AUTHORIZATION)), messages.Authorization.from_json(AUTHORIZATION)
    assert (found.identifier, found.status) == (expected.identifier, expected.status)
    for mine, theirs in zip(found.challenges, expected.challenges, strict=True):
        assert (mine.uri, mine.status) == (theirs.uri, theirs.status)
        assert mine.chall.to_partial_json()["token"] == theirs.chall.encode("token")


def test_each_challenge_stays_as_it_came() -> None:
    """acme refuses the authorization for the short token, and would spell the last one differently."""
    raw = [
        {"type": "http-01", "url": "https://ca.example/c/1", "token": "short"},
        {"type": "telepathy-01", "url": "https://ca.example/c/2", "token": "t", "status": "dreaming", "waves": [1]},
        {"type": "dns-persist-01", "url": "https://ca.example/c/3", "issuer-domain-names": ["ca.example"]},
        {"type": "http-01", "url": "https://ca.example/c/4", "token": "DGyRejmCefe7v4NfDGDKfB", "validated": "never"},
        {"type": "http-01"},
        "nonsense",
    ]
    found = objects.authorization(answer(AUTHORIZATION | {"challenges": raw, "expires": "never"})).challenges
    assert [item.chall.to_partial_json() for item in found] == raw[:4]
    assert [item.status.name for item in found] == ["pending", "unknown", "pending", "pending"]
    assert isinstance(challenges.Challenge.from_json(raw[3]), challenges.HTTP01)
    assert challenges.Challenge.from_json(raw[3]).encode("token") != "DGyRejmCefe7v4NfDGDKfB"


@pytest.mark.parametrize("status", ["expired", "deactivated", "revoked", "invalid", "valid"])
def test_each_status_of_an_authorization_is_known(status: str) -> None:
    assert objects.authorization(answer(AUTHORIZATION | {"status": status})).status.name == status


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"<html>",
        b"[1]",
        b'{"a":' * 100_000,
        b"\xff",
        {},
        ORDER | {"status": "dreaming"},
        ORDER | {"status": 7},
        ORDER | {"status": None},
        ORDER | {"finalize": None},
        ORDER | {"finalize": ["https://ca.example/"]},
        ORDER | {"authorizations": [1]},
        ORDER | {"identifiers": "a.example"},
        ORDER | {"identifiers": [1]},
        ORDER | {"identifiers": [{"type": "dns"}]},
        ORDER | {"identifiers": [{"type": "dns", "value": 1}]},
        ORDER | {"identifiers": [{"type": "email", "value": "a@a.example"}]},
        ORDER | {"certificate": 1},
    ],
)
def test_what_is_no_order(broken: Any) -> None:
    with pytest.raises(Unreachable) as caught:
        objects.order(answer(broken))
    assert URL in str(caught.value)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        AUTHORIZATION | {"identifier": None},
        AUTHORIZATION | {"identifier": {"type": "dns", "value": []}},
        AUTHORIZATION | {"identifier": {"type": "dns"}},
        AUTHORIZATION | {"status": "dreaming"},
        AUTHORIZATION | {"status": []},
    ],
)
def test_what_is_no_authorization(broken: Any) -> None:
    with pytest.raises(Unreachable):
        objects.authorization(answer(broken))


def refusal(
    value: Any, status: int = 403, kind: str = "application/problem+json", retry_after: str | None = None
) -> AcmeError:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return objects.refusal(answer(value, status, kind, **headers))


def test_a_problem_document() -> None:
    error = refusal(
        {
            "type": "urn:ietf:params:acme:error:rejectedIdentifier",
            "detail": "no",
            "instance": "https://ca.example/why",
            "identifier": {"type": "email", "value": "a@a.example"},
            "subproblems": [
                {
                    "type": "urn:ietf:params:acme:error:caa",
                    "detail": "CAA",
                    "identifier": {"type": "dns", "value": "a.example"},
                },
                "nonsense",
            ],
        },
        retry_after="7",
    )
    assert (error.type, error.status, error.retry_after, error.final) == ("rejectedIdentifier", 403, 7, False)
    parameters = error.reply().parameters
    assert parameters["detail"] == "no (see https://ca.example/why)"
    assert parameters["subproblems"] == [
        {"identifier": {"type": "dns", "value": "a.example"}, "type": "caa", "detail": "CAA"}
    ]


@pytest.mark.parametrize("value", [{}, {"type": 5, "detail": []}, {"title": "no"}, {"subproblems": {"a": 1}}, b"no"])
def test_an_empty_problem_document(value: Any) -> None:
    error = refusal(value)
    assert (error.type, error.understood) == ("", True)
    assert error.problem.detail


def test_what_a_ca_takes_in_place_of_an_algorithm() -> None:
    """RFC 8555 section 6.2; once only, where the CA has said it in words, too."""
    taken = {"type": "urn:ietf:params:acme:error:badSignatureAlgorithm", "algorithms": ["ES256", "RS256", 5]}
    assert refusal(taken | {"detail": "no EdDSA"}).problem.detail == "no EdDSA (it takes ES256, RS256)"
    assert refusal(taken | {"detail": "take ES256 or RS256"}).problem.detail == "take ES256 or RS256"
    assert refusal(taken | {"detail": "no", "algorithms": "ES256"}).problem.detail == "no"


def test_an_answer_to_head_has_no_words() -> None:
    assert refusal(b"", 429).problem.detail == "answered 429 Too Many Requests"


def test_a_foreign_type_is_none_of_acme() -> None:
    assert refusal({"type": "https://ca.example/errors/quota", "detail": "no"}).type == ""


def test_subproblems_without_end() -> None:
    nested = b'{"detail": "deep", "subproblems": [' * 200 + b"{}" + b"]}" * 200
    error = refusal(nested)
    assert error.problem.detail == "deep"
    assert len(error.reply().parameters["subproblems"]) == 1


def test_a_page_is_no_problem_document() -> None:
    error = refusal(b"<html>Bad Gateway</html>", 502, "text/html; charset=utf-8")
    assert error.reply().name == "org.acmed.Client.Unreachable"
    assert error.reply().parameters == {
        "url": URL,
        "message": "answered 502 Bad Gateway with text/html instead of a problem document",
    }


def test_a_page_that_says_when_to_come_back() -> None:
    reply = refusal(b"<html>", 503, "text/html", "30").reply()
    assert (reply.name, reply.parameters["retryAfter"], reply.parameters["status"]) == (
        "org.acmed.Client.Acme",
        30,
        503,
    )


def test_json_errors_without_the_right_content_type_are_understood() -> None:
    assert refusal({"type": "urn:ietf:params:acme:error:malformed"}, kind="application/json").type == "malformed"
