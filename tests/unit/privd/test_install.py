# SPDX-License-Identifier: LGPL-2.1-or-later
"""A chain is verified, and all files of a set are switched at once, or nothing is."""

import errno
import grp
import json
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from acmed import pem
from acmed.privd import files, keys
from acmed.privd.installed import sets
from acmed.privd.service import Priv
from acmed.varlink import VarlinkError
from acmed.verify.service import Verify
from tests.unit.privd.rig import CA, NAME, Rig, issue
from tests.unit.verify.issuing import spki


def refused(rig: Rig, request: str, text: str) -> VarlinkError:
    with pytest.raises(VarlinkError) as caught:
        rig.install(request, text)
    return caught.value


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_installed(rig: Rig) -> None:
    made = rig.request()
    text = issue(made["csr"], serial=0xABCDEF)
    answer = rig.install(made["request"], text)
    assert answer["serialNumber"] == "abcdef"
    assert answer["issuer"] == "CN=Test Intermediate"

    link = rig.places.certificates / NAME
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert mode(link) == 0o755
    published = rig.published()
    assert sorted(published) == ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"]
    assert published["fullchain.pem"].decode() == text
    assert published["cert.pem"] + published["chain.pem"] == published["fullchain.pem"]
    leaf = x509.load_pem_x509_certificate(published["cert.pem"])
    public_key = leaf.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert keys.public_key(keys.from_pem(published["privkey.pem"])) == spki(public_key)
    for name in published:
        assert mode(link / name) == (0o600 if name == "privkey.pem" else 0o644)

    (master,) = rig.places.sets(NAME).iterdir()
    assert mode(master) == 0o700
    for name, content in published.items():
        assert (master / name).read_bytes() == content
        assert mode(master / name) == 0o600
    assert json.loads((master / "set.json").read_text())["fingerprint"] == answer["fingerprint"]
    assert sorted(path.name for path in rig.places.certificates.iterdir()) == sorted([link.readlink().name, NAME])


def test_a_leaf_that_comes_alone(rig: Rig) -> None:
    made = rig.request()
    (leaf, _) = pem.certificates(issue(made["csr"]), 9, 9999)
    rig.install(made["request"], pem.encode(leaf))
    assert rig.published()["chain.pem"] == b""


def test_the_pem_is_rebuilt(rig: Rig) -> None:
    made = rig.request()
    text = issue(made["csr"])
    rig.install(made["request"], "\n\n " + text.replace("\n", "\r\n\t"))
    assert rig.published()["fullchain.pem"].decode() == text


def test_refused_chains_change_nothing(rig: Rig) -> None:
    rig.order(job=1)
    before = rig.published()
    made = rig.request(job=2)
    other = rig.request(job=1, certificate=second_certificate(rig))
    good = issue(made["csr"])
    key = before["privkey.pem"].decode()
    now = datetime.now(UTC)
    bad = {
        "": "no certificate",
        good + key: "something other than a certificate",
        good + "free text": "something other than a certificate",
        issue(other["csr"]): "another key",
        issue(made["csr"], end=now - timedelta(minutes=1)): "expired",
        issue(made["csr"], begin=now + timedelta(hours=2)): "not valid before",
        good * 6: "more than 10 certificates",
        good * 100: "allowed are 65536",
    }
    for text, reason in bad.items():
        error = refused(rig, made["request"], text)
        assert error.name == "org.acmed.Priv.InvalidChain"
        assert reason in error.parameters["message"]
    assert rig.published() == before
    assert len(list(rig.places.sets(NAME).iterdir())) == 1


def second_certificate(rig: Rig) -> str:
    rig.configure("certificates.d/other.toml", 'names = ["other.example.com"]\n')
    return "other"


def test_an_unknown_request(rig: Rig) -> None:
    made = rig.request(job=1)
    text = issue(made["csr"])
    rig.request(job=2, new_key=True)
    error = refused(rig, made["request"], text)
    assert error.name == "org.acmed.Priv.NoSuchRequest"
    assert refused(rig, "x", text).name == "org.acmed.Priv.NoSuchRequest"


def test_again_after_a_crash_before_the_answer(rig: Rig) -> None:
    made = rig.request()
    text = issue(made["csr"])
    first = rig.install(made["request"], text)
    target = (rig.places.certificates / NAME).readlink()
    assert rig.install(made["request"], text) == first
    assert (rig.places.certificates / NAME).readlink() == target
    assert len(list(rig.places.sets(NAME).iterdir())) == 1


