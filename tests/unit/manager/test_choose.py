# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which challenge is chosen, from what is configured and what a CA offers."""

from pathlib import Path
from typing import Any

import pytest

from acmed.config import Certificate, Configuration
from acmed.config.model import ChallengeType, Zone
from acmed.manager.challenges import choose, types_for
from acmed.manager.errors import Failure
from acmed.names import Identifier

_THUMBPRINT = "t" * 43
_ZONES = Configuration(zones={"example.com": Zone("example.com")})
_NO_ZONES = Configuration()
_ALL = ("http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01", "device-attest-01")


def _offered(name: str, types: tuple[str, ...] = _ALL, **changes: Any) -> list[dict[str, Any]]:
    identifier = Identifier.parse(name)
    base = {"type": identifier.type, "value": identifier.value.removeprefix("*.")}
    return [
        {
            "identifier": base,
            "wildcard": name.startswith("*."),
            "type": kind,
            "url": f"https://ca.example/{name}/{kind}",
            "token": None if kind == "dns-persist-01" else "token",
            "keyAuthorization": None if kind == "dns-persist-01" else f"token.{_THUMBPRINT}",
            "issuers": ["ca.example"] if kind == "dns-persist-01" else [],
        }
        | changes
        for kind in types
    ]


def _certificate(*names: str, **keys: Any) -> Certificate:
    identifiers = tuple(Identifier.parse(name) for name in names)
    return Certificate("www", Path("/etc/acmed/certificates.d/www.toml"), identifiers, "default", **keys)


def _chosen(
    certificate: Certificate, configuration: Configuration = _NO_ZONES, types: tuple[str, ...] = _ALL
) -> list[str]:
    listed = [one for identifier in certificate.identifiers for one in _offered(identifier.value, types)]
    return [one.type.value for one in choose(listed, certificate.identifiers, configuration, certificate)]


@pytest.mark.parametrize(
    ("name", "configuration", "types", "expected"),
    [
        ("www.example.com", _NO_ZONES, _ALL, "http-01"),
        ("www.example.com", _ZONES, _ALL, "dns-01"),
        ("www.example.net", _ZONES, _ALL, "http-01"),
        ("*.example.net", _NO_ZONES, ("dns-01", "dns-persist-01"), "dns-01"),
        ("www.example.com", _NO_ZONES, ("dns-01", "tls-alpn-01"), "tls-alpn-01"),
        ("www.example.com", _NO_ZONES, ("dns-persist-01", "dns-account-01"), "dns-account-01"),
        ("www.example.com", _ZONES, ("tls-alpn-01",), "tls-alpn-01"),
        ("192.0.2.1", _ZONES, ("tls-alpn-01", "http-01"), "http-01"),
        ("2001:db8::1", _ZONES, ("tls-alpn-01",), "tls-alpn-01"),
    ],
)
def test_acmed_chooses(name: str, configuration: Configuration, types: tuple[str, ...], expected: str) -> None:
    assert _chosen(_certificate(name), configuration, types) == [expected]


def test_what_is_configured_for_a_name_comes_before_the_certificates_and_that_before_acmeds() -> None:
    certificate = _certificate(
        "a.example.com",
        "b.example.com",
        "*.example.com",
        challenge=ChallengeType.TLS_ALPN_01,
        challenges={"b.example.com": ChallengeType.HTTP_01, "*.example.com": ChallengeType.DNS_ACCOUNT_01},
    )
    assert _chosen(certificate, _ZONES) == ["tls-alpn-01", "http-01", "dns-account-01"]
    expected = types_for(_ZONES, certificate, certificate.identifiers)
    assert [kind.value for kind in expected.values()] == ["tls-alpn-01", "http-01", "dns-account-01"]


