"""The lock files: what pip installs is what uv installs, and an image installs a part of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Locked = dict[str, tuple[str, frozenset[str]]]
"""By name: the version, and the hashes of its files."""


def _by_uv() -> Locked:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {
        package["name"]: (
            package["version"],
            frozenset(file["hash"] for file in [*package.get("wheels", ()), package.get("sdist")] if file),
        )
        for package in packages
        if package["name"] != "paceline"
    }


def _by_pip(name: str = "requirements.lock") -> Locked:
    text = (ROOT / name).read_text()
    entries = re.findall(r"^([a-z0-9-]+)==([^\s;]+)[^\n]*\n((?:    --hash=.*\n)*)", text, re.MULTILINE)
    return {
        name: (version, frozenset(re.findall(r"--hash=(\S+)", hashes))) for name, version, hashes in entries
    }


def test_both_locks_name_the_same_files() -> None:
    """The same packages in the same versions with the same hashes; `make lock` writes both."""
    by_pip = _by_pip()
    assert by_pip == _by_uv()
    assert all(hashes for _, hashes in by_pip.values())


def test_the_runtime_lock_is_a_part_of_the_whole() -> None:
    """What an image installs is locked by the same versions and hashes, has all that `paceline` needs, and no tool of
    developers."""
    whole, runtime = _by_pip(), _by_pip("requirements-runtime.lock")
    assert runtime.items() <= whole.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["train"]]
    assert {re.split(r"[\[<>=!~; ]", each)[0].lower() for each in wanted} <= runtime.keys()
    extras = project["optional-dependencies"]
    tools = [each for extra in ("dev", "load", "demo") for each in extras[extra]]
    assert not {re.split(r"[\[<>=!~; ]", each)[0].lower() for each in tools} & runtime.keys()
