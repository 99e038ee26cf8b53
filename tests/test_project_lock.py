"""requirements.lock: every package by hash, no host, and nothing forgotten."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# name==version ; marker \  hash \  hash, over continued lines
ENTRY = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)
ENTRIES = {match["name"]: match for match in ENTRY.finditer(LOCK)}


def asked() -> list[Requirement]:
    return [
        Requirement(line)
        for line in (
            *PROJECT["project"]["dependencies"],
            *PROJECT["dependency-groups"]["dev"],
            *PROJECT["build-system"]["requires"],
        )
    ]


def test_the_lock_names_no_host() -> None:
    assert "://" not in LOCK
    assert "--index" not in LOCK
    assert "--find-links" not in LOCK


def test_every_line_of_the_lock_is_a_pin_a_hash_or_a_comment() -> None:
    odd = [
        line
        for line in LOCK.splitlines()
        if not re.match(r"[\w.-]+==\S+( ;.*)? \\$|    --hash=sha256:[0-9a-f]{64}( \\)?$| *#", line)
    ]
    assert odd == []


def test_every_package_in_the_lock_has_a_hash() -> None:
    assert [name for name, entry in ENTRIES.items() if "--hash=sha256:" not in entry["rest"]] == []


def test_the_lock_holds_what_the_project_asks_for_and_its_build_backend() -> None:
    missing = [
        str(requirement)
        for requirement in asked()
        if (entry := ENTRIES.get(canonicalize_name(requirement.name))) is None
        or not requirement.specifier.contains(entry["version"])
    ]
    assert missing == []


def test_one_version_of_each_package_serves_every_python() -> None:
    names = [match["name"] for match in ENTRY.finditer(LOCK)]
    assert len(names) == len(set(names))


def test_the_peers_that_stand_beside_the_environment_are_pinned_by_hash_too() -> None:
    text = (ROOT / "tests" / "peers.lock").read_text(encoding="utf-8")
    assert "://" not in text
    odd = [
        line
        for line in text.splitlines()
        if not re.match(r"[\w.-]+==\S+ \\$|    --hash=sha256:[0-9a-f]{64}( \\)?$| *#", line)
    ]
    assert odd == []
    names = {match["name"] for match in ENTRY.finditer(text)}
    assert names == {"pymeasure", "pyvisa", "pyvisa-py", "scipy", "spekpy"}
