# SPDX-License-Identifier: LGPL-2.1-or-later
"""HMAC keys in every form in which CAs and people hand them on."""

import base64
import hashlib

import pytest

from acmed.hmackey import UnusableHmacKey, parse


@pytest.mark.parametrize("text", ["{0}", "{0}=", " {0}\n", "{0}\r\n\r\n", "\t{0}\t", "{0}\n=\n"])
def test_a_key_as_cas_give_it(text: str) -> None:
    key = hashlib.sha256(b"key").digest()
    assert parse(text.format(base64.urlsafe_b64encode(key).decode().rstrip("="))) == key


def test_a_key_that_wraps_over_lines_and_one_with_idle_bits() -> None:
    key = hashlib.sha512(b"key").digest()
    plain = base64.urlsafe_b64encode(key).decode().rstrip("=")
    assert parse(f"{plain[:40]}\n{plain[40:]}\n") == key
    assert parse("A" * 42 + "B") == bytes(32)


@pytest.mark.parametrize(
    "text", ["", " \n", "====", "a+b/" * 16, "ä" * 44, "secret!" * 8, "A" * 45, "AAAA", "A" * 4000, "\0" * 44]
)
def test_unusable_keys_are_named_without_their_bytes(text: str) -> None:
    with pytest.raises(UnusableHmacKey) as caught:
        parse(text)
    assert "secret" not in str(caught.value)
    assert not text.strip() or text not in str(caught.value)
