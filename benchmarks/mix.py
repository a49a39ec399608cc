"""Which exchanges a load test plays, and how much of each: `google=3,prebid=1`.

Place: the Locust users and `make load` read it.
Raises: ValueError, one line that names what can be asked for.
"""

from __future__ import annotations

from benchmarks.exchange.dialects import BY_NAME, DIALECTS


def shares_of(text: str) -> dict[str, float]:
    """Shares by exchange that add up to 1; empty text, or `all`: those of the simulated market."""
    if text in ("", "all"):
        return {dialect.name: dialect.share for dialect in DIALECTS}
    parsed = {name: _number(name, value) for name, value in _pairs(text)}
    total = sum(parsed.values())
    if not total:
        raise ValueError(f"{text}: no exchange has a share")
    return {name: value / total for name, value in parsed.items()}


def fixed_of(text: str) -> dict[str, int]:
    """Users by exchange; empty text: none are fixed."""
    return {name: int(_number(name, value)) for name, value in _pairs(text)}


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in filter(None, text.split(",")):
        name, equals, value = part.strip().partition("=")
        if name not in BY_NAME:
            raise ValueError(f"{name}: no exchange of this name; there are {', '.join(BY_NAME)}")
        pairs.append((name, value if equals else "1"))
    return pairs


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}={text}: not a share")
    return value
