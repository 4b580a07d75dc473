# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configuration that acme-privd writes for callers."""

import tomllib
from collections.abc import Sequence
from typing import Any

import pytest

from acmed import varlink
from acmed.privd import toml
from acmed.privd.accounts import accounts
from acmed.varlink import VarlinkError
from tests.unit.privd.rig import CA, DIRECTORY, NAME, ROOT, Rig
from tests.unit.verify.issuing import chain


def configure(
    rig: Rig,
    certificate: str = "new",
    names: Sequence[str] = ("new.example.com",),
    replace: bool = False,
    **settings: Any,
) -> None:
    """settings: as org.acmed.Priv spells them."""
    rig.run(lambda priv: priv.configure(ROOT, 1, certificate, list(names), settings, replace))


def refused(rig: Rig, **wish: Any) -> VarlinkError:
    with pytest.raises(VarlinkError) as caught:
        configure(rig, **wish)
    return caught.value


def test_what_is_null_is_left_to_the_defaults(rig: Rig) -> None:
    configure(rig)
    path = rig.places.certificate_file("new")
    assert tomllib.loads(path.read_text()) == {"names": ["new.example.com"]}
    assert path.stat().st_mode & 0o777 == 0o644
    assert rig.places.configuration().certificates["new"].account == "main"


def test_all_keys(rig: Rig) -> None:
    rig.configure(
        "acmed.toml.d/s.toml", '[service.web]\n[service.mail]\n[account.other]\ndirectory = "https://b.example/"'
    )
    given: dict[str, Any] = {
        "account": "main",
        "failover": ["other"],
        "keyType": "rsa-2048",
        "services": ["web", "mail"],
        "challenge": "dns-01",
        "profile": "tlsserver",
        "mustStaple": True,
        "commonName": "new.example.com",
        "preferredChain": 'Root "X1"',
        "validityDays": 7,
        "backdateHours": 12,
    }
    assert set(given) == set(varlink.load("org.acmed.Priv").types["Settings"].fields) - {"csr"}
    configure(rig, names=["*.example.net", "BÜCHER.example", "new.example.com"], **given)
    certificate = rig.places.configuration().certificates["new"]
    values = [str(one) for one in certificate.identifiers]
    assert values == ["*.example.net", "xn--bcher-kva.example", "new.example.com"]
    assert certificate.accounts == ("main", "other")
    assert certificate.key_type == "rsa-2048"
    assert certificate.services == ("web", "mail")
    assert certificate.challenge == "dns-01"
    assert certificate.profile == "tlsserver"
    assert certificate.must_staple is True
    assert certificate.common_name == "new.example.com"
    assert certificate.preferred_chain == 'Root "X1"'
    assert (certificate.validity_days, certificate.backdate_hours) == (7, 12)
    assert certificate.csr is False
    configure(rig, names=["2001:db8::1"], account="main", services=[], mustStaple=False, replace=True)
    certificate = rig.places.configuration().certificates["new"]
    assert (certificate.services, certificate.must_staple, certificate.profile) == ((), False, None)


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"names": []}, "0 names"),
        ({"names": ["a.example"] * 101}, "101 names"),
        ({"names": ["a.example", "a.example"]}, "twice"),
        ({"names": ["x.example.net", "*.example.net"]}, "covers"),
        ({"names": ["localhost"]}, "localhost"),
        ({"names": ['a.example"]\naccount = "x']}, "not a DNS name"),
        ({"account": "mian"}, "there is no account 'mian'; known: main"),
        ({"failover": ["mian"]}, "there is no account 'mian'; known: main"),
        ({"account": "main", "failover": ["main"]}, "'failover'"),
        ({"keyType": "rsa-512"}, "known: ecdsa-p256, ecdsa-p384, rsa-2048"),
        ({"challenge": "dns-1"}, "there is no challenge 'dns-1'; known: dns-01, dns-account-01"),
        ({"profile": "a\nb"}, "'profile'"),
        ({"commonName": "www.example.org"}, "'common-name'"),
        ({"preferredChain": ""}, "'preferred-chain'"),
        ({"validityDays": 0}, "'validity-days'"),
        ({"backdateHours": 49}, "'backdate-hours'"),
        ({"services": ["ngnix"]}, "there is no service 'ngnix'; known: nginx, postfix"),
        ({"services": ["nginx", "postfix"]}, "two groups"),
    ],
)
def test_what_configuration_refuses(rig: Rig, wish: dict[str, Any], reason: str) -> None:
    rig.configure("acmed.toml.d/s.toml", '[service.nginx]\ngroup = "www-data"\n[service.postfix]\ngroup = "mail"\n')
    error = refused(rig, **wish)
    assert error.name == "org.acmed.Priv.InvalidConfiguration"
    assert reason in error.parameters["message"]
    assert "\n" not in error.parameters["message"]
    assert not rig.places.certificate_file("new").exists()


