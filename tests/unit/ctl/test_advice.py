# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said of a CA that cannot be used fits why: acme-clientd says that in words of its own."""

import asyncio
import json
from pathlib import Path

import pytest

from acmed.clientd.ca.directory import directory
from acmed.clientd.ca.objects import refusal
from acmed.clientd.ca.transport import Answer, Route, Transport
from acmed.clientd.errors import Unreachable
from acmed.clientd.limits import Limits
from acmed.ctl.advice import advice, elsewhere
from tests.unit.clientd.https import HttpsServer, Reply, make_certificate

URL = "https://ca.example/dir"
UNREACHABLE = "org.acmed1.Error.Unreachable"


def asked(served: Path, ca_file: Path) -> str:
    """What is said of a server with a certificate, where others vouch for the CA."""

    async def run() -> str:
        transport = Transport(Limits(connect=5))
        async with HttpsServer(served, lambda _: Reply()) as server:
            route = Route(("https", "localhost", server.port), ca_file, None)
            try:
                await transport.exchange(route, "GET", f"https://localhost:{server.port}/", {}, None, 20)
            except Unreachable as error:
                return str(error)
            finally:
                transport.close()
        raise AssertionError

    return asyncio.run(run())


def test_server_that_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, other = make_certificate(tmp_path, "localhost"), make_certificate(tmp_path / "other", "localhost")
    for message in (asked(one, other), asked(one, tmp_path / "missing.pem")):
        for hint in (advice(UNREACHABLE, "www", message), elsewhere(UNREACHABLE, message)):
            assert "--ca-file" in hint
            assert "could not be reached" not in hint
        assert "later" not in elsewhere(UNREACHABLE, message)


def no_directory(answer: Answer) -> str:
    if answer.status >= 400:
        return str(refusal(answer).reply().parameters["message"])
    try:
        directory(answer)
    except Unreachable as error:
        return str(error.parameters["message"])
    raise AssertionError


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (404, "text/plain", b"404 page not found"),
        (200, "text/html", b"<html>"),
        (200, "application/json", b'{"newNonce": "https://ca.example/x"}'),
        (200, "application/json", json.dumps({"new-reg": URL}).encode()),
    ],
)
def test_url_that_is_no_directory(status: int, kind: str, body: bytes) -> None:
    message = no_directory(Answer(URL, status, {"content-type": kind}, body))
    assert advice(UNREACHABLE, "www", message).startswith("That is no ACME directory")
    assert elsewhere(UNREACHABLE, message).endswith("Then run the same command again.")


def test_ca_that_may_come_back() -> None:
    for message in (f"{URL}: Connection refused", f"{URL}: answered 503 Service Unavailable with text/html"):
        assert advice(UNREACHABLE, "www", message) == "The CA could not be reached from this host."
        assert elsewhere(UNREACHABLE, message).endswith("Run the same command again later.")


@pytest.mark.parametrize("name", ["InstallFailed", "InvalidConfiguration"])
def test_nobody_is_sent_to_the_configuration_for_what_may_be_elsewhere(name: str) -> None:
    hint = advice(f"org.acmed1.Error.{name}", "www", "No space left on device")
    assert hint.index("The message says") < hint.index("'acmectl config check' finds it where")
