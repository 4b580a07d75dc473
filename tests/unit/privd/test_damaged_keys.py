# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private key that was damaged on the disk is not published, and keeps no certificate from its next one."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from acmed.privd import keys
from acmed.privd.installed import sets
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import NAME, Rig, issue
from tests.unit.privd.test_provided import pem, provide


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def another(path: Path) -> None:
    path.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))


def with_number(path: Path, change: Callable[[int], int]) -> None:
    """The private part alone: the public one is in the file besides (RFC 5915 section 3)."""
    key = keys.from_pem(path.read_bytes())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value
    changed = der.replace(number.to_bytes(32, "big"), change(number).to_bytes(32, "big"))
    assert changed != der
    body = base64.encodebytes(changed).decode()
    path.write_text(f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n")


def altered(path: Path) -> None:
    with_number(path, lambda number: number ^ 1)


def zero(path: Path) -> None:
    with_number(path, lambda _: 0)


def order(path: Path) -> None:
    """Of P-256 (SEC 2 section 2.4.2); private parts are less."""
    with_number(path, lambda _: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551)


damages = pytest.mark.parametrize("damage", [empty, truncated, another, altered, zero, order])


def public_key(made: dict[str, str]) -> bytes:
    return (
        x509.load_der_x509_csr(base64.b64decode(made["csr"]))
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


def check_published(rig: Rig) -> None:
    """What services read fits."""
    published, current = rig.published(), sets.current(rig.places, NAME)
    assert current
    keys.check(published["privkey.pem"], current.public_key)


@damages
def test_of_a_request_that_was_not_finished(rig: Rig, damage: Callable[[Path], None]) -> None:
    rig.order(job=1)
    unfinished = rig.request(job=2)
    damage(rig.places.pending(NAME) / "privkey.pem")
    made = rig.request(job=3)
    assert made["csr"] != unfinished["csr"]
    rig.install(made["request"], issue(made["csr"]), job=3)
    check_published(rig)


@damages
def test_between_order_and_installation(rig: Rig, damage: Callable[[Path], None]) -> None:
    rig.order(job=1)
    before = rig.published()
    made = rig.request(job=2)
    damage(rig.places.pending(NAME) / "privkey.pem")
    with pytest.raises(VarlinkError) as caught:
        rig.install(made["request"], issue(made["csr"]), job=2)
    assert caught.value.name == "org.acmed.Priv.InstallFailed"
    assert f"{rig.places.pending(NAME)}/privkey.pem is damaged" in caught.value.parameters["message"]
    assert rig.published() == before
    assert rig.request(job=2)["csr"] != made["csr"]
    rig.order(job=3)
    check_published(rig)


@damages
def test_after_installation_it_keeps_nothing_from_being_installed(rig: Rig, damage: Callable[[Path], None]) -> None:
    """acmed was killed before it heard that all was done."""
    made = rig.request(job=1)
    chain = issue(made["csr"])
    installed = rig.install(made["request"], chain)
    before = rig.published()
    damage(rig.places.pending(NAME) / "privkey.pem")
    assert rig.install(made["request"], chain) == installed
    assert rig.published() == before


@damages
def test_within_the_installation(rig: Rig, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The set was kept, and not published yet."""

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    made = rig.request(job=1)
    chain = issue(made["csr"])
    with monkeypatch.context() as patch:
        patch.setattr(sets, "publish", fails)
        with pytest.raises(VarlinkError, match="No space left"):
            rig.install(made["request"], chain)
    assert list(rig.places.sets(NAME).iterdir())
    damage(rig.places.pending(NAME) / "privkey.pem")
    with pytest.raises(VarlinkError) as caught:
        rig.install(made["request"], chain)
    assert "privkey.pem is damaged" in caught.value.parameters["message"]
    assert not (rig.places.certificates / NAME).exists()


def test_of_rsa(rig: Rig) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nkey-type = "rsa-2048"')
    first = rig.request(job=1)
    assert rig.request(job=2) == first
    truncated(rig.places.pending(NAME) / "privkey.pem")
    assert rig.request(job=2)["csr"] != first["csr"]


def test_of_a_provided_one(rig: Rig) -> None:
    """The pending copy of it is made again."""
    provide(rig, pem(ec.generate_private_key(ec.SECP256R1())))
    first = rig.request(job=1)
    truncated(rig.places.pending(NAME) / "privkey.pem")
    second = rig.request(job=2)
    assert (second["request"] != first["request"], public_key(second)) == (True, public_key(first))
    rig.install(second["request"], issue(second["csr"]), job=2)
    check_published(rig)


def reused(rig: Rig) -> Path:
    """The kept key of a certificate with reuse-key."""
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nreuse-key = true')
    rig.order(job=1)
    (master,) = rig.places.sets(NAME).iterdir()
    return master / "privkey.pem"


def remove(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [empty, truncated, another, altered, remove, directory])
def test_one_that_is_to_be_used_again_is_still_published(rig: Rig, damage: Callable[[Path], None]) -> None:
    key = reused(rig)
    before = rig.published()["privkey.pem"]
    damage(key)
    rig.order(job=2)
    assert rig.published()["privkey.pem"] == before
    check_published(rig)


@pytest.mark.parametrize("damage", [empty, truncated, another, altered, remove, directory])
def test_one_that_is_to_be_used_again_is_lost(rig: Rig, damage: Callable[[Path], None]) -> None:
    key = reused(rig)
    before = rig.published()["privkey.pem"]
    damage(key)
    damage(rig.places.certificates / NAME / "privkey.pem")
    rig.order(job=2)
    second = rig.published()["privkey.pem"]
    assert second != before
    check_published(rig)
    rig.order(job=3)
    assert rig.published()["privkey.pem"] == second
    check_published(rig)


def test_with_a_chain_that_is_damaged_the_key_is_used_again(rig: Rig) -> None:
    key = reused(rig)
    before = rig.published()["privkey.pem"]
    for place in (key.parent, rig.places.certificates / NAME):
        empty(place / "chain.pem")
    rig.order(job=2)
    assert rig.published()["privkey.pem"] == before
