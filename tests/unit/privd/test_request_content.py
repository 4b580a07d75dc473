# SPDX-License-Identifier: LGPL-2.1-or-later
"""key-usage and hash: what the CSR has in it, and that another wish makes another one."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from acmed.config.model import KEY_USAGES
from tests.unit.privd.rig import NAME, Rig
from tests.unit.privd.test_request import csr

FIELDS = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def configure(rig: Rig, *lines: str) -> None:
    rig.configure(f"certificates.d/{NAME}.toml", "\n".join([f'names = ["{NAME}"]', *lines]))


@pytest.mark.parametrize(("word", "field"), list(zip(KEY_USAGES, FIELDS, strict=True)))
def test_each_usage(rig: Rig, word: str, field: str) -> None:
    words = {word, "keyAgreement"} if word.endswith("Only") else {word}
    configure(rig, f"key-usage = {json.dumps(sorted(words))}")
    made = csr(rig.request())
    assert made.is_signature_valid
    extension = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert extension.critical
    # Those of the last two raise where the key is not for agreement.
    named = [one for one in FIELDS if not one.endswith("_only") or extension.value.key_agreement]
    expected = {FIELDS[KEY_USAGES.index(one)] for one in words}
    assert {one for one in named if getattr(extension.value, one)} == expected
    assert field in expected


def test_without_it_there_is_no_such_extension(rig: Rig) -> None:
    configure(rig, "key-usage = []")
    assert x509.KeyUsage.oid not in [extension.oid for extension in csr(rig.request()).extensions]


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048"])
@pytest.mark.parametrize(
    ("word", "algorithm"),
    [("", hashes.SHA256), ("sha256", hashes.SHA256), ("sha384", hashes.SHA384), ("sha512", hashes.SHA512)],
)
def test_hash(rig: Rig, word: str, algorithm: type, key_type: str) -> None:
    configure(rig, f'key-type = "{key_type}"', *([f'hash = "{word}"'] if word else []))
    made = csr(rig.request())
    assert made.is_signature_valid
    assert isinstance(made.signature_hash_algorithm, algorithm)


def test_another_wish_is_another_request(rig: Rig) -> None:
    configure(rig, 'hash = "sha384"', 'key-usage = ["digitalSignature", "keyAgreement"]')
    first = rig.request()
    configure(rig, 'key-usage = ["keyAgreement", "digitalSignature"]', 'hash = "sha384"')
    assert rig.request(job=2) == first
    configure(rig, 'hash = "sha384"')
    second = rig.request(job=3)
    assert second["request"] != first["request"]
    configure(rig)
    assert rig.request(job=4)["request"] != second["request"]


def test_request_of_an_older_acmed_goes_on(rig: Rig) -> None:
    """It said nothing of the two, and had the same in it."""
    first = rig.request()
    path = rig.places.pending(NAME) / "request.json"
    written = json.loads(path.read_text())
    path.write_text(json.dumps({key: written[key] for key in written if key not in ("key_usage", "hash")}))
    assert rig.request(job=2) == first
