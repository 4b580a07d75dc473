# SPDX-License-Identifier: LGPL-2.1-or-later
"""Revocation, and that nobody uses the key of a revoked certificate again."""

import base64
import hashlib
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from acmed import pem
from acmed.keyd import permits
from acmed.privd import keys
from acmed.privd.installed import sets
from acmed.reasons import REASONS
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import CA, NAME, ROOT, Rig, issue
from tests.unit.privd.test_request import public

URL, NONCE = "https://ca.example/acme/revoke-cert", "oFvnlFP1wIhRlYS2jTaXbA"


def refused(rig: Rig, method: str, *arguments: Any) -> VarlinkError:
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: getattr(priv, method)(ROOT, 2, *arguments))
    return caught.value


def der(rig: Rig) -> bytes:
    (found,) = pem.certificates(rig.published()["cert.pem"].decode(), 1, 9999)
    return found


def archive(rig: Rig, fingerprint: str, job: int = 3) -> None:
    rig.run(lambda priv: priv.archive(ROOT, job, NAME, fingerprint))


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("reason", REASONS)
def test_the_permit(rig: Rig, reason: int) -> None:
    assert refused(rig, "permit_revoke", NAME, reason).name == "org.acmed.Priv.NotIssued"
    installed = rig.order()
    answer = rig.run(lambda priv: priv.permit_revoke(ROOT, 2, NAME, reason))
    assert answer == {"account": "main", "der": base64.b64encode(der(rig)).decode(), "sharing": []}
    permit = next(permit for permit in rig.permits() if permit["kind"] == "revoke")
    assert (permit["subject"], permit["reason"]) == (installed["fingerprint"], reason)
    assert permit["expires"] <= permits.clock() + 3600, "what is done once is not permitted for long"


@pytest.mark.parametrize("reason", [-1, 2, 6, 7, 8, 9, 10, 11])
def test_reasons_that_no_ca_takes(rig: Rig, reason: int) -> None:
    rig.order()
    other = base64.b64encode(der(rig)).decode()
    for call in (
        ("permit_revoke", NAME, reason),
        ("permit_revoke_other", "main", other, reason),
        ("sign_revocation", NAME, URL, NONCE, reason),
    ):
        assert refused(rig, *call).parameters == {"parameter": "reason"}


def test_a_certificate_that_is_not_ours(rig: Rig) -> None:
    other = CA.certificate.public_bytes(Encoding.DER)
    text = base64.b64encode(other).decode()
    assert rig.run(lambda priv: priv.permit_revoke_other(ROOT, 2, "main", text, 4)) == {"sharing": []}
    (permit,) = rig.permits()
    assert (permit["kind"], permit["account"]) == ("revoke", "main")
    assert (permit["subject"], permit["reason"]) == (hashlib.sha256(other).hexdigest(), 4)
    assert refused(rig, "permit_revoke_other", "mian", text, 4).name == "org.acmed.Priv.NoSuchAccount"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        "MAA=",
        base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode(),
        base64.b64encode(CA.certificate.public_bytes(Encoding.DER)[:-1]).decode(),
        base64.b64encode(CA.certificate.public_bytes(Encoding.DER) + b"\0").decode(),
        base64.b64encode(CA.certificate.public_bytes(Encoding.PEM)).decode(),
        base64.b64encode(b"\x30\x82\x40\x00" + b"\x30\x00" * 8192).decode(),
        base64.b64encode(b"\x30\x84\xff\xff\xff\xff").decode(),
        base64.b64encode(b"\x30\x80\x00\x00").decode(),
        base64.b64encode(b"\x30\x06\x30\x00\x30\x00\x04\x00").decode(),
        base64.b64encode(b"\x30").decode(),
    ],
)
def test_what_is_no_certificate(rig: Rig, text: str) -> None:
    assert refused(rig, "permit_revoke_other", "main", text, 4).parameters == {"parameter": "der"}
    assert not rig.permits_file.exists()


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048"])
def test_its_own_key_signs(rig: Rig, key_type: str) -> None:
    """RFC 8555 section 7.6, held against the RFCs and not against our own code."""
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nkey-type = "{key_type}"')
    rig.order()
    jws = rig.run(lambda priv: priv.sign_revocation(ROOT, 2, NAME, URL, NONCE, 4))
    assert sorted(jws) == ["payload", "protected", "sharing", "signature"]
    assert json.loads(decoded(jws["payload"])) == {
        "certificate": base64.urlsafe_b64encode(der(rig)).rstrip(b"=").decode(),
        "reason": 4,
    }
    header = json.loads(decoded(jws["protected"]))
    jwk = header.pop("jwk")
    algorithm = {"ecdsa-p256": "ES256", "ecdsa-p384": "ES384", "rsa-2048": "RS256"}[key_type]
    assert header == {"alg": algorithm, "nonce": NONCE, "url": URL}
    key = x509.load_der_x509_certificate(der(rig)).public_key()
    signed, signature = f"{jws['protected']}.{jws['payload']}".encode(), decoded(jws["signature"])
    if isinstance(key, rsa.RSAPublicKey):
        assert int.from_bytes(decoded(jwk["n"]), "big") == key.public_numbers().n
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert int.from_bytes(decoded(jwk["x"]), "big") == key.public_numbers().x
        half = len(signature) // 2
        numbers = [int.from_bytes(part, "big") for part in (signature[:half], signature[half:])]
        algorithms = {256: hashes.SHA256(), 384: hashes.SHA384()}
        key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(algorithms[key.curve.key_size]))


