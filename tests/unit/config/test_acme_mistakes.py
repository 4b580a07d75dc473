# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each kind of mistake in what is about ACME, DNS and hooks, and the file, line, message and hint that it gives."""

from pathlib import Path

import pytest

from acmed.config.model import KEY_USAGES
from tests.unit.config.place import STAGING, Place

GOOD = 'names = ["www.example.com"]\n'
TYPES = "http-01, dns-01, tls-alpn-01, dns-account-01, dns-persist-01, none"
RENEW = "it must be a number of days such as 30, or a share of the lifetime between 0 and 1 such as 0.33"
PROFILE = "a profile's name is a word of at most 64 ASCII characters"
QUOTES = 'write "www.example.com", with the quotes: a dot means a table in TOML'
HOOK = "it must be the name of a file in /etc/acmed/hooks.d: letters, digits, '.', '_' and '-'"
MAIL = "it must be a mail address such as root@example.com, or root"
RATE = 'it must be a number and a period in s, m, h or d, such as "300/3h", or "none"'
ZONE = '[zone."example.com"]'
RELOAD = '["/usr/sbin/rndc", "reload", "{zone}"]'
LOCAL = f'{ZONE}\nmethod = "local"\ndirectory = "/x"\n'
NO_ISSUE = "is not a DNS name that a CA issues for"
SUBJECT = (
    "it must be a distinguished name (RFC 4514) of CN, O, OU, C, ST, L, STREET, DC, UID, or types in numbers,"
    " without blanks after commas, such as 'O=Example\\, Inc.,C=DE'"
)
SPELLING = "is there under another spelling too"

# [defaults], and the last line, message, hint
DEFAULTS = [
    (
        'failover = ["stagin"]',
        "'failover' in [defaults] has 'stagin', which is no account; known are staging",
        "did you mean 'staging'?",
    ),
    (
        'account = "staging"\nfailover = ["staging"]',
        "'failover' in [defaults] has 'staging', which is 'account' and tried first anyway",
        "remove it",
    ),
    ('challenge = "dns01"', f"'challenge' in [defaults] is 'dns01'; allowed are {TYPES}", "did you mean 'dns-01'?"),
    ("preflight = 1", "'preflight' in [defaults] must be true or false, not an integer", ""),
    ('profile = "two words"', f"'profile' in [defaults] is 'two words'; {PROFILE}", ""),
    ('profile = ""', f"'profile' in [defaults] is ''; {PROFILE}", ""),
    ("must-staple = 1", "'must-staple' in [defaults] must be true or false, not an integer", ""),
    ("renew-before = 0", "'renew-before' in [defaults] is 0; allowed are 1 to 36500", ""),
    ("renew-before = 1.0", f"'renew-before' in [defaults] is 1.0; {RENEW}", ""),
    ("renew-before = nan", f"'renew-before' in [defaults] is nan; {RENEW}", ""),
    ('renew-before = "30d"', f"'renew-before' in [defaults] is a string; {RENEW}", ""),
    ("renew-before = true", f"'renew-before' in [defaults] is a boolean; {RENEW}", ""),
    (
        'preferred-chain = " X1"',
        "'preferred-chain' in [defaults] is ' X1'; it must be the common name of an issuer such as 'ISRG Root X1', or "
        "a SHA-256 in hexadecimal",
        "",
    ),
    (
        'preferred-chain = "CA:BD:2A:79:A1:07:6A:31:F2:1D:25:36:35:CB:03:9D:43:29:A5:E8"',
        "'preferred-chain' in [defaults] is 'CA:BD:2A:79:A1:07:6A:31:F2:1D:25:36:35:CB:03:9D:43:29:A5:E8', of 40 "
        "hexadecimal digits; a SHA-256 has 64",
        "openssl x509 -noout -fingerprint -sha256 -in ROOT.pem prints it",
    ),
    ("validity-days = 40000", "'validity-days' in [defaults] is 40000; allowed are 1 to 36500", ""),
    ("validity-days = 7.5", "'validity-days' in [defaults] must be an integer, not a floating-point number", ""),
    (
        f"validity-days = 0x{'F' * 5000}",
        "'validity-days' in [defaults] is out of range; allowed are 1 to 36500",
        "",
    ),
    ("backdate-hours = 0", "'backdate-hours' in [defaults] is 0; allowed are 1 to 48", ""),
    ("backdate-hours = -1", "'backdate-hours' in [defaults] is -1; allowed are 1 to 48", ""),
    ("backdate-hours = 49", "'backdate-hours' in [defaults] is 49; allowed are 1 to 48", ""),
    ('backdate-hours = "1"', "'backdate-hours' in [defaults] must be an integer, not a string", ""),
    (
        'key-usage = "digitalSignature"',
        "'key-usage' in [defaults] must be an array of strings such as [\"digitalSignature\"], not a string",
        "",
    ),
    (
        'key-usage = ["digitalsignature"]',
        f"'key-usage' in [defaults] has 'digitalsignature'; allowed are {', '.join(KEY_USAGES)}",
        "did you mean 'digitalSignature'?",
    ),
    (
        'key-usage = ["keyAgreement", "keyAgreement"]',
        "'key-usage' in [defaults] has 'keyAgreement' twice",
        "",
    ),
    (
        'key-usage = ["digitalSignature", "decipherOnly"]',
        "'key-usage' in [defaults] has 'decipherOnly', which has a meaning beside 'keyAgreement' alone",
        "",
    ),
    ('hash = "sha1"', "'hash' in [defaults] is 'sha1'; allowed are sha256, sha384, sha512", "did you mean 'sha512'?"),
    ("hash = 256", "'hash' in [defaults] must be a string, not an integer", ""),
    (
        'trust-anchors = "roots.pem"',
        "'trust-anchors' in [defaults] is 'roots.pem'; it must be an absolute path, beginning with '/'",
        "",
    ),
    (
        "common-name = 1",
        "unknown key 'common-name' in [defaults]",
        "it belongs into the file of a certificate, in certificates.d",
    ),
]

