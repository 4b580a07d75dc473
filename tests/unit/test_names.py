# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of DNS and addresses, as people write them."""

import pytest

from acmed.names import Identifier, InvalidName


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("WWW.Example.com.", "www.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("xn--strae-oqa.de", "xn--strae-oqa.de"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_names(text: str, value: str) -> None:
    assert Identifier.parse(text).value == value


@pytest.mark.parametrize("text", ["straße.de", "βόλος.com", "fe80::1%eth0", "fe80::1%,evil.example", "1.2.3.4%x"])
def test_what_could_be_another_name_or_none(text: str) -> None:
    with pytest.raises(InvalidName):
        Identifier.parse(text)
