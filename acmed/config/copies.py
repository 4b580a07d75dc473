# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copies of a certificate's files, as [service.NAME] and certificates.d/NAME.toml ask for them, and whose they are."""

import re

from acmed import paths
from acmed.config import schema
from acmed.config.pathnames import BadPath, expanded, path_fault
from acmed.config.section import Section
from acmed.config.words import listed, quoted

PRIVATE_MODES = {"0400": 0o400, "0440": 0o440, "0600": 0o600, "0640": 0o640}
# For what has no key in it. Only the owner may write.
MODES = {**PRIVATE_MODES, "0444": 0o444, "0644": 0o644}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,30}")  # systemd.exec(5), User= and Group=
_GROUP_READ = 0o040

_OWN = (paths.CERTIFICATES, paths.PRIV_STATE, paths.MANAGER_STATE, paths.RUN, paths.ACCOUNT_CREDENTIALS)


def user_or_group(section: Section, key: str) -> str | None:
    """A name, of a user or a group as the key says."""
    name = section.text(key)
    if name is not None and not _NAME.fullmatch(name):
        kind = "user" if key == "owner" else "group"
        section.wrong(key, f"is {quoted(name)}, which is no name of a {kind}; numbers are not allowed")
    return name


def mode(section: Section, group: str | None, allowed: dict[str, int], why: str) -> int | None:
    """One of the allowed modes, by which the group may read."""
    text = section.text("mode")
    if text is None:
        return None
    number = allowed.get(text.rjust(4, "0"))
    if number is None:
        section.wrong("mode", f"is {quoted(text)}; allowed are {listed(allowed)}: {why}")
    elif group and not number & _GROUP_READ:
        section.wrong("mode", f"{quoted(text)} keeps the key from the group {quoted(group)}; it must be 0440 or 0640")
    return number


def files(section: Section, title: str) -> dict[str, str]:
    """Paths, in which {name} is the certificate's name, by the kind of file. title: of the table that they are."""
    found: dict[str, str] = {}
    if (inner := section.inner("files", title, schema.FILES)) is None:
        return found
    for kind in schema.FILES:
        if (target := inner.text(kind)) is not None:
            try:
                found[kind] = _target(target)
            except BadPath as fault:
                inner.wrong(kind, f"is {quoted(target)}; {fault}")
    if len(set(found.values())) < len(found):
        section.wrong("files", "has the same path twice", "'combined' is the key and the full chain in one file")
    return found


def _target(text: str) -> str:
    """A path in which {name} is the certificate's name. Raises BadPath."""
    target = expanded(text)
    plain = target.replace("{name}", "NAME")
    if "{" in plain or "}" in plain:
        raise BadPath("the only thing in braces may be {name}, the certificate's name")
    if fault := path_fault(plain):
        raise BadPath(fault)
    for own in _OWN:
        if plain == str(own) or plain.startswith(f"{own}/"):
            raise BadPath(f"it must not be in {own}, which is acmed's own")
    return target
