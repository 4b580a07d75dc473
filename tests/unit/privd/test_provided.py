# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys that root provides: read safely, used as they are, and noticed when they are replaced."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from acmed.privd import keys
from acmed.privd.installed import sets
from acmed.privd.requests import provided
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import NAME, ROOT, Rig, issue
from tests.unit.privd.test_request import csr, public
from tests.unit.rsakeys import rsa_key
from tests.unit.verify.issuing import PrivateKey


def pem(key: PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> bytes:
    return key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(password) if password else NoEncryption())


def provide(rig: Rig, content: bytes, mode: int = 0o600) -> Path:
    path = rig.directory / "own.pem"
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nkey-file = "{path}"')
    return path


def refused(rig: Rig, **parameters: bool) -> str:
    with pytest.raises(VarlinkError) as caught:
        rig.request(**parameters)  # type: ignore[arg-type]
    assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"
    message = str(caught.value.parameters["message"])
    assert f"{NAME}.toml" in message
    return message


@pytest.mark.parametrize(
    ("key", "key_type"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ecdsa-p256"),
        (ec.generate_private_key(ec.SECP384R1()), "ecdsa-p384"),
        (ec.generate_private_key(ec.SECP521R1()), "ecdsa-p521"),
        (rsa_key(2048), "rsa-2048"),
    ],
    ids=["p256", "p384", "p521", "rsa"],
)
def test_its_own_key_is_used(rig: Rig, key: keys.PrivateKey, key_type: str) -> None:
    provide(rig, pem(key))
    made = rig.request(job=1)
    assert public(made) == keys.public_key(key)
    rig.install(made["request"], issue(made["csr"]))
    (installed,) = sets.kept(rig.places, NAME)
    assert (installed.origin, installed.key_type) == ("provided", key_type)
    assert rig.published()["privkey.pem"] == pem(key)
    assert stat.S_IMODE((rig.places.certificates / NAME / "privkey.pem").stat().st_mode) == 0o600
    assert public(rig.request(job=2)) == public(made)


def test_a_key_as_openssl_writes_it(rig: Rig) -> None:
    """With the block of parameters that "openssl ecparam -genkey" puts in front."""
    key = ec.generate_private_key(ec.SECP256R1())
    block = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    provide(rig, block + pem(key, PrivateFormat.TraditionalOpenSSL))
    assert public(rig.request()) == keys.public_key(key)


def test_a_key_that_was_replaced(rig: Rig) -> None:
    provide(rig, pem(ec.generate_private_key(ec.SECP256R1())))
    first = rig.request(job=1)
    assert rig.request(job=1) == first
    key = ec.generate_private_key(ec.SECP256R1())
    provide(rig, pem(key))
    second = rig.request(job=1)
    assert second["request"] != first["request"]
    assert public(second) == keys.public_key(key)


def test_another_kind_of_key_than_before(rig: Rig) -> None:
    """From one of ours to root's own, and back."""
    first = rig.request(job=1)
    key = ec.generate_private_key(ec.SECP256R1())
    provide(rig, pem(key))
    assert public(rig.request(job=1)) == keys.public_key(key)
    rig.order(job=1)
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nreuse-key = true')
    third = public(rig.request(job=2))
    assert third not in (keys.public_key(key), public(first)), "reuse-key is about our own keys"


def test_a_new_key_is_roots_to_make(rig: Rig) -> None:
    provide(rig, pem(ec.generate_private_key(ec.SECP256R1())))
    assert "put another one there" in refused(rig, new_key=True)


def asked(rig: Rig, **seen: str) -> list[dict[str, Any]]:
    """By the certificates' names, with what was told of them last."""
    keys = [{"certificate": name, "seen": before} for name, before in seen.items()]
    answer: list[dict[str, Any]] = rig.run(lambda priv: priv.provided_keys(ROOT, keys))["keys"]
    return answer


def compared(rig: Rig, *names: str) -> list[tuple[str, str, bool]]:
    found = asked(rig, **dict.fromkeys(names, ""))
    return [(one["certificate"], one["fingerprint"], one["replaced"]) for one in found]


def test_whether_a_key_was_replaced_is_told(rig: Rig) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    provide(rig, pem(key))
    assert compared(rig, NAME) == [], "nothing is installed"
    fingerprint = rig.order()["fingerprint"]
    assert compared(rig, NAME) == [(NAME, fingerprint, False)]
    provide(rig, pem(key, PrivateFormat.TraditionalOpenSSL))
    assert compared(rig, NAME) == [(NAME, fingerprint, False)], "the same key in other words"
    provide(rig, pem(ec.generate_private_key(ec.SECP384R1())))
    assert compared(rig, NAME) == [(NAME, fingerprint, True)]
    later = rig.order(job=2)["fingerprint"]
    assert compared(rig, NAME) == [(NAME, later, False)]


def test_whether_the_key_of_a_revoked_certificate_was_replaced_is_told(rig: Rig) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    provide(rig, pem(key))
    fingerprint = rig.order()["fingerprint"]
    rig.run(lambda priv: priv.archive(ROOT, 2, NAME, fingerprint))
    assert compared(rig, NAME) == [(NAME, fingerprint, False)]
    provide(rig, pem(key, PrivateFormat.TraditionalOpenSSL))
    assert compared(rig, NAME) == [(NAME, fingerprint, False)]
    provide(rig, pem(ec.generate_private_key(ec.SECP256R1())))
    assert compared(rig, NAME) == [(NAME, fingerprint, True)]


