# SPDX-License-Identifier: LGPL-2.1-or-later
import pytest

from acmed.base64url import NotBase64Url, decode, encode


@pytest.mark.parametrize(
    ("data", "text"), [(b"", ""), (b"\0", "AA"), (b"\xfb\xff", "-_8"), (b"acm", "YWNt"), (bytes(range(4)), "AAECAw")]
)
def test_there_and_back(data: bytes, text: str) -> None:
    assert encode(data) == text
    assert decode(text) == data


@pytest.mark.parametrize("text", ["A", "AA==", "AB", "-_9", "+/8", "YWNt\n", "YW Nt", "YWN!t", "ä", "YWNt="])
def test_there_is_one_spelling(text: str) -> None:
    with pytest.raises(NotBase64Url):
        decode(text)
