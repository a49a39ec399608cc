"""Real requests to check against: the committed Prebid.js ones, and the shared corpus where it is present.

Shapes: a row is one JSON object (`src`, `body`, `meta`, ...); a file is named without its endings.
Never: the shared corpus is read in place, never copied; where it is absent, its tests skip and say so.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(__file__).resolve().parent / "data"
PACKAGED = ROOT / "benchmarks" / "exchange" / "data"
_shared = ROOT.parent / "shared"
SHARED: Path | None = _shared if (_shared / "corpus").is_dir() else None

REQUEST_FILES = (
    "prebid_requests",
    "prebid_mock_requests",
    "prebid_pairs",
    "pbs_exchange_requests",
    "pbs_invalid_generic",
    "pbs_valid_generic",
    "pbsjava_requests",
    "pbsjava_auction_requests",
    "other_requests",
    "iab_requests",
)


def rows(name: str) -> list[dict[str, Any]]:
    """Rows of one file by its name, like "prebid_pairs" or "privacy/generated/tcf"; skips where absent."""
    path = _find(name)
    if path is None:
        pytest.skip(f"{name} is not in tests/data, and ../shared/corpus is absent")
    return _load(path)


def request_bodies() -> list[tuple[str, bytes]]:
    """(id, compact JSON) of every request there is; without the shared corpus only the committed ones."""
    names = ("pbjs_requests", *(REQUEST_FILES if SHARED else ()))
    return [(f"{name}:{i}", compact(_body(name, row))) for name in names for i, row in enumerate(rows(name))]


def compact(value: Any) -> bytes:
    """JSON as an exchange sends it: no blanks, UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _body(name: str, row: dict[str, Any]) -> Any:
    return row["body"]["request"] if name == "prebid_pairs" else row["body"]


def _find(name: str) -> Path | None:
    folders = [DATA, PACKAGED, *([SHARED / "corpus"] if SHARED else [])]
    candidates = (folder / f"{name}{end}" for folder in folders for end in (".jsonl.gz", ".jsonl"))
    return next((path for path in candidates if path.is_file()), None)


@cache
def _load(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines() if line.strip()]
