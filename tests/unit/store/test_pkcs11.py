# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys on a token of SoftHSM's: which one a URI means, its public half, its signatures, and what goes wrong."""

import asyncio
import contextlib
import datetime
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

import acmed
from acmed import base64url
from acmed.config import Account
from acmed.config.keysource import parse
from acmed.store import pkcs11, publickey
from acmed.store.opened import Unavailable
from acmed.store.pkcs11 import TokenKey, open_key
from acmed.store.tokenpin import PinMissing, PinRefused
from acmed.store.tokenprocess import TokenProcess

pytest.importorskip("PyKCS11", reason="tools/setup installs it")

from tests.unit.store import softhsm
from tests.unit.store.softhsm import MODULE, PIN, SoftHsm

pytestmark = pytest.mark.slow

Opened = Callable[..., TokenKey]
Worker = Callable[[str, str], None]
DATA = b"eyJhbGciOiJFUzI1NiJ9.e30"
KINDS = {"2048": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}


def uri(path: str = "token=acme", query: str = f"module-path={MODULE}") -> str:
    return f"pkcs11:{path}?{query}"


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    return softhsm.new(tmp_path)


@pytest.fixture
def opened() -> Iterator[Opened]:
    """TokenKey(), and the keys are closed in the end."""
    keys = []

    def inner(text: str = uri(), pin: bytes | None = PIN.encode(), runtime: Path | None = None) -> TokenKey:
        keys.append(TokenKey(text, pin, runtime))
        return keys[-1]

    yield inner
    for key in keys:
        key.close()


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """Gives the next processes a module of Python's, by its name and its text; "sitecustomize" runs before all else."""
    (tmp_path / "python").mkdir()
    # What PYTHONPATH is made of: acmed itself stays where it has been compiled.
    monkeypatch.setattr(acmed, "__file__", f"{tmp_path}/python:{acmed.__file__}")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def inner(name: str, text: str) -> None:
        (tmp_path / "python" / f"{name}.py").write_text(text)

    return inner


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key_signs(hsm: SoftHsm, opened: Opened, kind: str) -> None:
    hsm.key("acme", kind)
    key = opened(uri("token=acme;object=account;type=private"))
    assert key.algorithm == KINDS[kind]
    public = publickey.parse(key.jwk)
    for data in (DATA, DATA + b"A" * 100_000):
        assert public.verifies(key.sign(data), data)
    assert key.thumbprint == public.thumbprint


def test_a_token_that_does_not_hash_signs_with_rsa(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "2048")
    hsm.configure("slots.mechanisms = CKM_RSA_PKCS")
    key = opened()
    assert publickey.parse(key.jwk).verifies(key.sign(DATA), DATA)