def test_a_file_that_is_there(rig: Rig) -> None:
    error = refused(rig, certificate=NAME)
    assert error.name == "org.acmed.Priv.CertificateExists"
    configure(rig, certificate=NAME, replace=True)
    for text, reason in (
        (f'names = ["{NAME}"]\nreuse-key = true', "has reuse-key"),
        ("names = [", "cannot be read"),
    ):
        rig.configure(f"certificates.d/{NAME}.toml", text)
        error = refused(rig, certificate=NAME, replace=True)
        assert reason in error.parameters["message"]
        assert rig.places.certificate_file(NAME).read_text() == text


def test_a_refused_change_leaves_the_old_file(rig: Rig) -> None:
    before = rig.places.certificate_file(NAME).read_text()
    refused(rig, certificate=NAME, names=["a.example", "A.example"], replace=True)
    assert rig.places.certificate_file(NAME).read_text() == before


def test_forget(rig: Rig) -> None:
    rig.order(job=1)
    rig.request(job=2)
    assert len(rig.permits()) == 1
    text = rig.places.certificate_file(NAME).read_text()
    rig.run(lambda priv: priv.forget(ROOT, 3, NAME))
    assert not rig.places.certificate_file(NAME).exists()
    assert not rig.places.pending(NAME).exists()
    assert rig.permits() == []
    assert len(rig.published()) == 4, "installed files stay"
    (aside,) = (rig.places.state / "forgotten").iterdir()
    assert aside.name.startswith(f"{NAME}-")
    assert aside.read_text() == text
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.forget(ROOT, 3, NAME))
    assert caught.value.name == "org.acmed.Priv.NoSuchCertificate"


def test_a_broken_certificate_can_be_forgotten(rig: Rig) -> None:
    rig.configure("certificates.d/broken.toml", "names = [")
    rig.run(lambda priv: priv.forget(ROOT, 1, "broken"))
    assert "broken" not in rig.places.configuration().broken


@pytest.mark.parametrize("text", ["", "plain", 'a"b\\c', "line\nbreak\t\x00\x7f", "ü€", "😀", "\u2028", "'''"])
def test_any_string_can_be_written_as_toml(text: str) -> None:
    assert tomllib.loads(f"a = {toml.string(text)}")["a"] == text
    assert tomllib.loads(f"a = {toml.strings([text, text])}")["a"] == [text, text]


def wish(rig: Rig, **changes: Any) -> accounts.Wish:
    values: dict[str, Any] = {
        "name": "new",
        "directory": "letsencrypt-staging",
        "contact": ["mailto:admin@example.com"],
        "key_type": "ecdsa-p256",
        "ca_pem": None,
    }
    return accounts.checked(**(values | changes))