@pytest.mark.parametrize(
    ("url", "nonce", "parameter"),
    [
        ("https://evil.example/acme/revoke-cert", NONCE, "url"),
        ("http://ca.example/acme/revoke-cert", NONCE, "url"),
        ("https://ca.example:444/revoke", NONCE, "url"),
        ("https://ca.example@evil.example/", NONCE, "url"),
        ("https://ca.example\\@evil.example/", NONCE, "url"),
        ("https://ca.example/revoke#x", NONCE, "url"),
        ("https://ca.example/a b", NONCE, "url"),
        ("https://ca.example/\n", NONCE, "url"),
        ("https://ca.example/ü", NONCE, "url"),
        ("https://ca.example/" + "a" * 2000, NONCE, "url"),
        ("https://[/", NONCE, "url"),
        ("", NONCE, "url"),
        (URL, "", "nonce"),
        (URL, 'x","url":"y', "nonce"),
        (URL, "a b", "nonce"),
        (URL, "a" * 513, "nonce"),
    ],
)
def test_nothing_else_is_signed(rig: Rig, url: str, nonce: str, parameter: str) -> None:
    rig.order()
    assert refused(rig, "sign_revocation", NAME, url, nonce, 4).parameters == {"parameter": parameter}


def test_its_account_is_gone(rig: Rig) -> None:
    rig.order()
    rig.configure("acmed.toml", '[account.other]\ndirectory = "https://ca.example/dir"\n')
    assert refused(rig, "permit_revoke", NAME, 4).name == "org.acmed.Priv.NoSuchAccount"
    # Its CA is known from when it was ordered.
    assert "signature" in rig.run(lambda priv: priv.sign_revocation(ROOT, 2, NAME, URL, NONCE, 4))
    elsewhere = "https://other.example/revoke"
    assert refused(rig, "sign_revocation", NAME, elsewhere, NONCE, 4).parameters == {"parameter": "url"}