def test_again_after_a_crash_before_the_switch(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.order(job=1)
    before = rig.published()
    made = rig.request(job=2)
    text = issue(made["csr"])

    def fails(self: Path, target: Path) -> Path:
        if target == rig.places.certificates / NAME:
            raise OSError(28, "No space left on device", str(target))
        return real(self, target)

    real = Path.replace
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails)
        error = refused(rig, made["request"], text)
    assert error.name == "org.acmed.Priv.InstallFailed"
    assert "No space left on device" in error.parameters["message"]
    assert rig.published() == before
    assert len(list(rig.places.certificates.iterdir())) == 2, "nothing is left over"

    rig.install(made["request"], text)
    assert rig.published()["fullchain.pem"].decode() == text
    assert len(list(rig.places.sets(NAME).iterdir())) == 2


def test_what_stands_in_the_way_is_not_removed(rig: Rig) -> None:
    directory = rig.places.certificates / NAME
    directory.mkdir()
    (directory / "precious").write_text("data")
    made = rig.request()
    error = refused(rig, made["request"], issue(made["csr"]))
    assert error.name == "org.acmed.Priv.InstallFailed"
    assert (directory / "precious").read_text() == "data"


def test_five_sets_are_kept(rig: Rig) -> None:
    serials = []
    for job in range(1, 9):
        serials.append(rig.order(job)["serialNumber"])
        # Sets of one second are told apart by serial number alone; older ones are made older.
        for path in rig.places.sets(NAME).iterdir():
            age(rig, path)
    kept = [one.serial_number for one in sets.kept(rig.places, NAME)]
    assert len(kept) == sets.KEPT
    assert set(kept) <= set(serials[-5:])
    assert serials[-1] in kept
    assert len(list(rig.places.certificates.iterdir())) == 2


def age(rig: Rig, path: Path) -> None:
    """Gives the set that is installed now an earlier time in its name, in the order of the installations."""
    link = rig.places.certificates / NAME
    if path.name[0] == "2" and path.name in str(link.readlink()):
        count = sum(one.name.startswith("1") for one in path.parent.iterdir())
        earlier = f"1{count:03}0101T000000Z-{path.name.partition('-')[2]}"
        description = json.loads((path / "set.json").read_text()) | {"id": earlier}
        (path / "set.json").write_text(json.dumps(description))
        path.rename(path.with_name(earlier))
        published = link.parent / link.readlink()
        published.rename(link.parent / f".{NAME}.{earlier}")
        link.unlink()
        link.symlink_to(f".{NAME}.{earlier}")


def test_another_certificates_directories_are_left_alone(rig: Rig) -> None:
    """www.example.com begins as www does."""
    rig.configure("certificates.d/www.toml", 'names = ["www.example.net"]\n')
    rig.order()
    before = rig.published()
    made = rig.request(certificate="www")
    rig.install(made["request"], issue(made["csr"]), certificate="www")
    assert rig.published() == before


def test_a_certificate_of_an_earlier_request_is_refused(rig: Rig) -> None:
    """With reuse-key, all but the request would fit."""
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nreuse-key = true')
    first = rig.request(job=1)
    old = issue(first["csr"])
    rig.install(first["request"], old)
    second = rig.request(job=2)
    error = refused(rig, second["request"], old)
    assert error.name == "org.acmed.Priv.InvalidChain"
    assert "installed before" in error.parameters["message"]