# acmed.toml, and the last line, message, hint
MAIN = [
    (
        '[http01]\nwebroot = "/srv/{domain}"',
        "'webroot' in [http01] is '/srv/{domain}'; in braces there may be {fqdn}, {zone} (the name without its first "
        "label) and {host} (that label) alone",
        "",
    ),
    (
        '[http01]\nwebroot = "srv/{host}"',
        "'webroot' in [http01] is 'srv/{host}'; it must be an absolute path, beginning with '/'",
        "",
    ),
    (
        '[http01]\nwebroots = { www.example.com = "/x" }',
        "'www' in [http01.webroots] must be a string, not a table",
        QUOTES,
    ),
    (
        '[http01.webroots]\nwww.example.com = "/x"',
        "'www' in [http01.webroots] must be a string, not a table",
        QUOTES,
    ),
    (
        '[http01.webroots]\n"a.example" = "/{host}"',
        "'a.example' in [http01.webroots] is '/{host}'; {fqdn}, {zone} and {host} have a meaning in 'webroot' alone",
        "",
    ),
    (
        '[http01.webroots]\n"a.example" = "/"',
        "'a.example' in [http01.webroots] is '/'; it must be the document root of a web server",
        "",
    ),
    ('[http01.webroots]\n"a b" = "/x"', f"'a b' {NO_ISSUE}", ""),
    ('[http01.webroots]\n"a.example" = 1', "'a.example' in [http01.webroots] must be a string, not an integer", ""),
    ("[http01]\nwebroots = []", "'webroots' in [http01] must be a table, not an array", ""),
    (
        '[http01.webroots]\n"a.example" = "/x"\n"A.example" = "/y"',
        f"'A.example' in [http01.webroots] {SPELLING}",
        "remove one of the two",
    ),
    ('[notify]\nhook = "../x"', f"'hook' in [notify] is '../x'; {HOOK}", ""),
    ('[notify]\nhook = ""', f"'hook' in [notify] is ''; {HOOK}", ""),
    ('[notify]\nmail = "a b"', f"'mail' in [notify] is 'a b'; {MAIL}", ""),
    ('[notify]\nmail = "a@b c"', f"'mail' in [notify] is 'a@b c'; {MAIL}", ""),
    ('[notify]\nmial = "a"', "unknown key 'mial' in [notify]", "did you mean 'mail'?"),
    ("notify = 1", "'notify' must be a table, not an integer", "write a table, as in [notify]"),
    (
        '[zone]\nmethod = "update"',
        "'zone.method' must be a table, not a string",
        'write a table, as in [zone."example.com"]',
    ),
    (
        "[zone.www.example.com]",
        "[zone.www.example.com] is a table in a table: in TOML, a dot in a name needs quotes",
        'write [zone."www.example.com"]',
    ),
    ('[zone."a b"]', "'a b' is not the name of a DNS zone", "rename the table"),
    ('[zone."*.example.com"]', "'*.example.com' is not the name of a DNS zone", "rename the table"),
    (f"{ZONE}\npropagations = 1", f"unknown key 'propagations' in {ZONE}", "did you mean 'propagation'?"),
    (
        f'{ZONE}\nmethod = "nsupdate"',
        f"'method' in {ZONE} is 'nsupdate'; allowed are update, local, hook",
        "did you mean 'update'?",
    ),
    (
        f'{ZONE}\nhook = "x"',
        f"'hook' in {ZONE} has no meaning here: 'update' is the method where none is given",
        'it is for method = "hook"',
    ),
    (
        f'{ZONE}\nmethod = "hook"\nhook = "x"\nttl = 5',
        f"'ttl' in {ZONE} has no meaning here: 'hook' is the method",
        'it is for method = "update"',
    ),
    (f"{LOCAL}reload = []", f"'reload' in {ZONE} is empty; it must be a program and its arguments", ""),
    (
        f'{LOCAL}reload = [\n"rndc reload"]',
        f"'reload' in {ZONE} begins with 'rndc reload'; it must be an absolute path, beginning with '/'",
        f"no shell is used: {RELOAD}",
    ),
    (
        f'{LOCAL}reload = ["/usr/sbin/rndc",\n"{{domain}}"]',
        f"'reload' in {ZONE} has {{domain}} in it; the only thing in braces may be {{zone}}, the zone's name",
        "",
    ),
    (
        f'{LOCAL}reload = "/x"',
        f"'reload' in {ZONE} must be an array of strings such as {RELOAD}, not a string",
        "",
    ),
    (
        f'{LOCAL}reload = ["/x", "\\u001b"]',
        f"'reload' in {ZONE} has an argument that is too long or not printable",
        "",
    ),
    (
        f'{ZONE}\nserver = "192.0.2.1:53"',
        f"'server' in {ZONE} is '192.0.2.1:53'; it must be a host's name or an IP address",
        "the port has a key of its own",
    ),
    (
        f'{ZONE}\nserver = "192.0.2.300"',
        f"'server' in {ZONE} is '192.0.2.300'; it must be a host's name or an IP address",
        "",
    ),
    (
        f'{ZONE}\nserver = "fe80::1%eth0"',
        f"'server' in {ZONE} is 'fe80::1%eth0'; it must be a host's name or an IP address",
        "the port has a key of its own",
    ),
    (f"{ZONE}\nport = 0", f"'port' in {ZONE} is 0; allowed are 1 to 65535", ""),
    (f'{ZONE}\nport = "53"', f"'port' in {ZONE} must be an integer, not a string", ""),
    (
        f'{ZONE}\nkey = "/etc/key"',
        f"'key' in {ZONE} has a name that cannot be: '/etc/key' is not a valid name here: use a-z, 0-9, '-', '_' and "
        "single dots, at most 200 characters",
        "it is the name of a file in /etc/credstore.encrypted/acmed.dns; the key itself is in that, sealed",
    ),
    (f"{ZONE}\nttl = -1", f"'ttl' in {ZONE} is -1; allowed are 0 to 86400", ""),
    (f"{ZONE}\ntimeout = 601", f"'timeout' in {ZONE} is 601; allowed are 1 to 600", ""),
    (
        f'{ZONE}\npropagation = "chekc"',
        f"'propagation' in {ZONE} is 'chekc'; allowed are check, skip and a number of seconds",
        "did you mean 'check'?",
    ),
    (f"{ZONE}\npropagation = 0", f"'propagation' in {ZONE} is 0; allowed are 1 to 86400", ""),
    (
        f"{ZONE}\npropagation = true",
        f"'propagation' in {ZONE} is a boolean; allowed are check, skip and a number of seconds",
        "",
    ),
    ('orders = "300/3h"', "unknown key 'orders'", "it belongs into [account.NAME.limits] of acmed.toml"),
]

