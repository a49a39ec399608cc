"""The two lock files: what pip installs is what uv installs."""

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


def _by_pip() -> Locked:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^([a-z0-9-]+)==([^\s;]+)[^\n]*\n((?:    --hash=.*\n)*)", text, re.MULTILINE)
    return {
        name: (version, frozenset(re.findall(r"--hash=(\S+)", hashes))) for name, version, hashes in entries
    }


def test_both_locks_name_the_same_files() -> None:
    """The same packages in the same versions with the same hashes; `make lock` writes both."""
    by_pip = _by_pip()
    assert by_pip == _by_uv()
    assert all(hashes for _, hashes in by_pip.values())
