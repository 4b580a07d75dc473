# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mail about failures, whose words come from a CA or from callers."""

import email.policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

import pytest

from acmed.privd.delivery import notify
from acmed.privd.delivery.notify import Notice
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import NAME, ROOT, Rig


def parsed(message: str, event: str = "failed", kind: str = "certificate") -> EmailMessage:
    data = notify.mail("admin@example.com", Notice(kind, NAME, event, message)).encode()
    assert max(map(len, data.splitlines())) <= 998
    return BytesParser(policy=email.policy.default).parsebytes(data)


@pytest.mark.parametrize(
    ("event", "words"),
    [("failed", "cannot be renewed"), ("expiring", "is about to expire"), ("revoked", "was revoked")],
)
def test_a_mail(event: str, words: str) -> None:
    mail = parsed("The CA said: caf\u00e9\nand more", event)
    assert (mail["To"], mail["Subject"]) == ("admin@example.com", f"acmed: {NAME} {words}")
    assert mail["Auto-Submitted"] == "auto-generated", "no holiday notices come back"
    assert mail.get_content() == f"Certificate {NAME} {words}.\n\nThe CA said: caf\u00e9\nand more\n"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("authorize-failed", "has names that cannot be validated"),
        ("authorized", "has names that were validated at last"),
    ],
)
def test_a_mail_about_an_account(event: str, words: str) -> None:
    mail = parsed("a.example.com: no", event, "account")
    assert mail["Subject"] == f"acmed: account {NAME} {words}"
    assert mail.get_content() == f"Account {NAME} {words}.\n\na.example.com: no\n"


@pytest.mark.parametrize(
    "message",
    [
        "a\nBcc: victim@example.com\n\nbody",
        "a\r\n.\r\nMAIL FROM:<x>",
        "\x1b]0;title\x07",
        "\u2028Bcc: victim@example.com",
        "\0",
        "",
    ],
)
def test_words_stay_in_the_body(message: str) -> None:
    mail = parsed(message)
    assert sorted(mail.keys()) == sorted(
        ["To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"]
    )
    assert not any(char < " " and char != "\n" for char in mail.get_content())


def test_long_words() -> None:
    mail = parsed("\u20ac" * 5000 + " " + "a b " * 5000)
    assert len(mail.get_content()) < 9000


@pytest.mark.parametrize("event", ["", "Failed", "other", "failed\n", "authorized"])
def test_events_that_are_none(rig: Rig, event: str) -> None:
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.notify(ROOT, 1, event, "words", certificate=NAME))
    assert caught.value.parameters == {"parameter": "event"}


def test_event_of_a_certificate_is_none_of_an_account(rig: Rig) -> None:
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.notify(ROOT, 1, "failed", "words", account=NAME))
    assert caught.value.parameters == {"parameter": "event"}


@pytest.mark.parametrize(
    ("certificate", "account", "parameter"),
    [(None, None, "certificate"), (NAME, NAME, "account"), ("../x", None, "certificate"), (None, "a b", "account")],
)
def test_what_it_is_about_is_one_thing(rig: Rig, certificate: str | None, account: str | None, parameter: str) -> None:
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.notify(ROOT, 1, "failed", "words", certificate, account))
    assert caught.value.parameters == {"parameter": parameter}


def test_without_a_configuration_nobody_is_told(rig: Rig) -> None:
    assert rig.run(lambda priv: priv.notify(ROOT, 1, "failed", "words", certificate=NAME)) == {}


def test_a_failure_is_told_and_logged(
    rig: Rig, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    rig.configure("acmed.toml.d/n.toml", '[notify]\nmail = "admin@example.com"\n')
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.notify(ROOT, 1, "failed", "words", certificate=NAME))
    assert caught.value.name == "org.acmed.Priv.HookFailed"
    assert caught.value.parameters["message"].startswith("PID 1 cannot be asked: ")
    assert f"Nobody was told that {NAME} cannot be renewed: PID 1 cannot be asked" in capfd.readouterr().err
