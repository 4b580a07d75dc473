# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys and CSRs: made once for an order, given again after a crash, and bound to a permit."""

import asyncio
import base64
import hashlib
import ipaddress
import json
import stat
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from acmed.config.model import KeyType
from acmed.privd import keys
from acmed.privd.installed import sets
from acmed.privd.service import Priv
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import NAME, ROOT, Rig, issue


def csr(answer: dict[str, str]) -> x509.CertificateSigningRequest:
    return x509.load_der_x509_csr(base64.b64decode(answer["csr"]))


def public(answer: dict[str, str]) -> bytes:
    return csr(answer).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def refused(rig: Rig, **parameters: str) -> VarlinkError:
    with pytest.raises(VarlinkError) as caught:
        rig.request(**parameters)  # type: ignore[arg-type]
    return caught.value


def test_the_csr_has_all_identifiers_and_no_subject(rig: Rig) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", 'names = ["*.example.com", "192.0.2.1", "2001:db8::1"]')
    answer = rig.request()
    made = csr(answer)
    assert made.is_signature_valid
    assert len(made.subject) == 0
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["*.example.com"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.0.2.1"),
        ipaddress.ip_address("2001:db8::1"),
    ]
    assert answer["identifiers"] == [
        {"type": "dns", "value": "*.example.com"},
        {"type": "ip", "value": "192.0.2.1"},
        {"type": "ip", "value": "2001:db8::1"},
    ]
    assert answer["account"] == "main"


@pytest.mark.parametrize(
    ("key_type", "kind", "size"),
    [
        ("ecdsa-p256", ec.EllipticCurvePublicKey, 256),
        ("ecdsa-p384", ec.EllipticCurvePublicKey, 384),
        ("rsa-2048", rsa.RSAPublicKey, 2048),
        ("rsa-3072", rsa.RSAPublicKey, 3072),
    ],
)
def test_key_types(rig: Rig, key_type: str, kind: type, size: int) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nkey-type = "{key_type}"')
    key = csr(rig.request()).public_key()
    assert isinstance(key, kind)
    assert getattr(key, "key_size", 0) == size


