"""Precision and recall by source hold above floors: on lists of crawlers and networks, and on simulated bots."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ivt import Row, agents, mixed, networks, table
from benchmarks.ivt_mix import TOLD_BY, bidding, clicking


def _by_source(rows: list[Row]) -> dict[str, Row]:
    return {row.source: row for row in rows}


@pytest.mark.corpus
def test_agents(shared: Path) -> None:
    """The crawlers of the shared list are told, agents of real requests are not; without the list a fifth still is."""
    listed, own = agents(shared)
    assert listed.bots > 2_000
    assert listed.people > 60
    assert listed.recall is not None
    assert listed.recall > 0.99
    assert listed.blamed == own.blamed == 0
    assert own.recall is not None
    assert own.recall > 0.2


@pytest.mark.corpus
def test_networks(shared: Path) -> None:
    """Listed networks are told to the address, others never."""
    listed, held_out = networks(shared)
    assert (listed.recall, listed.blamed) == (1.0, 0)
    assert listed.people > 10_000
    assert held_out.blamed == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_requests_of_a_mix(seed: int) -> None:
    """Every kind of bot is told by the reason that is meant for it; no person is filtered, heavy ones included, and
    nobody is recorded as suspect but who asks from a data centre."""
    counts = bidding(5.0, 500, seed)
    rows = _by_source(mixed(counts))
    for kind, count in counts.items():
        if not count.bot:
            assert count.filtered == 0
            assert count.suspect == 0 or kind == "people behind a VPN"
    for kind in ("ids with abnormal rates", "slots that nobody sees", "scripts"):
        assert rows[kind].recall is not None
        assert rows[kind].recall > 0.98
        assert rows[kind].blamed == 0
    for kind in ("a placement fed by bots", "its other requests"):
        assert rows[kind].recall is not None
        assert rows[kind].recall > 0.9
    assert rows["browsers in data centres"].recall == 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clicks_of_a_mix(seed: int) -> None:
    """Most clicks of every kind of bot are marked, at most one in a hundred of people's."""
    counts = clicking(6.0, 1_000, seed)
    rows = _by_source(mixed(counts))
    assert counts["people"].suspect <= counts["people"].seen / 100
    for kind, count in counts.items():
        if count.bot:
            recall = rows[kind].recall
            assert recall is not None
            assert recall > 0.7


def test_table() -> None:
    """A row says how many were caught and blamed, and what that comes to."""
    text = table([Row("bots", 100, 90, 1_000, 10, "a note"), Row("nobody", 0, 0, 5, 0)])
    _, first, second = text.splitlines()
    assert first.split() == ["bots", "100", "90", "1,000", "10", "90.0%", "90.0%", "a", "note"]
    assert second.split() == ["nobody", "0", "0", "5", "0", "-", "-"]


def test_every_bot_has_its_reason() -> None:
    """No kind of bot is without a reason that is meant for it."""
    counts = bidding(0.2, 5, 1) | clicking(0.5, 5, 1)
    assert {kind for kind, count in counts.items() if count.bot} <= set(TOLD_BY)