def test_an_account_with_a_key(rig: Rig) -> None:
    """Making a key needs systemd-creds: tests/system has it."""
    (rig.places.credentials / "new").write_text("sealed")
    ca_pem = chain(CA.certificate)
    account = accounts.create(rig.places, wish(rig, ca_pem=ca_pem))
    assert account.directory == "https://acme-staging-v02.api.letsencrypt.org/directory"
    assert account.contact == ("mailto:admin@example.com",)
    assert account.ca_file
    assert account.ca_file.read_text() == ca_pem
    assert (rig.places.credentials / "new").read_text() == "sealed"

    uri = "https://acme-staging-v02.api.letsencrypt.org/acme/acct/1"
    assert accounts.set_uri(rig.places, account, uri)
    again = accounts.create(rig.places, wish(rig, contact=[]))
    assert (again.uri, again.contact, again.ca_file) == (uri, (), None)
    assert not accounts.set_uri(rig.places, again, uri)
    assert not rig.places.ca_file("new").exists()
    assert "new" in rig.places.configuration().accounts
    with pytest.raises(VarlinkError) as caught:
        accounts.create(rig.places, wish(rig, directory="letsencrypt"))
    assert "take another name" in caught.value.parameters["message"]


def test_the_uri_of_an_account_that_root_wrote(rig: Rig) -> None:
    rig.configure("acmed.toml", f'[account."main"]\ndirectory = "{DIRECTORY}"\nproxy = "http://proxy.example:3128"\n')
    account = rig.places.configuration().accounts["main"]
    accounts.set_uri(rig.places, account, "https://ca.example/acct/1")
    after = rig.places.configuration().accounts["main"]
    assert (after.uri, after.proxy, after.directory) == ("https://ca.example/acct/1", account.proxy, DIRECTORY)


@pytest.mark.parametrize(
    "uri", ["https://evil.example/acct/1", "http://ca.example/acct/1", "https://ca.example:444/1", "", "x\ny"]
)
def test_a_uri_of_another_origin(rig: Rig, uri: str) -> None:
    with pytest.raises(VarlinkError) as caught:
        rig.run(lambda priv: priv.set_account_uri(ROOT, 1, "main", uri))
    assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"
    assert not rig.places.account_file("main").exists()


def test_a_file_that_is_not_ours_any_more(rig: Rig) -> None:
    account = rig.places.configuration().accounts["main"]
    for text in ("[account.other]\n", "firewall = 'off'\n[account.main]\n", "account = 1", "[[account]]", "x = ["):
        rig.configure("acmed.toml.d/account-main.toml", text)
        with pytest.raises(VarlinkError) as caught:
            accounts.set_uri(rig.places, account, "https://ca.example/acct/1")
        assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"
        assert rig.places.account_file("main").read_text() == text


@pytest.mark.parametrize(
    "changes",
    [
        {"directory": "http://ca.example/"},
        {"directory": "https://user:password@ca.example/"},
        {"directory": "https://ca.example/\nx"},
        {"directory": "https://ca.example:99999/"},
        {"directory": "letsencypt"},
        {"contact": ["admin@example.com"]},
        {"contact": ["mailto:a@example.com,b@example.com"]},
        {"contact": ["mailto:a@example.com?subject=x"]},
        {"contact": ["tel:+123"]},
        {"contact": ["mailto:a@example.com"] * 11},
        {"key_type": "rsa-512"},
        {"ca_pem": ""},
        {"ca_pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
        {"ca_pem": " " * (256 * 1024 + 1)},
    ],
)
def test_wishes_for_an_account_that_are_refused(rig: Rig, changes: dict[str, Any]) -> None:
    with pytest.raises(VarlinkError) as caught:
        wish(rig, **changes)
    assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"


def test_a_configuration_that_is_refused_after_all_leaves_nothing(rig: Rig) -> None:
    (rig.places.credentials / "new").write_text("sealed")
    rig.configure("acmed.toml.d/z.toml", "[account.new]\nproxy = 1\n")
    with pytest.raises(VarlinkError) as caught:
        accounts.create(rig.places, wish(rig, ca_pem=chain(CA.certificate)))
    assert caught.value.name == "org.acmed.Priv.InvalidConfiguration"
    assert not rig.places.account_file("new").exists()
    assert not rig.places.ca_file("new").exists()
