# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `acmectl config check` finds about keys that accounts name."""

import shutil
import subprocess
from pathlib import Path

import pytest

from acmed.config.accountkeys import problems
from acmed.config.check import check
from tests.unit.config.place import STAGING, Place

KEY = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"


def found(tmp_path: Path, key: str) -> list[tuple[str, bool]]:
    """What is wrong, and whether it is a note."""
    place = Place(tmp_path / "place", f'{STAGING}key = "{key}"\n')
    return [
        (one.message, one.note)
        for one in problems(place.load(), tmp_path / "sealed", tmp_path / "known_hosts")
        if one.line == 3 and one.hint is not None
    ]


def sealed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "sealed" / f"acmed.{kind}" / "staging"
    path.parent.mkdir(parents=True)
    path.write_text("sealed")


def make_key(path: Path, *options: str) -> Path:
    subprocess.run([*KEY.split(), *options, "-out", str(path)], check=True, capture_output=True)
    path.chmod(0o600)
    return path


def test_no_credential_is_wanted(tmp_path: Path) -> None:
    path = make_key(tmp_path / "key.pem")
    place = Place(tmp_path / "place", f'{STAGING}key = "file:{path}"\n')
    assert check(place.load(), tmp_path / "sealed", known_hosts=tmp_path / "none") == ()


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    assert found(tmp_path / "1", f"file:{path}") == [(f"the key {path} is not there", False)]
    assert found(tmp_path / "2", f"file:{tmp_path}") == [(f"{tmp_path} is not a plain file", False)]
    make_key(path).chmod(0o640)
    assert found(tmp_path / "3", f"file:{path}") == [
        (f"the key {path} may be read or written by others than root", False)
    ]
    assert found(tmp_path / "5", "file:/root/key.pem") == [
        ("the key /root/key.pem is in /root, which acme-store-file.service does not see", False)
    ]
    path.chmod(0o600)
    shutil.chown(path, 1)
    assert found(tmp_path / "4", f"file:{path}") == [(f"the key {path} does not belong to root", False)]


@pytest.mark.parametrize("form", ["pkcs8", "traditional"])
def test_encrypted_file(tmp_path: Path, form: str) -> None:
    path = make_key(tmp_path / "key.pem", "-aes-256-cbc", "-pass", "pass:x")
    if form == "traditional":
        words = f"openssl ec -aes256 -passin pass:x -passout pass:x -in {path} -out {path}"
        subprocess.run(words.split(), check=True, capture_output=True)
    missing = tmp_path / "1/sealed/acmed.passphrases/staging"
    assert found(tmp_path / "1", f"file:{path}") == [
        (f"the key {path} is encrypted, and its passphrase is no credential: {missing} is missing", True)
    ]
    sealed(tmp_path / "2", "passphrases")
    assert found(tmp_path / "2", f"file:{path}") == []


def test_gpg(tmp_path: Path) -> None:
    path = tmp_path / "key.gpg"
    path.write_bytes(b"encrypted")
    path.chmod(0o644)
    assert found(tmp_path / "1", f"gpg:{path}") == []
    path.chmod(0o664)
    assert found(tmp_path / "2", f"gpg:{path}") == [(f"the key {path} may be written by others than root", False)]


def test_pkcs11(tmp_path: Path) -> None:
    missing = tmp_path / "1/sealed/acmed.pins/staging"
    uri = "pkcs11:token=acme;object=a?module-name=softhsm2"
    assert found(tmp_path / "1", uri) == [(f"the token of account 'staging' gets no PIN: {missing} is missing", True)]
    sealed(tmp_path / "2", "pins")
    assert found(tmp_path / "2", uri) == []


def test_unix(tmp_path: Path) -> None:
    """Where nobody else could put a socket, it need not be there yet."""
    assert found(tmp_path / "1", "unix:/etc/acmed-test/keyd.sock") == []
    why = "/tmp may be written by others, who could put another socket there: use a directory of its user alone, such"
    assert found(tmp_path / "2", "unix:/tmp/acmed-test/keyd.sock") == [
        (f"acme-store-unix.service does not connect to /tmp/acmed-test/keyd.sock: {why} as one in /run/user", False)
    ]


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen here")
def test_ssh(tmp_path: Path) -> None:
    known, key = tmp_path / "known_hosts", tmp_path / "sealed/acmed.ssh-keys/staging"
    assert found(tmp_path, "ssh:acme@signer.example.com") == [
        (f"account 'staging' has no key for ssh: {key} is missing", False),
        (f"{known} is not there, so ssh connects to nobody", False),
    ]
    sealed(tmp_path, "ssh-keys")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host")], check=True)
    words = (tmp_path / "host.pub").read_text().split()[:2]
    known.write_text(f"signer.example.com,[signer.example.com]:2222 {' '.join(words)}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    for name, fault in (
        ("signer.example.com", ""),
        ("signer.example.com:2222", ""),
        ("signer.example.com:22", ""),
        ("signer.example.com:23", f"{known} has no key of [signer.example.com]:23"),
        ("other.example.com", f"{known} has no key of other.example.com"),
    ):
        shutil.rmtree(tmp_path / "place")
        assert found(tmp_path, f"ssh:{name}") == ([(fault, False)] if fault else [])