# What lacks a key: acmed.toml, and the line of its table, message, hint
MISSING = [
    (
        f'\n{ZONE}\nmethod = "hook"',
        2,
        f"'hook' is missing in {ZONE}",
        'such as hook = "provider", because method is "hook"',
    ),
    (LOCAL, 1, f"'reload' is missing in {ZONE}", f'such as reload = {RELOAD}, because method is "local"'),
    (
        f'{ZONE}\nmethod = "local"\nreload = ["/x"]',
        1,
        f"'directory' is missing in {ZONE}",
        'such as directory = "/var/lib/bind/challenges", because method is "local"',
    ),
    (
        '[account.ca]\ndirectory = "letsencrypt"\neab-algorithm = "HS256"',
        1,
        "'eab-key-id' is missing in [account.ca]",
        "such as eab-key-id = \"kid-1\", because 'eab-algorithm' is given",
    ),
]

# What follows [account.ca] and its directory, and the last line, message, hint
ACCOUNT = [
    (
        'eab-key-id = "a b"',
        "'eab-key-id' in [account.ca] is 'a b'; it must be the word of ASCII characters that the CA gave",
        "",
    ),
    (
        'eab-key-id = "k"\neab-algorithm = "hs256"',
        "'eab-algorithm' in [account.ca] is 'hs256'; allowed are HS256, HS384, HS512",
        "did you mean 'HS256'?",
    ),
    ('authorize = ["a.example",\n"a b"]', f"'a b' {NO_ISSUE}", ""),
    (
        'authorize = ["*.example.com", "a.example.com"]',
        "'authorize' in [account.ca] has 'a.example.com', which '*.example.com' covers",
        "remove one of the two",
    ),
    (
        f"authorize = {[f'h{n}.example' for n in range(101)]}",
        "'authorize' in [account.ca] has 101 names; allowed are 100",
        "",
    ),
    ("limits = 1", "'limits' in [account.ca] must be a table, not an integer", ""),
    ('[account.ca.limits]\norders = "300"', f"'orders' in [account.ca.limits] is '300'; {RATE}", ""),
    ('[account.ca.limits]\norders = "3/400d"', f"'orders' in [account.ca.limits] is '3/400d'; {RATE}", ""),
    ('limits = { orders = "0/3h" }', f"'orders' in [account.ca.limits] is '0/3h'; {RATE}", ""),
    ("[account.ca.limits]\norders = 300", "'orders' in [account.ca.limits] must be a string, not an integer", ""),
    (
        '[account.ca.limits]\nordres = "300/3h"',
        "unknown key 'ordres' in [account.ca.limits]",
        "did you mean 'orders'?",
    ),
    (
        "[account.ca.deadlines]\nauthorization = 841",
        "'authorization' in [account.ca.deadlines] is 841; allowed are 1 to 840",
        "the port of a challenge is open for 15 minutes at most",
    ),
    (
        "[account.ca.deadlines]\nrequest = 0",
        "'request' in [account.ca.deadlines] is 0; allowed are 1 to 600",
        "",
    ),
    (
        '[account.ca.deadlines]\npropagation = "5m"',
        "'propagation' in [account.ca.deadlines] must be an integer, not a string",
        "",
    ),
    (
        "[account.ca.deadlines]\nfinalise = 5",
        "unknown key 'finalise' in [account.ca.deadlines]",
        "did you mean 'finalize'?",
    ),
]