def test_a_wish_that_the_ca_does_not_offer_is_told_for_each_name() -> None:
    certificate = _certificate("a.example.com", "b.example.com", challenge=ChallengeType.DNS_PERSIST_01)
    with pytest.raises(Failure) as refused:
        _chosen(certificate, types=("http-01", "dns-01"))
    assert refused.value.name == "org.acmed1.Error.ChallengeUnavailable"
    for word in ("a.example.com", "b.example.com", "dns-persist-01", "http-01, dns-01"):
        assert word in refused.value.message


def test_none_names_what_is_pending() -> None:
    certificate = _certificate("a.example.com", "b.example.com", challenge=ChallengeType.NONE)
    assert choose([], certificate.identifiers, _NO_ZONES, certificate) == []
    with pytest.raises(Failure, match=r"b\.example\.com has no valid authorization") as refused:
        choose(_offered("b.example.com"), certificate.identifiers, _NO_ZONES, certificate)
    assert "a.example.com" not in refused.value.message


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "../../etc/passwd", "keyAuthorization": f"../../etc/passwd.{_THUMBPRINT}"},
        {"token": "", "keyAuthorization": f".{_THUMBPRINT}"},
        {"token": None, "keyAuthorization": None},
        {"keyAuthorization": f"other.{_THUMBPRINT}"},
        {"keyAuthorization": "token"},
        {"keyAuthorization": f"token.{_THUMBPRINT}\n"},
        {"token": "t" * 257, "keyAuthorization": f"{'t' * 257}.{_THUMBPRINT}"},
    ],
)
def test_what_is_not_in_its_form_is_not_chosen(changes: dict[str, Any]) -> None:
    certificate = _certificate("www.example.com")
    bad, good = _offered("www.example.com", ("http-01",), **changes), _offered("www.example.com", ("tls-alpn-01",))
    (chosen,) = choose([*bad, *good], certificate.identifiers, _NO_ZONES, certificate)
    assert chosen.type is ChallengeType.TLS_ALPN_01
    with pytest.raises(Failure, match="http-01"):
        choose(bad, certificate.identifiers, _NO_ZONES, certificate)


@pytest.mark.parametrize(
    "issuers", [[], ["ca.example"] * 11, ["CA.example"], ["ca.example."], ["ca.example; x"], [""], ["a" * 64]]
)
def test_issuers_that_are_none(issuers: list[str]) -> None:
    certificate = _certificate("www.example.com")
    with pytest.raises(Failure):
        choose(
            _offered("www.example.com", ("dns-persist-01",), issuers=issuers),
            certificate.identifiers,
            _NO_ZONES,
            certificate,
        )


@pytest.mark.parametrize("name", ["other.example.com", "*.www.example.com", "example.com"])
def test_a_name_that_was_not_ordered(name: str) -> None:
    certificate = _certificate("www.example.com")
    with pytest.raises(Failure, match="was not ordered"):
        choose(_offered(name), certificate.identifiers, _NO_ZONES, certificate)


def test_other_forms_of_the_same_identifier() -> None:
    certificate = _certificate("www.example.com", "2001:db8::1")
    listed = [
        _offered("www.example.com", ("http-01",))[0] | {"identifier": {"type": "dns", "value": "WWW.Example.com"}},
        _offered("2001:db8::1", ("http-01",))[0] | {"identifier": {"type": "ip", "value": "2001:DB8:0::1"}},
    ]
    chosen = choose(listed, certificate.identifiers, _NO_ZONES, certificate)
    assert [one.name for one in chosen] == ["www.example.com", "2001:db8::1"]


def test_a_name_and_the_wildcard_below_it() -> None:
    certificate = _certificate("example.com", "*.example.com")
    chosen = choose(
        [*_offered("example.com", ("http-01", "dns-01")), *_offered("*.example.com", ("dns-01",))],
        certificate.identifiers,
        _NO_ZONES,
        certificate,
    )
    assert [(one.name, one.base.value, one.type.value) for one in chosen] == [
        ("example.com", "example.com", "http-01"),
        ("*.example.com", "example.com", "dns-01"),
    ]