def test_of_a_key_that_cannot_be_used_nothing_is_told(rig: Rig) -> None:
    path = provide(rig, KEY)
    fingerprint = rig.order()["fingerprint"]
    provide(rig, KEY, 0o644)
    assert compared(rig, NAME) == []
    path.unlink()
    assert compared(rig, NAME) == []
    provide(rig, KEY)
    assert compared(rig, NAME, "www.other.example") == [(NAME, fingerprint, False)]


def test_nothing_is_told_of_a_key_that_is_not_configured(rig: Rig) -> None:
    provide(rig, KEY)
    rig.order()
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]')
    assert compared(rig, NAME) == []
    assert compared(rig, "../www") == []


def test_what_was_seen_before_is_not_read_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL takes its time for an RSA key."""
    provide(rig, KEY)
    rig.order()
    (first,) = asked(rig, **{NAME: ""})
    with monkeypatch.context() as patch:
        patch.setattr(keys, "from_pem", None)
        assert asked(rig, **{NAME: first["seen"]}) == []
    provide(rig, KEY)
    (second,) = asked(rig, **{NAME: first["seen"]})
    assert (second["replaced"], second["seen"] != first["seen"]) == (False, True)
    provide(rig, pem(ec.generate_private_key(ec.SECP256R1())))
    (third,) = asked(rig, **{NAME: second["seen"]})
    assert third["replaced"]
    rig.order(job=2)
    (fourth,) = asked(rig, **{NAME: third["seen"]})
    assert not fourth["replaced"], "the same file, and another certificate"


def test_keys_that_take_long_are_left_for_the_next_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    provide(rig, KEY)
    rig.order()
    rig.configure("certificates.d/zzz.toml", rig.places.certificate_file(NAME).read_text())
    rig.places.sets("zzz").symlink_to(rig.places.sets(NAME))
    published = (rig.places.certificates / NAME).readlink().name
    (rig.places.certificates / "zzz").symlink_to(published.replace(NAME, "zzz"))
    assert [one["certificate"] for one in asked(rig, **{NAME: "", "zzz": ""})] == [NAME, "zzz"]
    monkeypatch.setattr(provided, "_LONGEST", -1.0)
    (first,) = asked(rig, **{NAME: "", "zzz": ""})
    assert [one["certificate"] for one in asked(rig, **{NAME: first["seen"], "zzz": ""})] == ["zzz"]


KEY = pem(ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (KEY, 0o660, "its mode is 0660; run: chmod 0600 "),
        (KEY, 0o602, "its mode is 0602"),
        (KEY, 0o644, "its mode is 0644"),
        (b"", 0o600, "one unencrypted private key (PEM) in it, and has 0"),
        (KEY * 2, 0o600, "and has 2"),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            0o600,
            "it is not an unencrypted private key",
        ),
        (pem(ec.generate_private_key(ec.SECP256R1()), password=b"x"), 0o600, "it is not an unencrypted private key"),
        (pem(ec.generate_private_key(ec.SECP256K1())), 0o600, "it must be ECDSA on P-256, P-384 or P-521, or RSA"),
        (pem(rsa_key(1024)), 0o600, "RSA of 2048 to 4096 bits"),
        (pem(ed25519.Ed25519PrivateKey.generate()), 0o600, "it must be ECDSA"),
        (b" " * (64 * 1024 + 1), 0o600, "allowed are 65536"),
    ],
)
def test_keys_that_cannot_be_used(rig: Rig, content: bytes, mode: int, reason: str) -> None:
    provide(rig, content, mode)
    message = refused(rig)
    assert reason in message
    assert "BEGIN" not in message


def test_what_is_not_there_or_not_a_file(rig: Rig) -> None:
    path = provide(rig, KEY)
    path.unlink()
    assert f"{path}: No such file or directory" in refused(rig)
    path.mkdir()
    assert "not a regular file" in refused(rig)
    path.rmdir()
    os.mkfifo(path)
    assert "not a regular file" in refused(rig)


def test_another_users_key(rig: Rig) -> None:
    os.chown(provide(rig, KEY), 65534, -1)
    assert "it belongs to user 65534, and must belong to root" in refused(rig)


def test_only_roots_links_are_followed(rig: Rig) -> None:
    path = provide(rig, KEY)
    path.rename(rig.directory / "elsewhere.pem")
    path.symlink_to("elsewhere.pem")
    assert isinstance(csr(rig.request()), x509.CertificateSigningRequest)
    os.chown(path, 65534, -1, follow_symlinks=False)
    assert "user 65534 made a symbolic link" in refused(rig)


def test_a_key_that_was_compromised(rig: Rig) -> None:
    provide(rig, KEY)
    rig.order(job=1)
    rig.run(lambda priv: priv.permit_revoke(ROOT, 2, NAME, 4))
    rig.request(job=2)
    rig.run(lambda priv: priv.permit_revoke(ROOT, 3, NAME, 1))
    assert "compromised" in refused(rig)
    provide(rig, pem(ec.generate_private_key(ec.SECP256R1())))
    rig.request(job=3)