# What follows the names of a certificate, and the last line, message, hint
CERTIFICATE = [
    (
        'failover = ["staging"]',
        "'failover' has 'staging', which is the default account and tried first anyway",
        "remove it",
    ),
    (
        'account = "staging"\nfailover = ["staging"]',
        "'failover' has 'staging', which is 'account' and tried first anyway",
        "remove it",
    ),
    ('[challenges]\nwww.example.com = "dns-01"', "'www' in [challenges] must be a string, not a table", QUOTES),
    (
        '[challenges]\n"w.example.com" = "dns-01"',
        "'w.example.com' in [challenges] is none of 'names'",
        "did you mean 'www.example.com'?",
    ),
    (
        '[challenges]\n"www.example.com" = "dns"',
        f"'www.example.com' in [challenges] is 'dns'; allowed are {TYPES}",
        "did you mean 'dns-01'?",
    ),
    (
        '[challenges]\n"www.example.com" = "dns-01"\nservices = []',
        "unknown name 'services' in [challenges]",
        "write it above [challenges]: what is below belongs to it",
    ),
    (
        '[challenges]\n"www.example.com" = "dns-01"\n"WWW.example.com" = "http-01"',
        f"'WWW.example.com' in [challenges] {SPELLING}",
        "remove one of the two",
    ),
    ('[challenges]\n"x y" = "dns-01"', f"'x y' {NO_ISSUE}", ""),
    ("challenges = 1", "'challenges' must be a table, not an integer", ""),
    (
        'common-name = "w.example.com"',
        "'common-name' is 'w.example.com'; it must be one of 'names'",
        "did you mean 'www.example.com'?",
    ),
    ('common-name = "x y"', "'common-name' is 'x y'; it must be one of 'names'", ""),
    *(
        (f'subject = "{text}"', f"'subject' is '{text}'; {SUBJECT}", "")
        for text in ("O=x, C=DE", "C=GBR", "", "CN=", "O=#0402", "X=y")
    ),
    ('subject = "CN=a.example"', "'subject' has the common name 'a.example'; it must be one of 'names'", ""),
    (
        'subject = "O=x,CN=WWW.example.com"',
        "'subject' has the common name 'WWW.example.com'; it must be written as 'www.example.com'",
        "",
    ),
    (
        'common-name = "www.example.com"\nsubject = "CN=www.example.com"',
        "'subject' is 'CN=www.example.com', and 'common-name' is given too",
        "remove one of the two",
    ),
    ('key-file = "www.key"', "'key-file' is 'www.key'; it must be an absolute path, beginning with '/'", ""),
    (
        'key-file = "/x"\nreuse-key = true',
        "'reuse-key' has no meaning beside 'key-file': the key stays until you replace that file",
        "remove it",
    ),
    (
        'csr = true\nkey-file = "/x"',
        "'key-file' has no meaning beside csr = true: the key is elsewhere",
        "remove one of the two",
    ),
    *(
        (
            f"csr = true\n{key} = {value}",
            f"'{key}' has no meaning beside csr = true: whoever makes the CSR decides it",
            "remove it",
        )
        for key, value in (
            ("key-type", '"rsa-2048"'),
            ("reuse-key", "true"),
            ("must-staple", "true"),
            ("common-name", '"www.example.com"'),
            ("subject", '"O=x"'),
            ("key-usage", '["digitalSignature"]'),
            ("hash", '"sha256"'),
        )
    ),
    ("limits = 1", "unknown key 'limits'", "it belongs into [account.NAME] of acmed.toml"),
]

