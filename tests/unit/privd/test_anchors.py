# SPDX-License-Identifier: LGPL-2.1-or-later
"""trust-anchors: what comes from elsewhere is not installed, and is not lost either."""

import os
from pathlib import Path

import pytest

from acmed import pem
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import CA, INTERMEDIATE, NAME, Rig, issue
from tests.unit.verify.issuing import Ca, chain

ROOTS = "# the one that we trust\n" + chain(CA.certificate) + "\n# and its intermediate\n"
OTHER = chain(Ca.root("Other").certificate)


def trust(rig: Rig, text: str, mode: int = 0o644) -> Path:
    path = rig.directory / "roots.pem"
    path.write_text(text)
    path.chmod(mode)
    rig.configure(f"certificates.d/{NAME}.toml", f'names = ["{NAME}"]\ntrust-anchors = "{path}"\n')
    return path


def refused(rig: Rig, request: str, text: str) -> VarlinkError:
    with pytest.raises(VarlinkError) as caught:
        rig.install(request, text)
    return caught.value


def test_chain_that_leads_there_is_installed(rig: Rig) -> None:
    trust(rig, OTHER + ROOTS)
    rig.order()
    assert rig.published()["cert.pem"]


def test_chain_that_leads_elsewhere_may_be_installed_later(rig: Rig) -> None:
    path = trust(rig, OTHER)
    made = rig.request()
    text = issue(made["csr"])
    error = refused(rig, made["request"], text)
    assert error.name == "org.acmed.Priv.InstallFailed"
    message = error.parameters["message"]
    assert f"leads to no certificate in {path} ('trust-anchors')" in message
    assert "it was issued by 'CN=Test Intermediate', under 'CN=Test CA', and none of these is there" in message
    assert not (rig.places.certificates / NAME).exists()
    assert not rig.places.sets(NAME).exists()
    assert rig.request(job=2) == made, "the next job goes on with the request, and so with its order"
    trust(rig, ROOTS)
    rig.install(made["request"], text, job=2)
    assert rig.published()["fullchain.pem"].decode() == text


def test_what_was_installed_stays(rig: Rig) -> None:
    rig.order()
    before = rig.published()
    trust(rig, OTHER)
    made = rig.request(job=2)
    refused(rig, made["request"], issue(made["csr"]))
    assert rig.published() == before


def test_intermediate_may_be_trusted(rig: Rig) -> None:
    trust(rig, chain(INTERMEDIATE.certificate))
    rig.order()
    assert rig.published()["cert.pem"]


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("", 0o644, "no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n", 0o644, "certificate 1 is not base64"),
        (ROOTS, 0o666, "its mode is 0666; run: chmod 0644 "),
        (ROOTS + "x" * 320 * 1024, 0o644, "bytes; allowed are 327680"),
        (None, 0o644, "No such file or directory"),
    ],
)
def test_file_that_is_of_no_use_is_told_before_anything_is_ordered(
    rig: Rig, text: str | None, mode: int, why: str
) -> None:
    path = trust(rig, text or "", mode)
    if text is None:
        path.unlink()
    with pytest.raises(VarlinkError) as caught:
        rig.request()
    assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"
    message = caught.value.parameters["message"]
    assert f"certificates.d/{NAME}.toml: the file 'trust-anchors' = '{path}' cannot be used: " in message
    assert why in message
    assert not rig.permits_file.exists()


def test_file_that_was_removed_meanwhile(rig: Rig) -> None:
    """The order is not given up for that: InvalidChain would be."""
    path = trust(rig, ROOTS)
    made = rig.request()
    path.unlink()
    assert refused(rig, made["request"], issue(made["csr"])).name == "org.acmed.Priv.InvalidConfiguration"


@pytest.mark.skipif(os.geteuid() != 0, reason="files of others")
def test_file_of_somebody_else(rig: Rig) -> None:
    os.chown(trust(rig, ROOTS), 12345, -1)
    with pytest.raises(VarlinkError) as caught:
        rig.request()
    assert "it belongs to user 12345, and must belong to root" in caught.value.parameters["message"]


def test_as_many_as_a_distribution_has(rig: Rig) -> None:
    """They go to acme-verify in one message."""
    one = chain(Ca.root("Somebody").certificate)
    trust(rig, one * ((320 * 1024 - len(ROOTS)) // len(one)) + ROOTS)
    rig.order()
    assert rig.published()["cert.pem"]


def test_blocks_amidst_of_words() -> None:
    assert pem.amidst(ROOTS) == pem.certificates(chain(CA.certificate), 1, 9999)
    with pytest.raises(pem.NotCertificates):
        pem.amidst("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