def test_the_group_of_the_service_may_read_the_key(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    rig.configure("acmed.toml.d/s.toml", f'[service.web]\ngroup = "{group}"\nmode = "0440"\n[service.mail]\n')
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nservices = ["web", "mail"]')
    owners: list[int] = []
    real = os.fchown

    def fchown(descriptor: int, user: int, group: int) -> None:
        owners.append(group)
        real(descriptor, user, group)

    monkeypatch.setattr(os, "fchown", fchown)
    rig.order()
    path = rig.places.certificates / NAME / "privkey.pem"
    assert mode(path) == 0o440
    assert owners == [os.getgid()], "the published key, not the master copy"


def test_a_name_of_the_greatest_length(rig: Rig) -> None:
    name = "a" * 200
    rig.configure(f"certificates.d/{name}.toml", f'names = ["{NAME}"]\n')
    made = rig.request(certificate=name)
    rig.install(made["request"], issue(made["csr"], serial=(1 << 159) - 1), certificate=name)
    assert len(rig.published(name)) == 4


def test_without_acme_verify(rig: Rig) -> None:
    made = rig.request()
    rig.priv = Priv(replace(rig.places, verify_socket=rig.directory / "nobody.sock"))
    error = refused(rig, made["request"], issue(made["csr"]))
    assert error.name == "org.acmed.Priv.InstallFailed"
    assert "acme-verify" in error.parameters["message"]


@pytest.mark.parametrize("asked", [True, False])
def test_must_staple_is_as_it_was_asked_for(rig: Rig, asked: bool) -> None:
    text = f'names = ["{NAME}"]\nmust-staple = {str(asked).lower()}'
    rig.configure(f"certificates.d/{NAME}.toml", text)
    made = rig.request()
    feature = [x509.TLSFeature([x509.TLSFeatureType.status_request])]
    error = refused(rig, made["request"], issue(made["csr"], more=[] if asked else feature))
    assert error.name == "org.acmed.Priv.InvalidChain"
    assert "must-staple" in error.parameters["message"]
    rig.install(made["request"], issue(made["csr"], more=feature if asked else []))


def test_what_a_set_remembers(rig: Rig) -> None:
    made = rig.request()
    rig.install(made["request"], issue(made["csr"], serial=0x87654321))
    (one,) = sets.kept(rig.places, NAME)
    assert (one.account, one.directory, one.request) == ("main", "https://ca.example/dir", made["request"])
    assert one.cert_id == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    assert one.origin == "generated"
    key = keys.from_pem(rig.published()["privkey.pem"])
    assert one.public_key == keys.encoded_public_key(key)


def test_what_a_newer_acmed_has_installed_is_installed(rig: Rig) -> None:
    rig.order()
    (one,) = sets.kept(rig.places, NAME)
    path = rig.places.sets(NAME) / one.id / "set.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"something": ["new"]}))
    assert sets.current(rig.places, NAME) == one
    rig.order(job=2)
    assert len(sets.kept(rig.places, NAME)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"certId": "a b.c"},
        {"certId": "nodot"},
        {"certId": "a" * 200 + ".b"},
        {"serialNumber": "../.."},
        {"fingerprint": "00"},
        {"certificates": []},
        {"certificates": ["?"]},
        {"notAfter": 0},
    ],
)
def test_an_answer_of_acme_verify_that_cannot_be(
    rig: Rig, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Verify.verify_chain

    async def says(self: Verify, *arguments: Any, **parameters: Any) -> dict[str, Any]:
        return await real(self, *arguments, **parameters) | changes

    made = rig.request()
    monkeypatch.setattr(Verify, "verify_chain", says)
    error = refused(rig, made["request"], issue(made["csr"]))
    assert error.name == "org.acmed.Priv.InstallFailed"
    assert "acme-verify" in error.parameters["message"]
    assert not rig.places.sets(NAME).exists()


def test_no_file_is_ever_wider_than_it_ends(tmp_path: Path) -> None:
    os.umask(0)
    path = tmp_path / "key"
    files.replace(path, b"1", files.Access(mode=0o640))
    assert mode(path) == 0o640
    files.replace(path, b"2", files.PRIVATE)
    assert (mode(path), path.read_bytes()) == (0o600, b"2")
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_what_cannot_be_removed_fails_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The new certificate is in place by then."""
    rig.order(job=1)
    old = rig.places.certificates / (rig.places.certificates / NAME).readlink()
    real = files.remove_tree

    def fails(path: Path) -> None:
        if path == old:
            raise OSError(errno.EPERM, "Operation not permitted", str(path))
        real(path)

    made = rig.request(job=2)
    text = issue(made["csr"])
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_tree", fails)
        rig.install(made["request"], text, job=2)
    assert rig.published()["fullchain.pem"].decode() == text
    assert f"Cannot remove the old {old}: Operation not permitted" in capfd.readouterr().err
    rig.order(job=3)
    assert not old.exists(), "the next installation has tried again"


def test_the_same_certificate_with_another_chain(rig: Rig) -> None:
    """Such as the one that preferred-chain asks for now."""
    made = rig.request()
    text = issue(made["csr"])
    rig.install(made["request"], text)
    (path,) = rig.places.sets(NAME).iterdir()
    age(rig, path)  # within one second, both sets would have the same name
    longer = text + CA.certificate.public_bytes(Encoding.PEM).decode()
    rig.install(made["request"], longer)
    assert rig.published()["fullchain.pem"].decode() == longer