def test_a_key_that_wants_the_pin_for_each_signature(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256", asks=True)
    key = opened()
    for _ in range(2):
        assert publickey.parse(key.jwk).verifies(key.sign(DATA), DATA)


def test_the_module_by_its_name(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256")
    assert opened(uri(query="module-name=softhsm2")).sign(DATA)


def test_which_token_and_key(hsm: SoftHsm, opened: Opened) -> None:
    hsm.token("other one")
    hsm.key("acme", "P-256", "account", b"\1")
    hsm.key("acme", "P-256", "spare", b"\xfe\2")
    hsm.key("other one", "P-256", "account", b"\1")
    by_label, by_id = opened(uri("token=acme;object=spare")), opened(uri("token=acme;id=%FE%02"))
    other = opened(uri("token=other%20one;manufacturer=SoftHSM%20project;model=SoftHSM%20v2"))
    assert by_label.jwk == by_id.jwk
    assert by_label.jwk != other.jwk
    with pytest.raises(Unavailable, match=r"several tokens match, 'acme' \(serial '.*'other one' .*add serial"):
        opened(uri("manufacturer=SoftHSM%20project"))
    with pytest.raises(
        Unavailable, match=r"several keys .* match, object='(account' id=01|spare' id=fe02), .*: add id"
    ):
        opened(uri("token=acme"))


def test_no_such_token_or_key(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256")
    with pytest.raises(Unavailable, match=rf"no such token; {MODULE} has 'acme' \(serial '[0-9a-f]+'\)"):
        opened(uri("token=acne"))
    with pytest.raises(Unavailable, match=r"no such token"):
        opened(uri("token=acme;serial="))
    with pytest.raises(Unavailable, match="no such private key, but object='account' id=01"):
        opened(uri("token=acme;object=spare"))


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("module-path=/usr/lib/nothing.so", "the module /usr/lib/nothing.so cannot be read: No such file"),
        ("module-path=/etc/passwd", "/etc/passwd is no PKCS #11 module"),
        ("module-name=nothing", "there is no module nothing in /usr/lib/pkcs11"),
    ],
)
def test_no_such_module(opened: Opened, query: str, reason: str) -> None:
    with pytest.raises(Unavailable, match=reason):
        opened(uri(query=query))


@pytest.mark.parametrize(
    ("kind", "sign", "reason"),
    [
        ("1024", True, "an RSA key has 2048 to 4096 bits, not 1024"),
        ("P-192", True, "another curve than P-256, P-384 and P-521"),
        ("P-256", False, "does not let it sign"),
    ],
)
def test_keys_that_an_account_cannot_have(hsm: SoftHsm, opened: Opened, kind: str, sign: bool, reason: str) -> None:
    hsm.key("acme", kind, sign=sign)
    with pytest.raises(Unavailable, match=reason):
        opened()


def certificate(jwk: dict[str, str]) -> bytes:
    """By a CA that nobody knows."""
    name, now = x509.Name([]), datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
    signed = builder.public_key(publickey.parse(jwk).public).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    return signed.public_bytes(Encoding.DER)


@pytest.mark.parametrize("kind", ["2048", "P-256", "Ed25519"])
def test_the_public_half_from_a_certificate(hsm: SoftHsm, opened: Opened, kind: str) -> None:
    hsm.key("acme", kind)
    jwk = opened().jwk
    hsm.certificate("acme", certificate(jwk))
    hsm.remove_public_keys("acme")
    assert opened().jwk == jwk
    assert opened().sign(DATA)


def test_no_public_half(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256")
    hsm.remove_public_keys("acme")
    with pytest.raises(
        Unavailable, match="neither a public key nor a certificate with the id of the key object='account'"
    ):
        opened()


def test_another_keys_certificate_is_found_out(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256", "other", b"\2")
    other = opened().jwk
    hsm.key("acme", "P-256")
    hsm.remove_public_keys("acme")
    hsm.certificate("acme", certificate(other))
    with pytest.raises(Unavailable, match="signature is not by the public key or certificate"):
        opened(uri("token=acme;object=account")).sign(DATA)


def test_a_token_is_pulled_and_put_back(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256")
    key = opened()
    hsm.tokens.rename(hsm.tokens.with_name("pocket"))
    with pytest.raises(Unavailable, match=r"the token 'acme' \(serial '.*'\) does not sign: .*; is it there\?"):
        key.sign(DATA)
    with pytest.raises(Unavailable, match="cannot be initialised|no such token"):
        key.sign(DATA)
    hsm.tokens.with_name("pocket").rename(hsm.tokens)
    assert publickey.parse(key.jwk).verifies(key.sign(DATA), DATA)


def test_another_token_is_put_in(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256")
    key = opened()
    hsm.tokens.rename(hsm.tokens.with_name("pocket"))
    with pytest.raises(Unavailable):
        key.sign(DATA)
    hsm.token("acme")
    hsm.key("acme", "P-256")
    with pytest.raises(Unavailable, match="another key than before"):
        key.sign(DATA)


def test_a_pin_is_wanted(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256")
    with pytest.raises(PinMissing, match=r"the token 'acme' .* wants a PIN"):
        opened(pin=None)


def test_a_wrong_pin_is_tried_once(hsm: SoftHsm, opened: Opened, tmp_path: Path) -> None:
    hsm.key("acme", "P-256")
    with pytest.raises(PinRefused, match="refuses the PIN: CKR_PIN_INCORRECT"):
        opened(pin=b"4321", runtime=tmp_path)
    (marker,) = tmp_path.glob("refused-pin-*")
    assert marker.stat().st_mode & 0o777 == 0o600
    assert b"4321" not in marker.read_bytes()
    with pytest.raises(PinRefused, match=f"refused this PIN before, .* remove {marker}"):
        opened(pin=b"4321", runtime=tmp_path)
    with pytest.raises(PinRefused, match="CKR_PIN"):
        opened(pin=b"9999", runtime=tmp_path)
    assert opened(runtime=tmp_path).sign(DATA)
    assert not list(tmp_path.glob("refused-pin-*"))


def test_a_wrong_pin_is_not_tried_where_it_was_refused_before(hsm: SoftHsm, opened: Opened, tmp_path: Path) -> None:
    """The token would take this PIN; it is not asked."""
    hsm.key("acme", "P-256")
    with pytest.raises(PinRefused):
        opened(pin=b"4321", runtime=tmp_path)
    with hsm.session("acme") as session:
        session.setPin(PIN, "4321")
    with pytest.raises(PinRefused, match="refused this PIN before"):
        opened(pin=b"4321", runtime=tmp_path)
    next(tmp_path.glob("refused-pin-*")).unlink()
    assert opened(pin=b"4321", runtime=tmp_path).sign(DATA)


def test_a_pin_that_became_wrong_is_tried_once(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256")
    key = opened()
    hsm.tokens.rename(hsm.tokens.with_name("pocket"))
    with pytest.raises(Unavailable):
        key.sign(DATA)
    hsm.tokens.with_name("pocket").rename(hsm.tokens)
    with hsm.session("acme") as session:
        session.setPin(PIN, "4321")
    with pytest.raises(PinRefused, match="CKR_PIN_INCORRECT"):
        key.sign(DATA)
    with hsm.session("acme", "4321") as session:
        session.setPin("4321", PIN)
    with pytest.raises(PinRefused, match="CKR_PIN_INCORRECT"):
        key.sign(DATA)


# What a module does at a login, for a user, after what it did there otherwise.
LOGIN = """
import os, signal
import PyKCS11
real = PyKCS11.Session.login
def login(session, pin, user=PyKCS11.CKU_USER):
    real(session, pin, user)
    if user == PyKCS11.{user}:
        {what}
PyKCS11.Session.login = login
"""


def fails(code: str) -> str:
    return f"raise PyKCS11.PyKCS11Error(PyKCS11.{code})"


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended with SIGKILL"),
        (fails("CKR_FUNCTION_FAILED"), "may have counted as wrong, the PIN: CKR_FUNCTION_FAILED"),
        (fails("CKR_DEVICE_ERROR"), "may have counted as wrong, the PIN: CKR_DEVICE_ERROR"),
        (fails("CKR_DEVICE_REMOVED"), "may have counted as wrong, the PIN: CKR_DEVICE_REMOVED"),
    ],
)
def test_a_login_that_may_have_used_a_try_is_not_tried_again(
    hsm: SoftHsm, opened: Opened, worker: Worker, tmp_path: Path, what: str, reason: str
) -> None:
    """The token would take this PIN by then; it is not asked."""
    hsm.key("acme", "P-256")
    worker("sitecustomize", LOGIN.format(user="CKU_USER", what=what))
    with pytest.raises(Unavailable, match=reason):
        opened(runtime=tmp_path)
    worker("sitecustomize", "#")
    (marker,) = tmp_path.glob("refused-pin-*")
    with pytest.raises(PinRefused, match=f"refused this PIN before, .* remove {marker}"):
        opened(runtime=tmp_path)
    marker.unlink()
    assert opened(runtime=tmp_path).sign(DATA)


def test_a_login_that_used_no_try_is_tried_again(hsm: SoftHsm, opened: Opened, worker: Worker, tmp_path: Path) -> None:
    hsm.key("acme", "P-256")
    with pytest.raises(PinRefused):
        opened(pin=b"4321", runtime=tmp_path)
    worker("sitecustomize", LOGIN.format(user="CKU_USER", what=fails("CKR_TOKEN_NOT_PRESENT")))
    with pytest.raises(Unavailable, match="lets nobody log in: CKR_TOKEN_NOT_PRESENT"):
        opened(runtime=tmp_path)
    worker("sitecustomize", "#")
    with pytest.raises(PinRefused, match="refused this PIN before"):
        opened(pin=b"4321", runtime=tmp_path)
    assert opened(runtime=tmp_path).sign(DATA)


@pytest.mark.parametrize("code", ["CKR_PIN_INCORRECT", "CKR_DEVICE_ERROR"])
def test_a_pin_that_is_wrong_for_a_signature_is_tried_once(
    hsm: SoftHsm, opened: Opened, worker: Worker, tmp_path: Path, code: str
) -> None:
    hsm.key("acme", "P-256", asks=True)
    worker("sitecustomize", LOGIN.format(user="CKU_CONTEXT_SPECIFIC", what=fails(code)))
    key = opened(runtime=tmp_path)
    worker("sitecustomize", "#")
    for _ in range(2):
        with pytest.raises(PinRefused, match=f"the PIN: {code}.*it is not tried again"):
            key.sign(DATA)
    (marker,) = tmp_path.glob("refused-pin-*")
    with pytest.raises(PinRefused, match=f"refused this PIN before, .* remove {marker}"):
        opened(runtime=tmp_path)
    marker.unlink()
    assert opened(runtime=tmp_path).sign(DATA)
    assert not list(tmp_path.glob("refused-pin-*"))


def test_another_login_with_the_pin_is_waited_for(
    hsm: SoftHsm, opened: Opened, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PIN is that of an account whose login goes on; that does not make it a wrong one for another."""
    hsm.key("acme", "P-256")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    worker("sitecustomize", LOGIN.format(user="CKU_USER", what=f"open({str(fifo)!r}).readline()"))
    monkeypatch.setattr(pkcs11, "_OPEN_TIMEOUT", 60)
    with ThreadPoolExecutor() as threads, fifo.open("r+b", buffering=0) as gate:
        first = threads.submit(opened, runtime=tmp_path)
        while not list(tmp_path.glob("refused-pin-*")):  # until it is at its login
            assert not first.done(), first.exception()
            time.sleep(0.01)
        worker("sitecustomize", "#")
        second = threads.submit(opened, runtime=tmp_path)
        with contextlib.suppress(TimeoutError):
            second.result(1)
        gate.write(b"\n")
        assert first.result().jwk == second.result().jwk


def test_where_the_refused_pin_could_not_be_kept_none_is_tried(hsm: SoftHsm, opened: Opened, tmp_path: Path) -> None:
    hsm.key("acme", "P-256")
    with pytest.raises(Unavailable, match=f"no PIN is tried, as {tmp_path}/nothing/refused-pin-.*: No such file"):
        opened(runtime=tmp_path / "nothing")


@pytest.mark.parametrize(
    ("instead_of", "answer"),
    [
        ("jwk", "no JSON"),
        ("jwk", "[]"),
        ("jwk", "{}"),
        ("jwk", '{"jwk": 1}'),
        ("jwk", '{"error": "Unavailable"}'),
        ("signature", '{"jwk": {}}'),
        ("signature", '{"signature": "?"}'),
        ("signature", '{"signature": null}'),
    ],
)
def test_an_answer_that_is_none(
    hsm: SoftHsm, opened: Opened, worker: Worker, monkeypatch: pytest.MonkeyPatch, instead_of: str, answer: str
) -> None:
    hsm.key("acme", "P-256")
    worker(
        "sitecustomize",
        "import json\nreal = json.dumps\n"
        f"json.dumps = lambda values: {answer!r} if {instead_of!r} in values else real(values)",
    )
    started: list[TokenProcess] = []

    def start() -> TokenProcess:
        started.append(TokenProcess())
        return started[-1]

    monkeypatch.setattr(pkcs11, "TokenProcess", start)
    with pytest.raises(Unavailable, match="answered with what is no answer"):
        opened().sign(DATA)
    assert [process._process.returncode for process in started] == [-signal.SIGKILL]


def test_the_module_hangs(hsm: SoftHsm, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    hsm.key("acme", "P-256")
    key = opened()
    process = key._process
    assert process
    process._process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(pkcs11, "_SIGN_TIMEOUT", 0.2)
    with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"):
        key.sign(DATA)
    assert process._process.returncode == -signal.SIGKILL


def test_a_module_that_hangs_when_whoever_asked_is_gone(hsm: SoftHsm, worker: Worker) -> None:
    """As an acme-keyd that was killed, or told to end."""
    worker("PyKCS11", "import threading\nthreading.Event().wait()")
    process = TokenProcess()._process
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps({"seconds": 0.1, "uri": uri(), "pin": None, "runtime": None}).encode() + b"\n")
    process.stdin.close()
    assert process.wait(30) == -signal.SIGALRM
    process.stdout.close()


def test_a_slow_module_when_whoever_asked_is_gone(
    hsm: SoftHsm, opened: Opened, capfd: pytest.CaptureFixture[str]
) -> None:
    hsm.key("acme", "P-256")
    key = opened()
    assert key._process
    process = key._process._process
    assert process.stdin and process.stdout
    process.send_signal(signal.SIGSTOP)
    process.stdin.write(json.dumps({"seconds": 30, "data": base64url.encode(DATA)}).encode() + b"\n")
    process.stdin.close()
    process.stdout.close()
    process.send_signal(signal.SIGCONT)
    assert process.wait(30) == 0
    assert capfd.readouterr().err == ""
    key._process = None


def test_the_module_crashes(hsm: SoftHsm, opened: Opened) -> None:
    hsm.key("acme", "P-256")
    key = opened()
    assert key._process
    key._process._process.send_signal(signal.SIGSEGV)
    with pytest.raises(Unavailable, match="ended with SIGSEGV"):
        key.sign(DATA)
    assert key.sign(DATA)


def account() -> Account:
    return Account("default", "https://ca.example/dir", key=parse(uri()))


def test_the_store(hsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hsm.key("acme", "P-256")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    sealed = "/etc/credstore.encrypted/acmed.pins/default"
    with pytest.raises(Unavailable, match=f"wants a PIN: seal it as {sealed}, see"):
        asyncio.run(open_key(account(), tmp_path))
    pin = tmp_path / "pin_default"
    pin.write_text("")
    with pytest.raises(Unavailable, match=f"its PIN, {sealed}, is empty"):
        asyncio.run(open_key(account(), tmp_path))
    pin.write_text("4321\n")
    with pytest.raises(Unavailable, match=f"it is not tried again; the PIN is that of {sealed}, see"):
        asyncio.run(open_key(account(), tmp_path))
    pin.write_bytes(PIN.encode() + b"\r\n")

    async def signed() -> bool:
        key = await open_key(account(), tmp_path)
        try:
            return publickey.parse(key.jwk).verifies(await key.sign(DATA), DATA)
        finally:
            await key.close()

    assert asyncio.run(signed())


def test_pykcs11_is_not_there(opened: Opened, worker: Worker) -> None:
    worker("PyKCS11", "raise ImportError")
    with pytest.raises(Unavailable, match="install the package python3-pykcs11"):
        opened()
