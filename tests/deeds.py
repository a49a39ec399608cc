"""Audit lines on a command's stderr, and what else stands there."""

import json
from typing import Any


def told_of(err: str) -> list[dict[str, Any]]:
    """The deeds of which lines tell."""
    return [json.loads(line)["deed"] for line in err.splitlines() if _is_deed(line)]


def without(err: str) -> str:
    """All other lines."""
    return "".join(line for line in err.splitlines(keepends=True) if not _is_deed(line))


def _is_deed(line: str) -> bool:
    return line.startswith("{") and json.loads(line).get("logger") == "bidder.audit"