BY_DNS = "CAs validate a wildcard such as '*.example.com' by DNS alone"
ADDRESS = "CAs do not validate an address such as '192.0.2.1' by DNS"
# A certificate's file that no CA could validate, and line, message, hint
IMPOSSIBLE = [
    *(
        (
            f'names = ["example.com", "*.example.com"]\nchallenge = "{word}"',
            2,
            f"'challenge' is '{word}'; {BY_DNS}",
            'give it another type in [challenges]: "*.example.com" = "dns-01"',
        )
        for word in ("http-01", "tls-alpn-01")
    ),
    *(
        (
            f'names = ["a.example", "192.0.2.1"]\nchallenge = "{word}"',
            2,
            f"'challenge' is '{word}'; {ADDRESS}",
            'give it another type in [challenges]: "192.0.2.1" = "http-01"',
        )
        for word in ("dns-01", "dns-account-01", "dns-persist-01")
    ),
    (
        'names = ["*.example.com"]\n[challenges]\n"*.example.com" = "http-01"',
        3,
        f"'*.example.com' in [challenges] is 'http-01'; {BY_DNS}",
        "",
    ),
    (
        f'names = ["{"a" * 60}.example.com"]\ncommon-name = "{"a" * 60}.example.com"',
        2,
        f"'common-name' is '{'a' * 60}.example.com'; it has 72 bytes, and a common name at most 64",
        "",
    ),
]


