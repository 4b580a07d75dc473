# SPDX-License-Identifier: LGPL-2.1-or-later
"""The subject of a certificate, where one is asked for: common-name and subject."""

from acmed.config.section import Section
from acmed.config.words import did_you_mean, quoted
from acmed.names import Identifier, InvalidName

_LONGEST_CN = 64  # bytes (RFC 5280 appendix A.1, ub-common-name)
_LONGEST_SUBJECT = 1000  # characters
_ALLOWED = (
    "it must be a distinguished name (RFC 4514) of CN, O, OU, C, ST, L, STREET, DC, UID, or types in numbers,"
    " without blanks after commas, such as 'O=Example\\, Inc.,C=DE'"
)


def common_name(section: Section, identifiers: tuple[Identifier, ...]) -> str | None:
    """One of the names, as the identifier's value."""
    text = section.text("common-name")
    if text is None:
        return None
    if fault := _fault(text, identifiers, "names" in section.broken):
        others = [identifier.value for identifier in identifiers if identifier.value != text]
        section.wrong("common-name", f"is {quoted(text)}; {fault}", did_you_mean(text, others))
        return None
    return Identifier.parse(text).value


def subject(section: Section, identifiers: tuple[Identifier, ...]) -> str | None:
    """A distinguished name. Whoever gives a common name in it gives it there alone."""
    text = section.text("subject")
    if text is None:
        return None
    names = _common_names(text)
    if names is None:
        section.wrong("subject", f"is {quoted(text)}; {_ALLOWED}")
    elif names and section.has("common-name"):
        section.wrong("subject", f"is {quoted(text)}, and 'common-name' is given too", "remove one of the two")
    for name in names or ():
        if fault := _fault(name, identifiers, "names" in section.broken):
            section.wrong("subject", f"has the common name {quoted(name)}; {fault}")
        elif (value := Identifier.parse(name).value) != name:
            section.wrong("subject", f"has the common name {quoted(name)}; it must be written as {quoted(value)}")
    return text


def _fault(text: str, identifiers: tuple[Identifier, ...], unknown: bool) -> str:
    """What is wrong with a common name, or an empty string. unknown: the identifiers are not all there."""
    try:
        identifier = Identifier.parse(text)
    except InvalidName:
        return "it must be one of 'names'"
    if identifier not in identifiers:
        return "" if unknown else "it must be one of 'names'"
    size = len(identifier.value)
    return f"it has {size} bytes, and a common name at most {_LONGEST_CN}" if size > _LONGEST_CN else ""


def _common_names(text: str) -> list[str] | None:
    """The common names of a distinguished name; None where it is none."""
    if not text or not text.isprintable() or len(text) > _LONGEST_SUBJECT:
        return None
    from cryptography.x509 import Name  # noqa: PLC0415  slow to load, and few certificates have a subject
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    try:
        name = Name.from_rfc4514_string(text)
        name.public_bytes()
    except (ValueError, TypeError):
        return None
    values = [(attribute.oid, attribute.value) for attribute in name]
    if not all(isinstance(value, str) and value and value.isprintable() for _, value in values):
        return None
    return [str(value) for oid, value in values if oid == NameOID.COMMON_NAME]