def test_rsa_keys_are_made_one_by_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are not kept waiting by all at once."""
    names, making, most = [f"{letter}.example.com" for letter in "abc"], 0, 0
    for name in names:
        rig.configure(f"certificates.d/{name}.toml", f'names = ["{name}"]\nkey-type = "rsa-2048"')
    generate = keys.generate

    def counted(key_type: KeyType) -> keys.PrivateKey:
        nonlocal making, most
        making += 1
        most = max(most, making)
        made = generate(key_type)
        making -= 1
        return made

    monkeypatch.setattr(keys, "generate", counted)

    async def all_at_once(priv: Priv) -> list[dict[str, Any]]:
        return await asyncio.gather(*(priv.new_request(ROOT, 1, name, None, False) for name in names))

    assert len({public(answer) for answer in rig.run(all_at_once)}) == len(names)
    assert most == 1


def test_the_permit_is_for_this_csr(rig: Rig) -> None:
    answer = rig.request()
    (permit,) = rig.permits()
    assert permit["kind"] == "order"
    assert permit["subject"] == NAME
    assert permit["csr_sha256"] == hashlib.sha256(base64.b64decode(answer["csr"])).hexdigest()
    assert permit["identifiers"] == [["dns", NAME]]


def test_nobody_else_can_read_the_key(rig: Rig) -> None:
    rig.request()
    pending = rig.places.pending(NAME)
    for path in (pending.parent, pending):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert sorted(path.name for path in pending.iterdir()) == ["csr.der", "privkey.pem", "request.json"]
    for path in pending.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_request_until_it_was_installed(rig: Rig) -> None:
    first = rig.request(job=1)
    assert rig.request(job=1) == first
    assert rig.request(job=2) == first
    rig.install(first["request"], issue(first["csr"]), job=2)
    assert rig.request(job=2) == first, "the job that installed it goes on after a crash"
    renewed = rig.request(job=3)
    assert renewed["request"] != first["request"]
    assert public(renewed) != public(first)


def test_a_new_key_is_made_once_for_a_job_that_asks_for_it(rig: Rig) -> None:
    first = rig.request(job=1)
    other = rig.request(job=2, new_key=True)
    assert other["request"] != first["request"]
    assert rig.request(job=2, new_key=True) == other, "the same job asks again after a crash"
    assert rig.request(job=3, new_key=False) == other
    assert rig.request(job=3, new_key=True)["request"] != other["request"], "it was not made for this one"


@pytest.mark.parametrize(
    "change",
    [
        f'names = ["{NAME}", "example.com"]',
        f'names = ["{NAME}"]\nkey-type = "ecdsa-p384"',
        f'names = ["{NAME}"]\naccount = "other"',
    ],
)
def test_another_request_when_the_configuration_changes(rig: Rig, change: str) -> None:
    rig.configure("acmed.toml.d/more.toml", '[account.other]\ndirectory = "https://other.example/"\n')
    rig.configure("acmed.toml.d/default.toml", '[defaults]\naccount = "main"\n')
    first = rig.request()
    rig.configure(f"certificates.d/{NAME}.toml", change)
    second = rig.request()
    assert second["request"] != first["request"]
    pending = rig.places.pending(NAME)
    key = load_pem_private_key((pending / "privkey.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert keys.public_key(key) == public(second)


def test_the_order_of_names_is_no_change(rig: Rig) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", 'names = ["a.example.com", "b.example.com"]')
    first = rig.request()
    rig.configure(f"certificates.d/{NAME}.toml", 'names = ["b.example.com", "a.example.com"]')
    assert rig.request() == first


def test_reuse_key(rig: Rig) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nreuse-key = true')
    first = rig.request(job=1)
    rig.install(first["request"], issue(first["csr"]), job=1)
    second = rig.request(job=2)
    assert second["request"] != first["request"]
    assert public(second) == public(first)
    third = rig.request(job=3, new_key=True)
    assert public(third) != public(first)
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nreuse-key = true\nkey-type = "rsa-2048"')
    assert isinstance(csr(rig.request(job=4)).public_key(), rsa.RSAPublicKey)


@pytest.mark.parametrize("file", ["request.json", "csr.der", "privkey.pem"])
def test_a_missing_part_of_the_pending_request(rig: Rig, file: str) -> None:
    first = rig.request()
    (rig.places.pending(NAME) / file).unlink()
    assert rig.request()["request"] != first["request"]


@pytest.mark.parametrize("file", ["request.json", "csr.der"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"id": 1, "identifiers": []}', b"\xff"])
def test_a_damaged_pending_request_is_replaced(rig: Rig, file: str, damage: bytes) -> None:
    first = rig.request()
    (rig.places.pending(NAME) / file).write_bytes(damage)
    assert rig.request()["request"] != first["request"]


def test_refusals(rig: Rig) -> None:
    error = refused(rig, certificate="unknown")
    assert (error.name, error.parameters) == ("org.acmed.Priv.NoSuchCertificate", {"certificate": "unknown"})
    rig.configure("certificates.d/broken.toml", 'names = ["www.example.com"]\nkeytype = "rsa-2048"')
    error = refused(rig, certificate="broken")
    assert error.name == "org.acmed.Priv.InvalidConfiguration"
    assert "broken.toml:2" in error.parameters["message"]
    for name in ("../etc", "a/b", "", ".hidden", "a\nb"):
        error = refused(rig, certificate=name)
        assert (error.name, error.parameters) == (
            "org.varlink.service.InvalidParameter",
            {"parameter": "certificate"},
        )


def test_a_group_that_is_not_there_is_told_before_the_order(rig: Rig) -> None:
    rig.configure("acmed.toml.d/s.toml", '[service.web]\ngroup = "no-such-group"\n')
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\nservices = ["web"]')
    error = refused(rig)
    assert error.name == "org.acmed.Priv.InvalidConfiguration"
    assert "'no-such-group'" in error.parameters["message"]


def test_without_acme_keyd(rig: Rig) -> None:
    rig.places.permit_socket.unlink(missing_ok=True)
    with pytest.raises(VarlinkError) as caught:
        asyncio.run(rig.priv.new_request(ROOT, 1, NAME, None, False))
    assert caught.value.name == "org.acmed.Priv.KeyUnavailable"
    assert "acme-keyd" in caught.value.parameters["reason"]


def test_a_place_that_cannot_be_written(rig: Rig) -> None:
    (rig.places.state / "pending").write_text("not a directory")
    error = refused(rig)
    assert error.name == "org.acmed.Priv.InstallFailed"
    assert str(rig.places.state) in error.parameters["message"]


def certificate(rig: Rig, text: str) -> None:
    rig.configure("acmed.toml.d/other.toml", '[account.other]\ndirectory = "https://other.example/dir"\n')
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\naccount = "main"\n{text}')


def order_permits(rig: Rig) -> list[tuple[str, str]]:
    return [(permit["account"], permit["csr_sha256"]) for permit in rig.permits() if permit["kind"] == "order"]


def test_the_next_account_gets_the_same_key_and_a_request_of_its_own(rig: Rig) -> None:
    certificate(rig, 'failover = ["other"]')
    first = rig.request(job=1)
    second = rig.request(job=1, account="other")
    assert (first["account"], second["account"]) == ("main", "other")
    assert first["csr"] == second["csr"]
    assert first["request"] != second["request"]
    digest = hashlib.sha256(base64.b64decode(first["csr"])).hexdigest()
    assert order_permits(rig) == [("other", digest)], "only one CA at a time may issue for it"
    assert rig.request(job=1, account="other") == second, "after a crash"
    again = rig.request(job=2)
    assert again == first, "the next job begins with the first account"
    assert order_permits(rig) == [("main", digest)]
    rig.install(first["request"], issue(first["csr"]), job=2)
    (installed,) = sets.kept(rig.places, NAME)
    assert (installed.account, installed.directory) == ("main", "https://ca.example/dir")
    assert rig.request(job=3)["csr"] != first["csr"]


def test_what_the_second_ca_issued_is_not_taken_for_the_first_ones(rig: Rig) -> None:
    certificate(rig, 'failover = ["other"]')
    rig.request(job=1)
    second = rig.request(job=1, account="other")
    rig.install(second["request"], issue(second["csr"]))
    (installed,) = sets.kept(rig.places, NAME)
    assert (installed.account, installed.directory) == ("other", "https://other.example/dir")
    assert rig.request(job=1, account="other") == second
    renewed = rig.request(job=2)
    assert renewed["csr"] != second["csr"]
    assert (renewed["account"], renewed["replaces"]) == ("main", None)
    with pytest.raises(VarlinkError) as caught:
        rig.install(f"{second['request'].partition('.')[0]}.main", issue(second["csr"]))
    assert caught.value.name == "org.acmed.Priv.NoSuchRequest"


def test_an_account_that_the_certificate_does_not_name(rig: Rig) -> None:
    certificate(rig, "")
    error = refused(rig, account="other")
    assert error.name == "org.acmed.Priv.InvalidConfiguration"
    assert error.parameters["message"].endswith(f"{NAME}.toml does not name the account 'other'; it has: main")


def test_must_staple_common_name_and_subject(rig: Rig) -> None:
    certificate(rig, f"must-staple = true\ncommon-name = '{NAME}'\nsubject = 'O=Example\\, Inc.,C=GB'")
    made = csr(rig.request())
    feature = made.extensions.get_extension_for_class(x509.TLSFeature).value
    assert list(feature) == [x509.TLSFeatureType.status_request]
    assert made.subject.rfc4514_string() == f"CN={NAME},O=Example\\, Inc.,C=GB"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "must-staple = true"),
        ("", f"common-name = '{NAME}'"),
        ("", "subject = 'O=Example'"),
        ("profile = 'classic'", "profile = 'shortlived'"),
        ("validity-days = 30", "validity-days = 7"),
        ("backdate-hours = 1", "backdate-hours = 2"),
    ],
)
def test_another_request_when_the_order_would_be_another_one(rig: Rig, before: str, after: str) -> None:
    certificate(rig, before)
    first = rig.request()
    assert rig.request() == first
    certificate(rig, after)
    second = rig.request()
    assert second["request"] != first["request"]
    assert second["csr"] != first["csr"]
    assert rig.request() == second


def test_what_does_not_touch_the_order_is_no_change(rig: Rig) -> None:
    certificate(rig, "")
    first = rig.request()
    certificate(rig, "renew-before = 5\npreferred-chain = 'Root X2'")
    assert rig.request() == first | {"preferredChain": "Root X2"}


def test_the_permit_has_what_the_order_may_say(rig: Rig) -> None:
    certificate(rig, "profile = 'shortlived'\nvalidity-days = 7\nbackdate-hours = 12")
    rig.order(job=1, serial=0x87654321)
    answer = rig.request(job=2)
    assert answer["profile"] == "shortlived"
    assert answer["replaces"] == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    (permit,) = rig.permits()
    assert (permit["profile"], permit["replaces"]) == ("shortlived", answer["replaces"])
    assert (permit["not_before"], permit["not_after"]) == (answer["notBefore"], answer["notAfter"])
    assert moment(answer["notAfter"]) - moment(answer["notBefore"]) == timedelta(days=7, hours=12)


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def test_the_end_is_computed_once(rig: Rig) -> None:
    certificate(rig, "validity-days = 30")
    before = datetime.now(UTC).replace(microsecond=0)
    first = rig.request(job=1)
    assert before <= moment(first["notAfter"]) - timedelta(days=30) <= datetime.now(UTC)
    kept = earlier(rig, timedelta(days=9))
    assert rig.request(job=1)["notAfter"] == kept
    assert rig.request(job=2)["notAfter"] == kept
    kept = earlier(rig, timedelta(days=2))
    assert rig.request(job=2)["notAfter"] == kept, "the same job goes on with its order"
    later = rig.request(job=3)
    assert moment(later["notAfter"]) >= moment(first["notAfter"]), "too little of it was left for a new order"
    assert (later["request"], later["csr"]) == (first["request"], first["csr"])


def earlier(rig: Rig, by: timedelta, end: str = "not_after") -> str:
    """Makes the pending request that much older."""
    path = rig.places.pending(NAME) / "request.json"
    content = json.loads(path.read_text())
    content[end] = (moment(content[end]) - by).strftime("%Y-%m-%dT%H:%M:%SZ")
    path.write_text(json.dumps(content))
    return str(content[end])


def test_the_begin_is_computed_once(rig: Rig) -> None:
    certificate(rig, "backdate-hours = 24")
    before = datetime.now(UTC).replace(microsecond=0)
    first = rig.request(job=1)
    assert before <= moment(first["notBefore"]) + timedelta(hours=24) <= datetime.now(UTC)
    assert first["notAfter"] is None
    kept = earlier(rig, timedelta(hours=11), "not_before")
    assert rig.request(job=1)["notBefore"] == kept
    assert rig.request(job=2)["notBefore"] == kept
    kept = earlier(rig, timedelta(hours=2), "not_before")
    assert rig.request(job=2)["notBefore"] == kept, "the same job goes on with its order"
    later = rig.request(job=3)
    assert moment(later["notBefore"]) >= moment(first["notBefore"]), "it was put back too much for a new order"
    assert (later["request"], later["csr"]) == (first["request"], first["csr"])


@pytest.mark.parametrize("end", ["not_before", "not_after"])
def test_what_was_computed_while_the_clock_was_ahead_is_not_kept(rig: Rig, end: str) -> None:
    """What begins later would not be installed, and what ends too late is not what a CA may issue."""
    certificate(rig, "backdate-hours = 1\nvalidity-days = 30")
    first = rig.request(job=1)
    earlier(rig, -timedelta(hours=2), end)
    later = rig.request(job=2)
    for member in ("notBefore", "notAfter"):
        assert timedelta() <= moment(later[member]) - moment(first[member]) < timedelta(hours=1)


def test_begin_and_end_are_computed_together(rig: Rig) -> None:
    certificate(rig, "backdate-hours = 1\nvalidity-days = 30")
    first = rig.request(job=1)
    for end in ("not_before", "not_after"):
        earlier(rig, timedelta(hours=1), end)
    later = rig.request(job=2)
    for end in ("notBefore", "notAfter"):
        assert moment(later[end]) >= moment(first[end])


def test_a_request_of_an_older_acmed_goes_on(rig: Rig) -> None:
    certificate(rig, "validity-days = 30")
    first = rig.request()
    path = rig.places.pending(NAME) / "request.json"
    content = json.loads(path.read_text())
    del content["not_before"], content["backdate_hours"]
    path.write_text(json.dumps(content))
    assert rig.request() == first
    assert first["notBefore"] is None


def test_nothing_is_replaced_at_another_ca(rig: Rig) -> None:
    certificate(rig, "")
    assert rig.request(job=1)["replaces"] is None
    rig.order(job=1)
    assert rig.request(job=2)["replaces"]
    certificate(rig, 'failover = ["other"]')
    assert rig.request(job=3, account="other")["replaces"] is None
    rig.configure("acmed.toml", '[account.main]\ndirectory = "https://ca.example/moved"\n')
    assert rig.request(job=4)["replaces"] is None


def test_a_request_and_a_set_of_an_earlier_version(rig: Rig) -> None:
    """As acmed 0.1 wrote them."""
    first = rig.request(job=1)
    path = rig.places.pending(NAME) / "request.json"
    content = json.loads(path.read_text())
    old = ("id", "job", "account", "identifiers", "key_type", "public_key", "csr_sha256", "new_key")
    path.write_text(json.dumps({key: content[key] for key in old}))
    assert rig.request(job=2) == first
    rig.install(first["request"], issue(first["csr"]), job=2)

    (installed,) = sets.kept(rig.places, NAME)
    path = rig.places.sets(NAME) / installed.id / "set.json"
    content = json.loads(path.read_text()) | {"request": first["request"].partition(".")[0]}
    for key in ("directory", "cert_id", "public_key", "origin"):
        del content[key]
    path.write_text(json.dumps(content))
    assert rig.request(job=2)["request"] == first["request"]
    renewed = rig.request(job=3)
    assert renewed["request"] != first["request"], "it was installed"
    assert renewed["replaces"] is None
