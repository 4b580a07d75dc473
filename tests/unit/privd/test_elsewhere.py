# SPDX-License-Identifier: LGPL-2.1-or-later
"""CSRs that were made elsewhere: their keys are never here."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from acmed.names import Identifier
from acmed.privd.installed import sets
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import ROOT, Rig, issue
from tests.unit.rsakeys import rsa_key
from tests.unit.verify.issuing import request

NAME = "foreign"
KEY = ec.generate_private_key(ec.SECP384R1())
WWW, WILD = Identifier("dns", "www.example.com"), Identifier("dns", "*.example.org")


def configure(rig: Rig, der: bytes | None, names: Sequence[str] = (), replace: bool = False, **settings: Any) -> None:
    if der is not None:
        settings["csr"] = base64.b64encode(der).decode()
    rig.run(lambda priv: priv.configure(ROOT, 1, NAME, list(names), settings, replace))


def refused(rig: Rig, der: bytes | None, **wish: Any) -> str:
    with pytest.raises(VarlinkError) as caught:
        configure(rig, der, **wish)
    assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"
    return str(caught.value.parameters["message"])


def request_refused(rig: Rig, **parameters: bool) -> str:
    with pytest.raises(VarlinkError) as caught:
        rig.request(certificate=NAME, **parameters)  # type: ignore[arg-type]
    assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"
    return str(caught.value.parameters["message"])


def everything(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_an_order_with_it(rig: Rig) -> None:
    der = request(KEY, WWW, WILD, more=[x509.TLSFeature([x509.TLSFeatureType.status_request])])
    configure(rig, der)
    text = rig.places.certificate_file(NAME).read_text()
    assert 'names = [\n    "www.example.com",\n    "*.example.org",\n]' in text
    assert "csr = true" in text
    made = rig.request(job=1, certificate=NAME)
    assert base64.b64decode(made["csr"]) == der
    assert made["identifiers"] == [{"type": "dns", "value": str(one)} for one in (WWW, WILD)]
    (permit,) = rig.permits()
    assert permit["csr_sha256"] == hashlib.sha256(der).hexdigest()
    rig.install(made["request"], issue(made["csr"]), certificate=NAME)
    assert sorted(rig.published(NAME)) == ["cert.pem", "chain.pem", "fullchain.pem"]
    (installed,) = sets.kept(rig.places, NAME)
    assert (installed.origin, installed.key_type) == ("elsewhere", "ecdsa-p384")
    assert not [path for path in everything(rig.directory) if path.endswith("privkey.pem")]


def test_the_same_one_is_used_until_another_is_given(rig: Rig) -> None:
    configure(rig, request(KEY, WWW))
    first = rig.request(job=1, certificate=NAME)
    assert rig.request(job=1, certificate=NAME) == first
    rig.install(first["request"], issue(first["csr"]), job=1, certificate=NAME)
    renewed = rig.request(job=2, certificate=NAME)
    assert (renewed["csr"], renewed["request"] == first["request"]) == (first["csr"], False)
    other = request(ec.generate_private_key(ec.SECP256R1()), WWW)
    configure(rig, other, replace=True)
    assert base64.b64decode(rig.request(job=2, certificate=NAME)["csr"]) == other


def test_what_a_caller_changes_later_leaves_it(rig: Rig) -> None:
    der = request(KEY, WWW)
    configure(rig, der)
    configure(rig, None, names=["www.example.com"], profile="classic", replace=True)
    made = rig.request(certificate=NAME)
    assert (base64.b64decode(made["csr"]), made["profile"]) == (der, "classic")


def test_it_must_be_for_the_names_that_are_configured(rig: Rig) -> None:
    message = refused(rig, request(KEY, WWW, WILD), names=["www.example.com", "www.example.net"])
    assert "it has, and 'names' has not: *.example.org" in message
    assert "'names' has, and it has not: www.example.net" in message
    assert not rig.places.csr(NAME).exists()
    configure(rig, request(KEY, WWW, WILD), names=["*.example.org", "WWW.example.com"])
    rig.request(certificate=NAME)
    before = rig.permits()
    for names in ('["www.example.com"]', '["*.example.org"]', '["www.example.com", "*.example.org", "a.example"]'):
        rig.configure(f"certificates.d/{NAME}.toml", f"names = {names}\ncsr = true\n")
        assert "the CSR is for other names than 'names'" in request_refused(rig)
        assert rig.permits() == before


def test_no_csr_was_given_yet(rig: Rig) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", 'names = ["www.example.com"]\ncsr = true\n')
    assert f"{NAME}.toml has csr = true, and there is no CSR yet" in request_refused(rig)


@pytest.mark.parametrize(
    ("der", "reason"),
    [
        (b"", "has 0 bytes"),
        (b"\x30" * (64 * 1024 + 1), "allowed are 1 to 65536"),
        (b"nonsense", "the CSR for foreign cannot be read"),
        (request(rsa_key(1024), WWW), "RSA key of 1024 bits"),
        (request(KEY, names=[x509.RFC822Name("a@example.com")]), "of another type"),
        (request(KEY, common_name="Example Ltd"), "'Example Ltd'"),
    ],
)
def test_csrs_that_cannot_be_used(rig: Rig, der: bytes, reason: str) -> None:
    before = everything(rig.directory)
    assert reason in refused(rig, der)
    assert everything(rig.directory) == before


def test_what_is_refused_leaves_the_old_one(rig: Rig) -> None:
    configure(rig, request(KEY, WWW))
    before = everything(rig.directory)
    other = request(ec.generate_private_key(ec.SECP256R1()), WWW)
    refused(rig, other, replace=True, account="mian")
    refused(rig, other, replace=True, mustStaple=True)
    refused(rig, other, replace=True, keyType="rsa-2048")
    refused(rig, other, replace=True, commonName="www.example.com")
    assert everything(rig.directory) == before
    with pytest.raises(VarlinkError) as caught:
        configure(rig, other)
    assert caught.value.name == "org.acmed.Priv.CertificateExists"
    assert everything(rig.directory) == before


def test_a_kept_one_that_was_damaged(rig: Rig) -> None:
    configure(rig, request(KEY, WWW))
    rig.places.csr(NAME).write_bytes(b"damaged")
    assert "the CSR for foreign cannot be read" in request_refused(rig)


def test_a_service_that_wants_the_key(rig: Rig) -> None:
    rig.configure(
        "acmed.toml.d/s.toml",
        '[service.web]\ngroup = "root"\n'
        f'[service.ftp.files]\nprivkey = "{rig.directory}/key"\ncombined = "{rig.directory}/both"\n'
        f'[service.logs.files]\nfullchain = "{rig.directory}/chain.pem"\n',
    )
    der = request(KEY, WWW)
    assert "[service.ftp] has files for privkey and combined, and the key is not here" in refused(
        rig, der, services=["web", "ftp"]
    )
    assert not rig.places.certificate_file(NAME).exists()
    configure(rig, der, services=["web", "logs"])
    made = rig.request(certificate=NAME)
    rig.install(made["request"], issue(made["csr"]), certificate=NAME)
    rig.configure(
        f"certificates.d/{NAME}.toml", 'names = ["www.example.com"]\ncsr = true\nservices = ["web", "logs", "ftp"]\n'
    )
    assert "[service.ftp]" in request_refused(rig)
    answer = rig.run(lambda priv: priv.deliver(ROOT, 1, NAME, ["web", "logs", "ftp"]))
    errors = {one["service"]: one["error"] for one in answer["deliveries"]}
    assert (errors["web"], errors["logs"]) == ("", "")
    assert "the key is not here" in errors["ftp"]
    assert (rig.directory / "chain.pem").read_bytes() == rig.published(NAME)["fullchain.pem"]
    assert not (rig.directory / "key").exists()
    assert not (rig.directory / "both").exists()


def test_a_new_key_cannot_be_made_here(rig: Rig) -> None:
    configure(rig, request(KEY, WWW))
    assert "its CSR was made elsewhere" in request_refused(rig, new_key=True)


def test_forgotten(rig: Rig) -> None:
    der = request(KEY, WWW)
    configure(rig, der)
    rig.request(certificate=NAME)
    rig.run(lambda priv: priv.forget(ROOT, 2, NAME))
    assert rig.permits() == []
    assert not rig.places.csr(NAME).exists()
    aside = {path.suffix: path.read_bytes() for path in (rig.places.state / "forgotten").iterdir()}
    assert aside[".der"] == der
    assert b"csr = true" in aside[".toml"]


def test_after_a_compromise_its_key_is_never_taken_again(rig: Rig) -> None:
    configure(rig, request(KEY, WWW))
    made = rig.request(certificate=NAME)
    rig.install(made["request"], issue(made["csr"]), certificate=NAME)
    rig.run(lambda priv: priv.permit_revoke(ROOT, 2, NAME, 1))
    assert "compromised" in request_refused(rig)
    assert "compromised" in refused(rig, request(KEY, WWW), replace=True)
    configure(rig, request(ec.generate_private_key(ec.SECP256R1()), WWW), replace=True)
    rig.request(certificate=NAME)


def test_its_own_key_cannot_revoke_it_here(rig: Rig) -> None:
    configure(rig, request(KEY, WWW))
    made = rig.request(certificate=NAME)
    rig.install(made["request"], issue(made["csr"]), certificate=NAME)
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.sign_revocation(ROOT, 2, NAME, "https://ca.example/revoke", "n", 4))
    assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"
    assert "the key of foreign is not here" in caught.value.parameters["message"]


def test_an_answer_of_acme_verify_that_cannot_be(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    good: dict[str, Any] = {
        "identifiers": [{"type": "dns", "value": "www.example.com"}],
        "publicKey": "AAAA",
        "keyType": "ecdsa-p256",
        "mustStaple": False,
    }
    impossible: list[dict[str, Any]] = [
        {"identifiers": []},
        {"identifiers": good["identifiers"] * 2},
        {"identifiers": [{"type": "ip", "value": "www.example.com"}]},
        {"identifiers": [{"type": "dns", "value": "WWW.example.com"}]},
        {"identifiers": [{"type": "dns", "value": "a\nb"}]},
        {"publicKey": "?"},
        {"publicKey": ""},
        {"keyType": "x\ny"},
    ]
    for changes in impossible:
        answer = good | changes

        async def says(*_: object, answer: dict[str, Any] = answer, **__: object) -> dict[str, Any]:
            return answer

        monkeypatch.setattr("acmed.verify.service.Verify.read_request", says)
        with pytest.raises(VarlinkError) as caught:
            configure(rig, request(KEY, WWW))
        assert caught.value.name == "org.acmed.Priv.InstallFailed"
        assert not rig.places.certificate_file(NAME).exists()


def test_another_one_where_root_has_added_to_the_file(rig: Rig) -> None:
    """Who may give a CSR may not be who edits the file."""
    configure(rig, request(KEY, WWW), account="main")
    path = rig.places.certificate_file(NAME)
    path.write_text(text := f"{path.read_text()}renew-before = 20\n")
    other = request(ec.generate_private_key(ec.SECP256R1()), WWW)
    assert "has renew-before, which would be lost" in refused(rig, other, replace=True, profile="classic")
    assert "has renew-before, which would be lost" in refused(rig, request(KEY, WILD), replace=True)
    configure(rig, other, replace=True, account="main", services=[], failover=[])
    assert path.read_text() == text
    assert base64.b64decode(rig.request(certificate=NAME)["csr"]) == other
