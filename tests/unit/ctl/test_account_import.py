# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl account import: what it reads of other clients, and what it sends to org.acmed1.

The formats are those of certbot 4.0, lego 4.9, acme.sh, acmebot 2.17 and acmems; tests/system has the first two.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from acmed import privatejwk
from acmed.bus.server import Call
from acmed.ctl import accountkey, otherclients
from acmed.ctl.exits import CommandError, Exit
from acmed.ctl.otherclients import Found
from tests.unit.ctl.scripted import CHECKOUT, Service, World, play
from tests.unit.rsakeys import rsa_key

KEY = ec.generate_private_key(ec.SECP256R1())
RSA = rsa_key(2048)
JWK = privatejwk.encode(KEY)
LE = "https://acme-v02.api.letsencrypt.org/directory"
URI = "https://acme-v02.api.letsencrypt.org/acme/acct/1"
CA_URI = "https://ca.example:14000/acct/1"
MAIL = "mailto:admin@example.com"
SEC1 = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
PKCS8 = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def put(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def certbot(root: Path, server: str = "ca.example:14000/dir", uri: str = CA_URI) -> Path:
    home = root / "accounts" / server / "0123456789abcdef"
    put(home / "private_key.json", JWK)
    put(home / "regr.json", json.dumps({"body": {}, "uri": uri}))
    put(home / "meta.json", json.dumps({"creation_host": "www.example.com", "register_to_eff": None}))
    return home


def lego(root: Path, server: str = "ca.example_14000", uri: str = CA_URI) -> Path:
    home = root / "accounts" / server / "admin@example.com"
    put(home / "keys/admin@example.com.key", SEC1)
    registration = {"body": {"status": "valid", "contact": [MAIL]}, "uri": uri}
    put(home / "account.json", json.dumps({"email": "admin@example.com", "registration": registration}))
    return home


def acme_sh(root: Path, server: str = "ca.example/dir", uri: str = CA_URI) -> Path:
    home = root / "ca" / server
    put(home / "account.key", SEC1)
    put(home / "account.json", json.dumps({"status": "valid", "contact": [MAIL]}))
    mail = "__ACME_BASE64__START_YWRtaW5AZXhhbXBsZS5jb20=__ACME_BASE64__END_"
    put(home / "ca.conf", f"CA_KEY_HASH='AbC='\nACCOUNT_URL='{uri}'\nCA_EMAIL='{mail}'\n")
    return home


def acmebot(root: Path, uri: str = URI) -> Path:
    numbers = json.loads(privatejwk.encode(RSA))
    del numbers["kty"]
    put(root / "client_key.json", json.dumps(numbers))
    put(root / "registration.json", json.dumps({"body": {"contact": [MAIL]}, "uri": uri, "terms_of_service": "x"}))
    return root


def acmems(root: Path, uri: str = URI) -> Path:
    put(root / "account.pem", PKCS8)
    put(root / "registration.json", json.dumps({"body": {"contact": [MAIL]}, "uri": uri}))
    return root


CONTACT = (MAIL,)
CA = "https://ca.example:14000/dir"


def test_what_the_clients_files_say(tmp_path: Path) -> None:
    home = certbot(tmp_path / "certbot")
    assert otherclients.find(home) == Found(home / "private_key.json", CA, CA_URI, ())
    home = lego(tmp_path / "lego")
    key = home / "keys/admin@example.com.key"
    assert otherclients.find(home) == Found(key, "", CA_URI, CONTACT)
    assert otherclients.find(key) == Found(key, "", CA_URI, CONTACT)
    home = acme_sh(tmp_path / "acme.sh")
    assert otherclients.find(home) == Found(home / "account.key", CA, CA_URI, ("admin@example.com",))
    home = acmebot(tmp_path / "acmebot")
    assert otherclients.find(home) == Found(home / "client_key.json", LE, URI, CONTACT)
    home = acmems(tmp_path / "acmems")
    assert otherclients.find(home / "account.pem") == Found(home / "account.pem", LE, URI, CONTACT)


def test_lets_encrypt_is_known_by_the_accounts_url(tmp_path: Path) -> None:
    staging = "https://acme-staging-v02.api.letsencrypt.org"
    for home in (
        certbot(tmp_path / "1", "acme-staging-v02.api.letsencrypt.org/directory", f"{staging}/acme/acct/1"),
        lego(tmp_path / "2", "acme-staging-v02.api.letsencrypt.org", f"{staging}/acme/acct/1"),
        acme_sh(tmp_path / "3", "acme-staging-v02.api.letsencrypt.org/directory", f"{staging}/acme/acct/1"),
    ):
        assert otherclients.find(home).directory == f"{staging}/directory"


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    done = subprocess.run(
        [sys.executable, "-m", "acmed.ctl", "account", "import", path], cwd=CHECKOUT, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (Exit.FAILED, f"acmectl: {path}: No such file or directory\n")


def test_files_that_say_nothing(tmp_path: Path) -> None:
    home = certbot(tmp_path / "1")
    (home / "regr.json").write_text('{"body": null, "uri": ["x"]}')
    assert otherclients.find(home) == Found(home / "private_key.json", CA)
    (home / "regr.json").unlink()
    assert otherclients.find(home) == Found(home / "private_key.json", CA)
    home = acme_sh(tmp_path / "2")
    (home / "ca.conf").write_text("CA_EMAIL='__ACME_BASE64__START_%%__ACME_BASE64__END_'\n")
    assert otherclients.find(home) == Found(home / "account.key", "https://ca.example/dir")
    alone = put(tmp_path / "3/account.key", SEC1)
    assert otherclients.find(alone) == Found(alone)


def test_what_is_no_account(tmp_path: Path) -> None:
    home = certbot(tmp_path)
    with pytest.raises(CommandError) as refused:
        otherclients.find(tmp_path / "accounts/ca.example:14000")
    assert str(home / "private_key.json") in refused.value.hint
    put(home / "regr.json", "{")
    with pytest.raises(CommandError, match=r"regr\.json: is damaged"):
        otherclients.find(home)
    home = lego(tmp_path / "lego")
    put(home / "keys/other@example.com.key", SEC1)
    with pytest.raises(CommandError, match="has 2 keys"):
        otherclients.find(home)
    with pytest.raises(CommandError, match="holds no account"):
        otherclients.find(put(tmp_path / "empty/x", "").parent)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    """For a user without rights, as much of a client's is."""
    home = certbot(tmp_path)
    home.parent.chmod(0)
    program = f"""
import os, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from pathlib import Path
from acmed.ctl import otherclients
from acmed.ctl.exits import CommandError
import acmed.config.model
os.setuid(65534)
try:
    otherclients.find(Path({str(home)!r}))
except CommandError as error:
    print(error.message, error.hint)
"""
    tmp_path.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Permission denied" in done.stdout
    assert "such as root" in done.stdout


def test_key_at_the_top(tmp_path: Path) -> None:
    assert otherclients.find(Path("/none.pem")) == Found(Path("/none.pem"))
    with pytest.raises(CommandError, match="No such file"):
        accountkey.read(tmp_path / "none.pem", ask=False)


@pytest.mark.parametrize("uri", ["https://[x", "http://ca.example/", "https://", "x" * 100, "https://ca\n.example/"])
def test_urls_that_are_none(tmp_path: Path, uri: str) -> None:
    assert otherclients.find(lego(tmp_path, uri=uri)).directory == ""


@pytest.mark.parametrize("content", [JWK, json.dumps(json.loads(JWK), indent=4), SEC1, PKCS8, b"Key:\n" + SEC1])
def test_forms_of_a_key(tmp_path: Path, content: bytes | str) -> None:
    assert accountkey.read(put(tmp_path / "key", content), ask=False) == JWK


def test_key_of_openssl_ecparam(tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", path], check=True)
    assert json.loads(accountkey.read(path, ask=False))["crv"] == "P-256"


GPG = "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (GPG, "is encrypted with gpg", 'key = "gpg:'),
        (b"\x85\x01\x0c\x03", "is encrypted with gpg", 'key = "gpg:'),
        ("", "has 0", ""),
        (SEC1 + PKCS8, "has 2", ""),
        (PKCS8.replace(b"MIG", b"AAA"), "cannot be read", ""),
        ("{}", "neither an RSA", ""),
        (
            rsa_key(1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "2048 to 4096 bits, not 1024",
            "",
        ),
        (
            KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "is encrypted",
            "terminal",
        ),
    ],
)
def test_what_is_no_key(tmp_path: Path, content: bytes | str, message: str, hint: str) -> None:
    with pytest.raises(CommandError) as refused:
        accountkey.read(put(tmp_path / "key", content), ask=False)
    assert message in refused.value.message
    assert hint in refused.value.hint


def adding(service: Service, asked: list[dict[str, Any]], uri: str = CA_URI) -> None:
    async def add(_: Call, name: str, options: dict[str, Any]) -> tuple[int, str]:
        asked.append({"name": name} | {key: variant.value for key, variant in options.items()})
        path = service.job(7, "account", name)
        service.account(name, URI=uri)
        service.end(7, "done")
        return 7, path

    service.on["AddAccount"] = add


def test_import(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    async def scene(world: World) -> None:
        service = await world.service()
        adding(service, asked)
        await service.appear()
        result = await world.run("account", "import", str(certbot(tmp_path)))
        assert result.code == 0, result.err
        assert CA_URI in result.out
        result = await world.run(
            *("account", "import", "--name", "moved", "--directory", LE, "--contact", "a@example.com", "--agree-tos"),
            str(lego(tmp_path / "lego", uri="https://ca.example/another")),
        )
        assert (result.code, "name another account" in result.err) == (0, True)
        result = await world.run("account", "import", str(put(tmp_path / "key.pem", SEC1)))
        assert (result.code, "--directory" in result.err) == (Exit.USAGE, True)
        result = await world.run("account", "import", str(put(tmp_path / "cert.pem", b"-----BEGIN CERTIFICATE-----")))
        assert (result.code, "--directory" in result.err) == (Exit.FAILED, False)
        assert "is to have one private key, in PEM or as JWK, and has 0" in result.err

    play(tmp_path, scene)
    assert asked == [
        {"name": "default", "key": JWK, "directory": CA},
        {"name": "moved", "key": JWK, "directory": LE, "contact": ["mailto:a@example.com"], "agree-tos": True},
    ]


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "openssl"])
def test_passphrase_is_asked_for_and_not_shown(tmp_path: Path, form: PrivateFormat) -> None:
    asked: list[dict[str, Any]] = []
    path = put(tmp_path / "key.pem", KEY.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"open it")))

    async def scene(world: World) -> None:
        service = await world.service()
        adding(service, asked)
        await service.appear()
        for typed, code in ((b"open it\n", 0), (b"wrong\n", 1)):
            master, slave = os.openpty()
            try:
                words = ("account", "import", "--directory", "letsencrypt", str(path))
                ctl = await world.start(*words, stdin=slave, stderr=slave)
                seen = ""
                async with asyncio.timeout(20):
                    while "Passphrase" not in seen:
                        seen += (await asyncio.to_thread(os.read, master, 4096)).decode()
                os.write(master, typed)
                result = await ctl.ends()
                os.set_blocking(master, False)
                seen += os.read(master, 4096).decode()
            finally:
                os.close(slave)
                os.close(master)
            assert result.code == code, seen
            assert typed.decode().strip() not in seen

    play(tmp_path, scene)
    assert [one["key"] for one in asked] == [JWK]


def test_ctrl_c_at_the_passphrase(tmp_path: Path) -> None:
    path = put(
        tmp_path / "key.pem", KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )

    async def scene(world: World) -> None:
        master, slave = os.openpty()
        try:
            ctl = await world.start("account", "import", "--directory", LE, str(path), stdin=slave, stderr=slave)
            seen = ""
            async with asyncio.timeout(20):
                while "Passphrase" not in seen:
                    seen += (await asyncio.to_thread(os.read, master, 4096)).decode()
            ctl.interrupt()
            assert (await ctl.ends()).code == Exit.INTERRUPTED
        finally:
            os.close(slave)
            os.close(master)

    play(tmp_path, scene)


def test_no_secret_is_in_what_goes_wrong(tmp_path: Path) -> None:
    damaged = json.loads(JWK) | {"x": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")}

    async def scene(world: World) -> None:
        path = put(tmp_path / "key.json", json.dumps(damaged))
        result = await world.run("account", "import", "--directory", "letsencrypt", str(path))
        assert result.code == Exit.FAILED
        assert damaged["d"] not in result.err + result.out

    play(tmp_path, scene)
