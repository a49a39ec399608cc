"""Golden auctions: a book, a person and a request in; the answer and the drops out, as JSON that a person reads.

Shapes: one case per file. `book` names a file of books/ or holds a book; `exchange` names a shipped profile or
    holds one; `config` has `auction` rules and `vendor_id`; `person` says what each advertiser knows;
    `people` is how the store behaves (prompt, silent, overdue); `request` is the body.
    `expected`: outcome, drops (all of them), and of the answer whatever fields are named. A null is an absent
    field; {"contains": [...], "lacks": [...]} judges text; lists must match in full.
    Consent strings are written {"$tcf": {...}} or {"$gpp": {...}}: the first vector of the reference libraries
    whose decoded fields hold the ones named.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bidder.campaigns.load import load_book
from bidder.clock import ManualClock
from bidder.exchanges import SHIPPED, Exchange
from tests.bidder.auction.support import (
    NOW_S,
    RATES,
    Bench,
    Known,
    Overdue,
    Silent,
    config_of,
    faults_of,
    person_of,
)
from tests.corpus import rows

HERE = Path(__file__).resolve().parent
CASES = sorted(HERE.glob("exemplary/*.json")) + sorted(HERE.glob("supplementary/*.json"))
KEYS = {"claim", "book", "exchange", "config", "person", "people", "request", "expected"}


def test_there_are_cases() -> None:
    """The folders are read: an empty run is no success."""
    assert len(CASES) >= 25


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden(path: Path, tmp_path: Path) -> None:
    """The auction ends as the file says."""
    case = json.loads(path.read_text(encoding="utf-8"))
    assert case.keys() <= KEYS, f"unknown parts: {case.keys() - KEYS}"
    bench, profile = _bench(case, tmp_path)
    call = bench.ask(_with_strings(case["request"]), profile=profile)[0]
    assert call.outcome is not None
    actual: dict[str, Any] = {"outcome": call.outcome.name, "drops": bench.drops()}
    if call.sent:
        actual |= json.loads(call.sent)
    shown = _seen(case["expected"], actual) | {"drops": actual["drops"]}
    assert shown == case["expected"], _difference(case, shown, actual)
    if call.outcome.name == "BID":
        assert [str(fault) for fault in faults_of(bench, call)] == []
    assert bench.balance() == 0, "every candidate ends in one drop or one bid"


def _bench(case: dict[str, Any], tmp_path: Path) -> tuple[Bench, Exchange]:
    book = case["book"]
    if isinstance(book, str):
        path = HERE / "books" / book
    else:
        path = tmp_path / "book.yaml"
        path.write_text(json.dumps(book), encoding="utf-8")
    exchange = case.get("exchange", "generic")
    if isinstance(exchange, str):
        profile, own = next(each for each in SHIPPED if each.name == exchange), ()
    else:
        profile = msgspec.convert(exchange, Exchange)
        own = (profile,)
    settings = case.get("config", {})
    config = config_of(vendor_id=settings.get("vendor_id", 0), exchanges=own, **settings.get("auction", {}))
    clock = ManualClock(NOW_S)
    return Bench(load_book(path, RATES), _people(case, clock), config, clock), profile


def _people(case: dict[str, Any], clock: ManualClock) -> Known:
    known = {}
    if "person" in case:
        told = case["person"]
        person = person_of(
            segments=told.get("segments"),
            affinity=told.get("affinity"),
            until_s=NOW_S + told.get("for_s", 86_400),
        )
        known = {told.get("match", person.id): person}
    kind = case.get("people", "prompt")
    if kind == "silent":
        return Silent(clock)
    return Overdue(clock, known) if kind == "overdue" else Known(known)


def _with_strings(value: Any) -> Any:
    """A request with the consent strings that it asks for."""
    if isinstance(value, list):
        return [_with_strings(each) for each in value]
    if not isinstance(value, dict):
        return value
    for name in ("tcf", "gpp"):
        if f"${name}" in value:
            return _vector(name, value[f"${name}"])
    return {key: _with_strings(each) for key, each in value.items()}


def _vector(name: str, wanted: dict[str, Any]) -> str:
    for row in rows(f"privacy/generated/{name}"):
        if row["ok"] and _holds(row["decoded"], wanted):
            return str(row["tc" if name == "tcf" else "gpp"])
    raise AssertionError(f"no {name} vector holds {wanted}")


def _holds(decoded: Any, wanted: Any) -> bool:
    """Dicts by their named keys; a list holds all of a list; {"not": [...]} holds none of it."""
    if isinstance(wanted, dict) and "not" in wanted:
        return not set(decoded or ()) & set(wanted["not"])
    if isinstance(wanted, dict):
        return isinstance(decoded, dict) and all(_holds(decoded.get(k), v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(decoded, list) and set(wanted) <= set(decoded)
    return bool(decoded == wanted)


def _seen(expected: Any, actual: Any) -> Any:
    """The actual answer, cut to what the file speaks of; text that passes its judgement reads as the judgement."""
    if isinstance(expected, dict) and isinstance(actual, str) and expected.keys() <= {"contains", "lacks"}:
        holds = all(part in actual for part in expected.get("contains", ()))
        lacks = not any(part in actual for part in expected.get("lacks", ()))
        return expected if holds and lacks else actual
    if isinstance(expected, dict) and isinstance(actual, dict):
        return {key: _seen(value, actual.get(key)) for key, value in expected.items()}
    if isinstance(expected, list) and isinstance(actual, list):
        pairs = zip(expected, actual, strict=False)
        return [_seen(want, have) for want, have in pairs] + actual[len(expected) :]
    return actual


def _difference(case: dict[str, Any], shown: Any, actual: Any) -> str:
    lines = difflib.unified_diff(
        json.dumps(case["expected"], indent=2, sort_keys=True).splitlines(),
        json.dumps(shown, indent=2, sort_keys=True).splitlines(),
        "expected",
        "actual",
        lineterm="",
    )
    return "\n".join([case["claim"], *lines, "", "the whole answer:", json.dumps(actual, indent=2)])
