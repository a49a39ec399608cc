"""The settings' part of helm/paceline/values.schema.json, made from bidder.config: `python -m helm.settings`.

Place: `make chart` runs it; with --check it changes nothing and fails where the file is not what it would write.
Shapes: `$defs` whose names begin with PREFIX are made, everything else in the file is written by hand.
Never: a setting that the chart makes itself (OWN): values that named it would contradict the manifests.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from bidder.config import Config

FILE: Final = Path(__file__).parent / "paceline" / "values.schema.json"
PREFIX: Final = "settings."
OWN: Final = {
    "Config": {"workers", "data_dir", "campaigns", "rates", "keys_file"},
    "ExchangePort": {"host", "port", "tls"},
    "PublicPort": {"host", "port", "tls"},
    "OpsPort": {"host", "port", "tls", "open_metrics"},
    "Stores": {"redis_url", "cluster", "embedded_max_mb"},
    "Ledger": {"redis_url", "cluster", "journal_dir"},
    "Events": {"folder"},
    "PrivacyRules": {"deletion_keys_file"},
}
"""By Struct: what templates/config.yaml writes, and what needs a server or a file that no pod has."""
_POINTER: Final = "#/$defs/"


def definitions() -> dict[str, Any]:
    """The settings' definitions, in JSON schema as Helm's validator takes it."""
    schema = msgspec.json.schema(Config, ref_template=_POINTER + PREFIX + "{name}")
    found = {PREFIX + name: _fit(definition) for name, definition in schema["$defs"].items()}
    for name, own in OWN.items():
        properties = found[PREFIX + name]["properties"]
        for each in own:
            properties.pop(each, None)
    return dict(sorted(_used(found).items()))


def _fit(node: Any) -> Any:
    """The same without defaults, and with patterns as RE2 writes them."""
    if isinstance(node, list):
        return [_fit(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _fit(value) for key, value in node.items() if key != "default" or isinstance(value, dict)}
    if isinstance(pattern := kept.get("pattern"), str):
        kept["pattern"] = pattern.replace(r"\Z", "$")
        if "(?!" in pattern:  # RE2 looks nowhere ahead: Paceline itself refuses it
            del kept["pattern"]
    return kept


def _used(found: dict[str, Any]) -> dict[str, Any]:
    """Those that Config still leads to."""
    used: dict[str, Any] = {}
    wanted = [PREFIX + "Config"]
    while wanted:
        name = wanted.pop()
        if name not in used:
            used[name] = found[name]
            wanted += [other for other in found if f'"{_POINTER}{other}"' in json.dumps(found[name])]
    return used


def written(text: str) -> str:
    """The file as it should be, from the file as it is."""
    schema = json.loads(text)
    own = {name: each for name, each in schema["$defs"].items() if not name.startswith(PREFIX)}
    schema["$defs"] = own | definitions()
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """0: the file is as it should be."""
    parser = argparse.ArgumentParser(description="settings of bidder.config in the chart's schema")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something would")
    check: bool = parser.parse_args().check
    before = FILE.read_text(encoding="utf-8")
    after = written(before)
    if before != after and check:
        print(f"{FILE.name} is not what bidder.config says: python -m helm.settings", file=sys.stderr)
        return 1
    if before != after:
        FILE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
