# SPDX-License-Identifier: LGPL-2.1-or-later
"""What counts as asking for a token, and what does not."""

import pytest

from acmed.http01.request import BadRequest, Request, parse

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
PATH = f"/.well-known/acme-challenge/{TOKEN}"


@pytest.mark.parametrize(
    "target",
    [PATH, f"http://www.example.com{PATH}", f"HTTP://www.example.com:80{PATH}", f"http://[2001:db8::1]{PATH}"],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_token_in_origin_and_absolute_form(target: str, version: str, end: str) -> None:
    head = f"GET {target} HTTP/{version}{end}Host: whoever{end}{end}".encode()
    assert parse(head) == Request("GET", TOKEN)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "*",
        "/.well-known/acme-challenge/",
        f"{PATH}?",
        f"{PATH}?a=b",
        f"{PATH}#a",
        f"{PATH}/",
        f"/{PATH}",
        f"{PATH}.",
        f"{PATH}%00",
        PATH.upper(),
        PATH.replace("/acme", "/./acme"),
        PATH.replace("/acme", "%2facme"),
        f"https://www.example.com{PATH}",
        f"http://{PATH}",
        f"ftp://www.example.com{PATH}",
        f"www.example.com{PATH}",
        "/.well-known/acme-challenge/../../../etc/passwd",
        "/.well-known/acme-challenge/..%2f..%2fetc%2fpasswd",
        "/.well-known/acme-challenge/" + "a" * 15,
        "/.well-known/acme-challenge/" + "a" * 257,
        "/.well-known/acme-challenge/" + "\u00e9" * 20,
    ],
)
def test_everything_else_is_no_token(target: str) -> None:
    assert parse(f"GET {target} HTTP/1.1\r\n\r\n".encode()) == Request("GET", None)


@pytest.mark.parametrize("length", [16, 256])
def test_shortest_and_longest_token(length: int) -> None:
    head = b"GET /.well-known/acme-challenge/" + b"_" * length + b" HTTP/1.1\r\n\r\n"
    assert parse(head).token == "_" * length


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "get", "M-SEARCH"])
def test_method_is_as_it_was_sent(method: str) -> None:
    assert parse(f"{method} {PATH} HTTP/1.1\r\n\r\n".encode()) == Request(method, TOKEN)


def test_one_empty_line_before_the_request_is_skipped() -> None:
    assert parse(f"\r\nGET {PATH} HTTP/1.1\r\n\r\n".encode()).token == TOKEN


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",  # HTTP/0.9
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.10\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / / HTTP/1.1\r\n\r\n",
        b" GET / HTTP/1.1\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\n\r\n",
        b"G(T / HTTP/1.1\r\n\r\n",
        b"A" * 33 + b" / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n",  # TLS
        b"\xff" * 100 + b"\n\n",
    ],
)
def test_what_is_not_http_is_a_bad_request(head: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(head)
