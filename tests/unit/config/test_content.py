# SPDX-License-Identifier: LGPL-2.1-or-later
"""What configuration says of a request's content, and of whom a chain is to come from."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from acmed.config import Certificate, anchors
from acmed.config.model import KEY_USAGES, MAX_ANCHORS, Hash
from tests.unit.config.place import STAGING, Place
from tests.unit.verify.issuing import Ca

WWW = 'names = ["www.example.com"]\n'
ROOT = Ca.root().certificate.public_bytes(Encoding.PEM)
DEFAULTS = f"""{STAGING}
[defaults]
key-usage = ["keyEncipherment", "digitalSignature"]
hash = "sha384"
trust-anchors = "/etc/ssl/roots.pem"
"""


def read(tmp_path: Path, main: str, text: str) -> Certificate:
    place = Place(tmp_path, main)
    place.write("certificates.d/www.toml", f"{WWW}{text}\n")
    loaded = place.load()
    assert loaded.problems == ()
    return loaded.configuration.certificates["www"]


@pytest.mark.parametrize(
    ("main", "text", "usage", "hash_", "roots"),
    [
        (STAGING, "", (), Hash.SHA256, None),
        (DEFAULTS, "", ("digitalSignature", "keyEncipherment"), Hash.SHA384, Path("/etc/ssl/roots.pem")),
        (
            DEFAULTS,
            'key-usage = []\nhash = "sha512"\ntrust-anchors = "/own"',
            (),
            Hash.SHA512,
            Path("/own"),
        ),
        # Whoever makes a CSR decides what is in it, whatever the defaults are.
        (DEFAULTS, "csr = true", (), Hash.SHA256, Path("/etc/ssl/roots.pem")),
    ],
)
def test_what_is_said(
    tmp_path: Path, main: str, text: str, usage: tuple[str, ...], hash_: Hash, roots: Path | None
) -> None:
    found = read(tmp_path, main, text)
    assert (found.key_usage, found.hash, found.trust_anchors) == (usage, hash_, roots)


def test_every_usage_in_the_order_of_its_bit(tmp_path: Path) -> None:
    words = ", ".join(f'"{word}"' for word in reversed(KEY_USAGES))
    assert read(tmp_path, STAGING, f"key-usage = [{words}]").key_usage == KEY_USAGES


def checked(tmp_path: Path, path: Path) -> list[tuple[str, str]]:
    """What is wrong with a file that two certificates name by the default, and one by itself."""
    place = Place(tmp_path / "place", f'{STAGING}[defaults]\ntrust-anchors = "{path}"\n')
    for name in ("a", "b"):
        place.write(f"certificates.d/{name}.toml", WWW)
    place.write("certificates.d/c.toml", f'{WWW}trust-anchors = "{path}"\n')
    found = list(anchors.problems(place.load()))
    assert [(one.path.name, one.line) for one in found] in ([], [("acmed.toml", 4), ("c.toml", 2)])
    assert not any(one.note for one in found)
    return [(one.message, one.hint) for one in found[:1]]


@pytest.mark.skipif(os.geteuid() != 0, reason="files of root's")
@pytest.mark.parametrize(
    ("content", "mode", "owner", "message", "hint"),
    [
        (ROOT, 0o644, 0, "", ""),
        (b"Root of roots\n" + ROOT + b"and again\n" + ROOT, 0o600, 0, "", ""),
        (ROOT, 0o664, 0, "{} may be written by others than root", "chmod go-w {}"),
        (ROOT, 0o644, 12345, "{} does not belong to root", "chown root {}"),
        (b"", 0o644, 0, "{} has no certificates in PEM format in it", ""),
        (b"nothing", 0o644, 0, "{} has no certificates in PEM format that can be read", ""),
        (
            ROOT + b"\n" * MAX_ANCHORS,
            0o644,
            0,
            "{} has " + str(len(ROOT) + MAX_ANCHORS) + " bytes; allowed are 327680",
            "leave in it what is needed",
        ),
    ],
)
def test_file_of_roots(tmp_path: Path, content: bytes, mode: int, owner: int, message: str, hint: str) -> None:
    path = tmp_path / "roots.pem"
    path.write_bytes(content)
    path.chmod(mode)
    os.chown(path, owner, 0)
    assert checked(tmp_path, path) == ([(message.format(path), hint.format(path))] if message else [])


def test_file_that_is_none(tmp_path: Path) -> None:
    assert checked(tmp_path, tmp_path / "none") == [(f"the file {tmp_path}/none is not there", "")]
    os.mkfifo(tmp_path / "fifo", stat.S_IRUSR)
    assert checked(tmp_path / "2", tmp_path / "fifo") == [(f"{tmp_path}/fifo is not a plain file", "")]


def test_file_that_acme_privd_does_not_see(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("certificates.d/www.toml", f'{WWW}trust-anchors = "%h/roots.pem"\n')
    (found,) = anchors.problems(place.load())
    assert found.message == "/root/roots.pem is in /root, which acme-privd.service does not see"
