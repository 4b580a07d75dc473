# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the package installs loads clean, and the manual page, the example and the loader know the same keys."""

import re
from pathlib import Path

import pytest

from acmed.config import load, schema
from acmed.config.model import (
    DIRECTORY_LIMITS,
    Action,
    ChallengeType,
    Deadlines,
    KeyType,
    Propagation,
    Service,
    Zone,
    ZoneMethod,
)
from tests.unit.config.place import Place

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "conf/acmed.toml").read_text()
MANUAL = (ROOT / "man/acmed.toml.5").read_text()
RECIPES = (ROOT / "docs/configuration.md").read_text()
SERVICES = sorted(path.stem for path in (ROOT / "services.d").glob("*.toml"))

# Those whose files have more than the service of the file's name.
VARIANTS = {"haproxy-combined"}


def test_example_says_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path, EXAMPLE, "")
    assert place.load() == Place(tmp_path / "empty", "", "").load()
    assert place.problems() == []


def test_example_is_right_where_a_comment_is_taken_away(tmp_path: Path) -> None:
    """Also each key alone, with the header of its table."""
    services = (ROOT / "services.d/nginx.toml").read_text()
    place = Place(tmp_path, _uncommented(), services)
    assert place.problems() == []
    configuration = place.load().configuration
    assert configuration.default_account == "letsencrypt"
    letsencrypt = configuration.accounts["letsencrypt"]
    assert letsencrypt.limits == DIRECTORY_LIMITS[letsencrypt.directory]
    assert letsencrypt.deadlines == Deadlines()
    assert configuration.zones["example.com"] == Zone("example.com", server="ns1.example.com", key="ns1")
    assert [zone.method.value for zone in configuration.zones.values()] == ["update", "local", "hook"]
    assert configuration.services["example"].targets("www")["combined"] == Path("/srv/a/www.all")
    header = ""
    for number, line in enumerate(_uncommented().splitlines()):
        header = line if line.startswith("[") else header
        if re.match(r"[a-z]", line) and not header.startswith(("[account", "[zone")):
            accounts = "".join(f'[account.{name}]\ndirectory = "letsencrypt"\n' for name in ("letsencrypt", "zerossl"))
            text = f"{accounts}{header}\n{line}" if header else f"{line}\n{accounts}"
            assert Place(tmp_path / str(number), text, services).problems() == [], line


def test_example_has_the_defaults_it_names(tmp_path: Path) -> None:
    """Each line with "(default)" above it, or whose default is named there, changes nothing."""
    plain = Place(tmp_path / "plain", "[service.example]\n", "").load().configuration
    for key, header in (
        ("firewall", ""),
        ("key-type", "[defaults]"),
        ("reuse-key", "[defaults]"),
        ("preflight", "[defaults]"),
        ("must-staple", "[defaults]"),
        ("hash", "[defaults]"),
        ("mode", "[http01]"),
    ):
        line = re.search(rf"^#({key} = .*)$", EXAMPLE, re.MULTILINE)
        assert line is not None
        text = f"{header}\n{line[1]}\n[service.example]\n" if header else f"{line[1]}\n[service.example]\n"
        assert Place(tmp_path / key, text, "").load().configuration == plain
    service = Place(tmp_path / "service", '[service.example]\naction = "reload"\nmode = "0640"\n', "").load()
    assert service.configuration.services["example"] == Service("example", (), Action.RELOAD, None, 0o640, {})


def test_example_has_every_key_and_no_other() -> None:
    found: dict[str, list[str]] = {}
    table, inner = "", list[str]()
    for line in _uncommented().splitlines():
        if header := re.fullmatch(r"\[([a-z0-9-]+)(\.[a-z]+|\.\"[a-z.]+\")?(?:\.([a-z]+))?\]", line):
            outer = f"[{header[1]}{'.NAME' if header[2] else ''}]"
            table = f"{outer[:-1]}.{header[3]}]" if header[3] else outer
            if header[3]:
                inner.append(header[3])
        elif (key := re.match(r"([a-z0-9-]+) =", line)) and key[1] not in found.setdefault(table, []):
            found[table].append(key[1])
    found["[account.NAME]"] += inner
    assert found == {title: list(keys) for title, keys in schema.TABLES.items()}
    files = re.search(r"^files = \{(.*)\}$", _uncommented(), re.MULTILINE)
    assert files is not None
    assert re.findall(r"(\w+) =", files[1]) == list(schema.FILES)


def test_manual_has_every_key_and_no_other() -> None:
    """Each table is a section; each key is the tag of a .TP in it, in bold, followed by its type in italics."""
    sections = dict(re.findall(r"^\.SH (.+?)\n(.*?)(?=^\.SH )", MANUAL, re.MULTILINE | re.DOTALL))
    found = {
        title.replace('"', "").replace("\\-", "-"): [
            key.replace("\\-", "-") for key in re.findall(r"^\.TP\n\.BR ([a-z0-9\\-]+) ", text, re.MULTILINE)
        ]
        for title, text in sections.items()
    }
    for title, keys in {**schema.TABLES, "CERTIFICATE FILES": schema.CERTIFICATE}.items():
        assert found.pop(title or "KEYS ABOVE THE FIRST TABLE") == list(keys), title
    assert not any(found.values())
    words = [word.value for kind in (Action, ChallengeType, KeyType, Propagation, ZoneMethod) for word in kind]
    for word in (*schema.FILES, *words):
        assert word.replace("-", "\\-") in MANUAL, word


@pytest.mark.parametrize("recipe", re.findall(r"^```toml\n(.*?)^```$", RECIPES, re.MULTILINE | re.DOTALL))
def test_recipe(tmp_path: Path, recipe: str) -> None:
    """Each by itself, beside the accounts that the page makes and the shipped services."""
    names = ("production", "zerossl", "intern")
    accounts = "".join(f'[account.{name}]\ndirectory = "letsencrypt"\n' for name in names)
    place = Place(tmp_path, accounts, "")
    place.write("acmed.toml.d/0.toml", '[defaults]\naccount = "production"\n')
    for path in (ROOT / "services.d").glob("*.toml"):
        (place.usr / "services.d" / path.name).write_text(path.read_text())
    place.write("certificates.d/x.toml" if "names = " in recipe else "acmed.toml.d/1.toml", recipe)
    assert place.problems() == []


@pytest.mark.parametrize("name", SERVICES)
def test_shipped_service(tmp_path: Path, name: str) -> None:
    place = Place(tmp_path, "", (ROOT / f"services.d/{name}.toml").read_text())
    assert place.problems() == []
    services = place.load().configuration.services
    assert name in services
    assert set(services) - {name} <= VARIANTS
    assert all(service.units for service in services.values())


def test_shipped_services_together() -> None:
    loaded = load(ROOT / "conf", ROOT)
    assert loaded.problems == ()
    assert sorted(loaded.configuration.services) == sorted({*SERVICES, *VARIANTS})


def test_manual_lists_the_shipped_services() -> None:
    for name in {*SERVICES, *VARIANTS}:
        assert name.replace("-", "\\-") in MANUAL, name


def _uncommented() -> str:
    """Settings follow the comment sign at once; explanations have a blank between."""
    return re.sub(r"^#(?=[\[a-z])", "", EXAMPLE, flags=re.MULTILINE)