def _lines(text: str) -> int:
    return text.count("\n") + 1


@pytest.mark.parametrize(("text", "message", "hint"), DEFAULTS)
def test_defaults(tmp_path: Path, text: str, message: str, hint: str) -> None:
    place = Place(tmp_path, f"{STAGING}[defaults]\n{text}\n")
    assert place.problems() == [("acmed.toml", 3 + _lines(text), message, hint)]


@pytest.mark.parametrize(("text", "message", "hint"), MAIN)
def test_acmed_toml(tmp_path: Path, text: str, message: str, hint: str) -> None:
    place = Place(tmp_path, f"{text}\n{STAGING}")
    assert place.problems() == [("acmed.toml", _lines(text), message, hint)]
    assert "staging" in place.load().configuration.accounts
    assert not place.load().configuration.zones


@pytest.mark.parametrize(("text", "line", "message", "hint"), MISSING)
def test_what_lacks_a_key(tmp_path: Path, text: str, line: int, message: str, hint: str) -> None:
    place = Place(tmp_path, f"{text}\n{STAGING}")
    assert place.problems() == [("acmed.toml", line, message, hint)]


@pytest.mark.parametrize(("text", "message", "hint"), ACCOUNT)
def test_account(tmp_path: Path, text: str, message: str, hint: str) -> None:
    place = Place(tmp_path, f'{STAGING}[account.ca]\ndirectory = "letsencrypt"\n{text}\n')
    assert place.problems() == [("acmed.toml", 4 + _lines(text), message, hint)]
    assert list(place.load().configuration.accounts) == ["staging"]


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [*((GOOD + text, 1 + _lines(text), message, hint) for text, message, hint in CERTIFICATE), *IMPOSSIBLE],
)
def test_certificate(tmp_path: Path, text: str, line: int, message: str, hint: str) -> None:
    place = Place(tmp_path)
    place.write("certificates.d/other.toml", GOOD)
    place.write("certificates.d/bad.toml", text)
    assert place.problems() == [("certificates.d/bad.toml", line, message, hint)]
    assert list(place.load().configuration.certificates) == ["other"]


def test_default_challenge_that_cannot_be(tmp_path: Path) -> None:
    place = Place(tmp_path, f'{STAGING}[defaults]\nchallenge = "http-01"\n')
    wildcard = 'names = ["*.example.com", "a.example"]\n'
    place.write("certificates.d/bad.toml", wildcard)
    place.write("certificates.d/own.toml", 'challenge = "dns-01"\n' + wildcard)
    place.write("certificates.d/single.toml", f'{wildcard}[challenges]\n"*.example.com" = "dns-01"')
    message = f"the challenge of [defaults] is 'http-01'; {BY_DNS}"
    hint = 'give it another type in [challenges]: "*.example.com" = "dns-01"'
    assert place.problems() == [("certificates.d/bad.toml", 0, message, hint)]


def test_broken_account_in_failover(tmp_path: Path) -> None:
    place = Place(tmp_path, f"{STAGING}[account.ca]\ndirectory = 1\n")
    place.write("certificates.d/www.toml", GOOD + 'failover = ["ca"]\naccount = "staging"')
    message = "'failover' has 'ca', and [account.ca] has a problem of its own"
    assert place.problems()[1:] == [("certificates.d/www.toml", 2, message, "")]


def test_names_that_are_broken_are_no_mistake_of_what_refers_to_them(tmp_path: Path) -> None:
    place = Place(tmp_path)
    text = 'names = ["ok.example", "a b"]\ncommon-name = "a.example"\n[challenges]\n"a.example" = "dns-01"'
    place.write("certificates.d/www.toml", text)
    assert [line for _, line, _, _ in place.problems()] == [1]
