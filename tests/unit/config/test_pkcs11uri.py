# SPDX-License-Identifier: LGPL-2.1-or-later
"""URIs of keys on tokens (RFC 7512), and what is wrong with them."""

from pathlib import Path

import pytest

from acmed.config.keysource import BadKeySource
from acmed.config.keysource import parse as parse_source
from acmed.config.pkcs11uri import BadUri, Pkcs11Uri, parse
from tests.unit.config.place import Place

MODULE = "module-path=/usr/lib/softhsm/libsofthsm2.so"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"pkcs11:?{MODULE}", Pkcs11Uri(SOFTHSM)),
        (f"pkcs11:token=acme;object=account?{MODULE}", Pkcs11Uri(SOFTHSM, {"token": "acme"}, "account")),
        ("pkcs11:object=a;type=private?module-name=softhsm2", Pkcs11Uri("softhsm2", {}, "a")),
        (
            "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;"
            f"object=my-key;type=private;id=%69%95%3E%5C%F4%BD%EC%91;serial=?{MODULE}",
            Pkcs11Uri(
                SOFTHSM,
                {
                    "token": "The Software PKCS#11 Softtoken",
                    "manufacturer": "Snake Oil, Inc.",
                    "model": "1.0",
                    "serial": "",
                },
                "my-key",
                bytes.fromhex("69953e5cf4bdec91"),
            ),
        ),
        (
            f"pkcs11:slot-id=327;library-version=2.6;object=M%C3%BCnze&A=1?{MODULE}&vendor=x?/|",
            Pkcs11Uri(SOFTHSM, {"slot-id": "327", "library-version": "2.6"}, "Münze&A=1"),
        ),
        # Numbers are compared as numbers, and version 3 is 3.0 (RFC 7512 sections 2.3 and 2.6).
        (
            f"pkcs11:slot-id=007;library-version=3?{MODULE}",
            Pkcs11Uri(SOFTHSM, {"slot-id": "7", "library-version": "3.0"}),
        ),
    ],
)
def test_what_it_means(text: str, expected: Pkcs11Uri) -> None:
    assert parse(text) == expected
    assert str(parse_source(text)) == text


WRONG = [
    ("pkcs11:token=acme", "has neither; it needs one of 'module-path' and 'module-name', such as ?module-path="),
    (f"pkcs11:?{MODULE}&module-name=softhsm2", "has module-path, module-name; it needs one of"),
    ("pkcs11:?module-path=lib.so", "has the 'module-path' 'lib.so'; it must be an absolute path"),
    ("pkcs11:?module-name=softhsm2.so", "has the 'module-name' 'softhsm2.so'; it must be a library's name without"),
    ("pkcs11:?module-name=../x", "has the 'module-name' '../x'; it must be"),
    (f"pkcs11:tokn=acme?{MODULE}", "has the attribute 'tokn', which RFC 7512 does not know; did you mean 'token'?"),
    (f"pkcs11:x-vendor=1?{MODULE}", "has the attribute 'x-vendor', which RFC 7512 does not know"),
    (f"pkcs11:token=a;token=b?{MODULE}", "has 'token' twice"),
    (f"pkcs11:token=my token?{MODULE}", "has a character in 'token' that must be percent-encoded"),
    (f"pkcs11:token=a%2?{MODULE}", "has a character in 'token' that must be percent-encoded"),
    (f"pkcs11:token=%FF?{MODULE}", "has a 'token' that is not UTF-8"),
    (f"pkcs11:token=%0A?{MODULE}", "has a 'token' with characters that cannot be printed"),
    (f"pkcs11:acme?{MODULE}", "must be NAME=VALUE between each ';'"),
    (f"pkcs11:token=a;?{MODULE}", "must be NAME=VALUE between each ';'"),
    (f"pkcs11:type=cert?{MODULE}", "has a 'type' other than 'private'"),
    (f"pkcs11:slot-id=%D9%A3?{MODULE}", "has the 'slot-id' '٣'; it must be a number"),
    (f"pkcs11:library-version=new?{MODULE}", "has the 'library-version' 'new'; it must be a version"),
    # What selects a key is not to be lost where it stands on the wrong side.
    (f"pkcs11:object=a?token=acme&{MODULE}", "has 'token' behind the '?'; it belongs in front of it"),
    ("pkcs11:object=a;module-name=softhsm2", "has 'module-name' in front of the '?'; it belongs behind it"),
    (f"pkcs11:slot-id=first?{MODULE}", "has the 'slot-id' 'first'; it must be a number"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(BadKeySource) as caught:
        parse_source(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        f"pkcs11:token=acme?{MODULE}&pin-value=geheim",
        f"pkcs11:token=acme;pin-value=geheim?{MODULE}",
        f"pkcs11:?pin-value=ge heim&{MODULE}",
        f"pkcs11:?pin-value=ge&heim&{MODULE}",
        f"pkcs11:?pin-source=file:/geheim&{MODULE}",
    ],
)
def test_a_pin_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(BadUri) as caught:
        parse(text)
    assert "heim" not in str(caught.value)


def test_a_pin_is_refused_with_its_place(tmp_path: Path) -> None:
    main = f'[account.a]\ndirectory = "letsencrypt"\nkey = "pkcs11:token=acme?{MODULE}&pin-value=1234"\n'
    (problem,) = Place(tmp_path, main).problems()
    assert problem == (
        "acmed.toml",
        3,
        "'key' in [account.a] has 'pin-value', and no secret belongs into configuration: seal the PIN as "
        "/etc/credstore.encrypted/acmed.pins/ACCOUNT (acme-keyd(8) shows how), and remove it here",
        "",
    )