def test_its_account_is_gone_and_its_ca_was_not_kept_by_an_older_acmed(rig: Rig) -> None:
    rig.order()
    (path,) = rig.places.sets(NAME).glob("*/set.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"directory": ""}))
    rig.configure("acmed.toml", '[account.other]\ndirectory = "https://ca.example/dir"\n')
    assert refused(rig, "sign_revocation", NAME, URL, NONCE, 4).name == "org.acmed.Priv.NoSuchAccount"


def reusing(rig: Rig) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nreuse-key = true')


def key_files(rig: Rig) -> list[str]:
    """Where private keys are, ids aside."""
    found = (path.relative_to(rig.directory) for path in rig.directory.rglob("privkey.pem"))
    return sorted(re.sub(r"/(request-)?[0-9TZ]*-?[0-9a-f]+(?=/privkey)", r"/\1*", str(path)) for path in found)


def test_a_revoked_set_goes_to_the_archive_with_all_that_has_its_key(rig: Rig) -> None:
    reusing(rig)
    rig.order(job=1)
    installed = rig.order(job=2)
    before = rig.published()
    archive(rig, installed["fingerprint"])
    assert rig.published() == before, "they stay until they are replaced"
    assert list(rig.places.sets(NAME).iterdir()) == []
    assert not rig.places.pending(NAME).exists()
    directory = rig.places.archive(NAME)
    names = sorted(path.name for path in directory.iterdir())
    assert len(names) == 3
    assert names[-1].startswith("request-")
    for path in [directory, directory.parent, directory.parent.parent, *directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    archive(rig, installed["fingerprint"])
    assert sorted(path.name for path in directory.iterdir()) == names, "again is no error"


def test_the_key_of_a_revoked_set_is_not_used_again(rig: Rig) -> None:
    reusing(rig)
    first = rig.request(job=1)
    installed = rig.install(first["request"], issue(first["csr"]))
    assert public(rig.request(job=2)) == public(first), "as configured"
    archive(rig, installed["fingerprint"])
    third = rig.request(job=2)
    assert public(third) != public(first)
    assert third["replaces"] is None
    rig.install(third["request"], issue(third["csr"]), job=2)
    assert public(rig.request(job=4)) == public(third), "the next one may be used again"


def test_also_after_a_crash_within_the_archiving(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    reusing(rig)
    first = rig.request(job=1)
    installed = rig.install(first["request"], issue(first["csr"]))
    rig.request(job=2)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("acmed.privd.installed.archive._move", fails)
        assert refused(rig, "archive", NAME, installed["fingerprint"]).name == "org.acmed.Priv.InstallFailed"
    assert public(rig.request(job=2)) != public(first)


def test_the_pending_request_stays_where_it_has_another_key(rig: Rig) -> None:
    installed = rig.order(job=1)
    pending = rig.request(job=2)
    archive(rig, installed["fingerprint"])
    assert rig.request(job=2)["csr"] == pending["csr"]


def test_deliveries_end_with_it(rig: Rig) -> None:
    installed = rig.order(job=1)
    archive(rig, installed["fingerprint"])
    assert refused(rig, "deliver", NAME, []).name == "org.acmed.Priv.NotIssued"
    assert refused(rig, "permit_revoke", NAME, 4).name == "org.acmed.Priv.NotIssued"
    assert refused(rig, "archive", NAME, "00" * 32).name == "org.acmed.Priv.NotIssued"


def test_the_revoked_certificate_is_not_installed_again(rig: Rig) -> None:
    """A CA, or an order that acme-clientd kept, gives it once more; with a provided key all else would fit."""
    key = ec.generate_private_key(ec.SECP256R1())
    from tests.unit.privd.test_provided import pem as key_pem  # noqa: PLC0415
    from tests.unit.privd.test_provided import provide  # noqa: PLC0415

    provide(rig, key_pem(key))
    made = rig.request(job=1)
    text = issue(made["csr"])
    installed = rig.install(made["request"], text)
    archive(rig, installed["fingerprint"])
    again = rig.request(job=2)
    with pytest.raises(VarlinkError) as caught:
        rig.install(again["request"], text, job=2)
    assert caught.value.name == "org.acmed.Priv.InvalidChain"
    assert "revoked" in caught.value.parameters["message"]


def test_a_compromised_key_ends_at_once(rig: Rig) -> None:
    """Before the CA has been asked, and whatever it answers."""
    reusing(rig)
    for call in (
        lambda priv: priv.permit_revoke(ROOT, 2, NAME, 1),
        lambda priv: priv.sign_revocation(ROOT, 2, NAME, URL, NONCE, 1),
        lambda priv: priv.permit_revoke_other(ROOT, 2, "main", base64.b64encode(der(rig)).decode(), 1),
    ):
        rig.order(job=1)
        pending = rig.request(job=2)
        current = sets.current(rig.places, NAME)
        assert current
        rig.run(call)
        assert public(rig.request(job=2)) != public(pending)
        assert public(rig.request(job=3)) != public(pending)
        rig.install((made := rig.request(job=3))["request"], issue(made["csr"]))


def test_another_reason_leaves_the_key_until_it_is_archived(rig: Rig) -> None:
    reusing(rig)
    rig.order(job=1)
    pending = rig.request(job=2)
    rig.run(lambda priv: priv.permit_revoke(ROOT, 2, NAME, 4))
    assert rig.request(job=2) == pending


def test_a_compromised_key_stays_so(rig: Rig) -> None:
    """The archiving that follows does not make it any better."""
    installed = rig.order(job=1)
    rig.run(lambda priv: priv.permit_revoke(ROOT, 2, NAME, 1))
    archive(rig, installed["fingerprint"])
    (record,) = (rig.places.state / "retired-keys").iterdir()
    assert json.loads(record.read_text())["compromised"] is True
    assert stat.S_IMODE(record.stat().st_mode) == 0o600


TWIN = "twin.example.com"


def one_key(rig: Rig) -> bytes:
    """Two certificates with one key of root's; that of NAME (DER)."""
    from tests.unit.privd.test_provided import KEY, provide  # noqa: PLC0415

    path = provide(rig, KEY)
    rig.configure(f"certificates.d/{TWIN}.toml", f'names = ["{TWIN}"]\nkey-file = "{path}"')
    for name in (NAME, TWIN):
        made = rig.request(certificate=name)
        rig.install(made["request"], issue(made["csr"]), certificate=name)
    return der(rig)


def sharing(rig: Rig, certificate: bytes, reason: int) -> list[str]:
    text = base64.b64encode(certificate).decode()
    found: list[str] = rig.run(lambda priv: priv.permit_revoke_other(ROOT, 2, "main", text, reason))["sharing"]
    return found


@pytest.mark.parametrize("reason", REASONS)
def test_an_older_certificate_with_the_key_of_the_installed_one(rig: Rig, reason: int) -> None:
    """Compromised, that is no key for the next one either, and who has it is told; else nothing changes."""
    reusing(rig)
    rig.order(job=1)
    older = der(rig)
    key = public(rig.request(job=2))
    rig.order(job=2)
    assert sharing(rig, older, reason) == ([NAME] if reason == 1 else [])
    assert (public(rig.request(job=3)) == key) == (reason != 1)
    current = sets.current(rig.places, NAME)
    assert current, "what is installed stays"


@pytest.mark.parametrize("method", ["permit_revoke", "sign_revocation"])
def test_another_certificate_with_the_same_key(rig: Rig, method: str) -> None:
    one_key(rig)
    more = (URL, NONCE) if method == "sign_revocation" else ()

    def revoked(reason: int) -> Any:
        return rig.run(lambda priv: getattr(priv, method)(ROOT, 2, NAME, *more, reason))["sharing"]

    assert revoked(4) == []
    assert revoked(1) == [TWIN]
    assert refused(rig, "new_request", TWIN, None, False).name == "org.acmed.Priv.InvalidConfiguration"


def test_a_certificate_that_nobody_kept_and_whose_key_is_ours(rig: Rig) -> None:
    """Such as one that another client, or an order long gone, got for the key."""
    rig.order(job=1)
    pending = rig.request(job=2)
    text = issue(pending["csr"])
    (foreign,) = pem.certificates(
        text.partition("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n", 1, 9999
    )
    assert sharing(rig, foreign, 1) == []
    assert public(rig.request(job=2)) != public(pending), "of the request that was under way"
    known = one_key(rig)
    assert sharing(rig, known, 4) == []
    for path in rig.places.state.glob("*/*/*/set.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "00"}))
    assert sharing(rig, known, 1) == sorted([NAME, TWIN])


def test_an_old_set_whose_key_is_damaged_keeps_no_key_from_being_compromised(rig: Rig) -> None:
    known = one_key(rig)
    (path,) = rig.places.sets(TWIN).glob("*/set.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"public_key": ""}))
    assert sharing(rig, known, 1) == [TWIN, NAME]
    (path.parent / "privkey.pem").write_text("")
    assert sharing(rig, known, 1) == [NAME]
    (path.parent / "privkey.pem").unlink()
    assert sharing(rig, known, 1) == [NAME]


def test_what_was_ordered_before_its_key_was_compromised_is_not_installed(rig: Rig) -> None:
    """The order of another certificate was under way when this one was revoked."""
    one_key(rig)
    made = rig.request(job=2, certificate=TWIN)
    text, before = issue(made["csr"]), rig.published(TWIN)
    rig.run(lambda priv: priv.permit_revoke(ROOT, 3, NAME, 1))
    with pytest.raises(VarlinkError) as caught:
        rig.install(made["request"], text, job=2, certificate=TWIN)
    assert caught.value.name == "org.acmed.Priv.InvalidChain"
    assert "compromised" in caught.value.parameters["message"]
    assert rig.published(TWIN) == before


def test_a_retired_key_becomes_a_compromised_one(rig: Rig) -> None:
    """Also where only the archive has it."""
    installed = rig.order(job=1)
    certificate = der(rig)
    archive(rig, installed["fingerprint"])
    (record,) = (rig.places.state / "retired-keys").iterdir()
    assert json.loads(record.read_text())["compromised"] is False
    sharing(rig, certificate, 1)
    assert json.loads(record.read_text())["compromised"] is True


def test_a_set_that_does_not_say_its_key_shares_none(rig: Rig) -> None:
    """An older acmed installed it; another certificate has nothing of it."""
    rig.order()
    (path,) = rig.places.sets(NAME).glob("*/set.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"public_key": ""}))
    assert sharing(rig, CA.certificate.public_bytes(Encoding.DER), 1) == []
    assert not (rig.places.state / "retired-keys").exists()


def remove(path: Path) -> None:
    path.unlink()


def another_key(path: Path) -> None:
    path.write_bytes(keys.to_pem(ec.generate_private_key(ec.SECP256R1())))


def another_certificate(path: Path) -> None:
    path.write_bytes(CA.certificate.public_bytes(Encoding.PEM))


DAMAGES = [
    ("privkey.pem", remove),
    ("privkey.pem", another_key),
    ("cert.pem", remove),
    ("cert.pem", another_certificate),
    ("chain.pem", remove),
]
CALLS = [("permit_revoke", NAME, 1), ("sign_revocation", NAME, URL, NONCE, 1)]


def retired(rig: Rig) -> list[bool]:
    """Of each retired key, whether it was compromised."""
    return [json.loads(path.read_text())["compromised"] for path in rig.places.state.glob("retired-keys/*")]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("file", "damage"), DAMAGES)
def test_what_is_kept_is_damaged(rig: Rig, file: str, damage: Callable[[Path], None], call: tuple[Any, ...]) -> None:
    """What is published stands in for it: revoked is what was verified, with its own key."""
    rig.order()
    before = rig.published()
    (master,) = rig.places.sets(NAME).iterdir()
    damage(master / file)
    method, *parameters = call
    answer = rig.run(lambda priv: getattr(priv, method)(ROOT, 2, *parameters))
    if method == "sign_revocation":
        key = keys.from_pem(before["privkey.pem"])
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        jwk = json.loads(decoded(answer["protected"]))["jwk"]
        assert int.from_bytes(decoded(jwk["x"]), "big") == key.public_key().public_numbers().x
    else:
        assert base64.b64decode(answer["der"]) == der(rig)
    assert retired(rig) == [True]


@pytest.mark.parametrize("call", CALLS)
def test_the_certificate_is_damaged_wherever_it_is(rig: Rig, call: tuple[Any, ...]) -> None:
    """Nothing but what was verified is revoked; but the key, which is known, is not used again."""
    rig.order()
    (master,) = rig.places.sets(NAME).iterdir()
    for place in (master, rig.places.certificates / NAME):
        another_certificate(place / "cert.pem")
    error = refused(rig, *call)
    assert error.name == "org.acmed.Priv.InstallFailed"
    assert f"cert.pem in {master} is damaged" in error.parameters["message"]
    assert not any(permit["kind"] == "revoke" for permit in rig.permits())
    assert retired(rig) == [True]


def test_the_chain_that_is_damaged_wherever_it_is_keeps_nothing_from_being_revoked(rig: Rig) -> None:
    rig.order()
    (master,) = rig.places.sets(NAME).iterdir()
    for place in (master, rig.places.certificates / NAME):
        remove(place / "chain.pem")
    answer = rig.run(lambda priv: priv.permit_revoke(ROOT, 2, NAME, 1))
    assert base64.b64decode(answer["der"]) == der(rig)


def test_the_key_is_damaged_wherever_it_is(rig: Rig) -> None:
    rig.order()
    (master,) = rig.places.sets(NAME).iterdir()
    for place in (master, rig.places.certificates / NAME):
        another_key(place / "privkey.pem")
    error = refused(rig, "sign_revocation", NAME, URL, NONCE, 1)
    assert error.name == "org.acmed.Priv.InstallFailed"
    assert f"privkey.pem in {master} is damaged" in error.parameters["message"]
    assert retired(rig) == [True]
    assert "der" in rig.run(lambda priv: priv.permit_revoke(ROOT, 2, NAME, 1)), "the account's key can revoke it still"
