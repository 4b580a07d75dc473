# SPDX-License-Identifier: LGPL-2.1-or-later
"""TSIG keys (RFC 8945) from credentials, in the three forms in which name servers make them.

BIND's tsig-keygen: key "NAME" { algorithm hmac-sha256; secret "BASE64"; };
K*.key and K*.private, one of them or both in one file; the second has no name in it, so the credential's is taken.
Knot's keymgr -t: key: - id: NAME, algorithm: hmac-sha256, secret: BASE64.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path

import dns.exception
import dns.name
import dns.tsig

from acmed import journal, paths

_PREFIX = "tsig_"

_STRONG = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
_LEGACY = ("hmac-sha224", "hmac-sha1", "hmac-md5")  # RFC 8945 section 6
# How BIND numbers them in its own files (lib/dns/include/dst/dst.h).
_NUMBERS = {
    "157": "hmac-md5",
    "161": "hmac-sha1",
    "162": "hmac-sha224",
    "163": "hmac-sha256",
    "164": "hmac-sha384",
    "165": "hmac-sha512",
}

# In a string, "//" is base64.
_STRING_OR_COMMENT = re.compile(r'("[^"\n]*")|/\*.*?\*/|(?://|#)[^\n]*', re.DOTALL)
_BIND = re.compile(r'key\s+"?(?P<name>[^\s"{;]+)"?\s*\{(?P<body>[^}]*)\}\s*;?')
_BIND_SETTING = re.compile(r'(algorithm|secret)\s+"?([^\s";]+)"?\s*;')
_KEY_RECORD = re.compile(r"^(?P<name>\S+)\s+(?:\d+\s+)?IN\s+KEY\s+\d+\s+3\s+(?P<number>\d+)\s+(?P<secret>.+)$", re.M)
_PRIVATE = re.compile(r"^(Algorithm|Key):[ \t]*(\S+)", re.M)
_YAML = re.compile(r"^\s*(?:-\s+)?(id|algorithm|secret):\s*[\"']?([^\s\"']+)[\"']?\s*$", re.M)


class UnusableKey(ValueError):
    """The credential is not a key; the message says why, without any of its content."""


def load(name: str, directory: Path) -> dns.tsig.Key:
    """The key of the credential tsig_NAME. Raises UnusableKey."""
    credential = f"{_PREFIX}{name}"
    try:
        text = (directory / credential).read_text("ascii")
    except FileNotFoundError:
        seal = f"systemd-creds encrypt --name={credential} KEYFILE {paths.DNS_CREDENTIALS / name}"
        then = "systemctl try-restart acme-dnsd.service"
        message = f"there is no TSIG key {name}; seal the key that the name server has: {seal} && {then}"
        raise UnusableKey(message) from None
    except (OSError, ValueError):
        raise UnusableKey(f"the TSIG key {name} (credential {credential}) cannot be read as text") from None
    try:
        return parse(text, name)
    except UnusableKey as error:
        raise UnusableKey(f"the TSIG key {name} (credential {credential}) {error}") from None


def parse(text: str, credential: str) -> dns.tsig.Key:
    """A key from a file. credential: the key's name where the file has none. Raises UnusableKey."""
    if not text.strip():
        raise UnusableKey("is empty")
    if _PRIVATE.search(text) or _KEY_RECORD.search(text):
        return _from_files(text, credential)
    if found := list(_BIND.finditer(_STRING_OR_COMMENT.sub(r"\1", text))):
        if len(found) > 1:
            raise UnusableKey("has several key clauses; one credential is one key")
        settings = dict(_BIND_SETTING.findall(found[0]["body"]))
        return _key("a key clause of BIND", {"id": found[0]["name"], **settings})
    settings_of = _YAML.findall(text)
    if settings_of:
        if len(settings_of) > len(dict(settings_of)):
            raise UnusableKey("has several keys in the form of Knot; one credential is one key")
        return _key("a key section of Knot", dict(settings_of))
    forms = "the output of tsig-keygen (BIND) or keymgr -t (Knot), nor a K*.key or K*.private file"
    raise UnusableKey(f"has no form that is known: it is neither {forms}")


def is_legacy(key: dns.tsig.Key) -> bool:
    """Whether RFC 8945 section 6 advises against the key's algorithm."""
    return algorithm(key) in _LEGACY


def algorithm(key: dns.tsig.Key) -> str:
    """hmac-sha256, for example."""
    first: str = key.algorithm.labels[0].decode().lower()
    return first


def _from_files(text: str, credential: str) -> dns.tsig.Key:
    settings: dict[str, str] = {"id": credential}
    for name, value in _PRIVATE.findall(text):
        settings |= {"secret": value} if name == "Key" else {"algorithm": _NUMBERS.get(value, value)}
    records = list(_KEY_RECORD.finditer(text))
    if len(records) > 1:
        raise UnusableKey("has several KEY records; one credential is one key")
    for found in records:
        number, secret = found["number"], "".join(found["secret"].split())
        if "secret" in settings and settings["secret"] != secret:
            raise UnusableKey("is a K*.key and a K*.private file of two different keys")
        settings |= {"id": found["name"], "algorithm": _NUMBERS.get(number, number), "secret": secret}
    return _key("a K*.key or K*.private file", settings)


def _key(form: str, settings: Mapping[str, str]) -> dns.tsig.Key:
    for setting in ("id", "algorithm", "secret"):
        if not settings.get(setting):
            raise UnusableKey(f"is {form} without {'name' if setting == 'id' else setting}")
    kind = settings["algorithm"].lower().rstrip(".").removesuffix(".sig-alg.reg.int")
    if kind not in _STRONG + _LEGACY:
        raise UnusableKey(f"is {form} whose algorithm is none of {', '.join(_STRONG)}")
    try:
        name = dns.name.from_text(settings["id"]).canonicalize()
        secret = base64.b64decode(settings["secret"], validate=True)
    except (dns.exception.DNSException, UnicodeError):
        raise UnusableKey(f"is {form} whose name is no DNS name") from None
    except (binascii.Error, ValueError):
        raise UnusableKey(f"is {form} whose secret is not base64") from None
    return dns.tsig.Key(name, secret, dns.tsig.HMAC_MD5 if kind == "hmac-md5" else kind)


_warned: set[str] = set()


def warn_of_legacy(key: dns.tsig.Key) -> None:
    """In the journal, once in the life of this process."""
    name = key.name.to_text()
    if is_legacy(key) and name not in _warned:
        _warned.add(name)
        advice = "make one with hmac-sha256 (RFC 8945 section 6)"
        journal.warning("The TSIG key %s uses %s, which is not to be used any more; %s", name, algorithm(key), advice)
