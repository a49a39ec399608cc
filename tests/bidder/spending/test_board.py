"""The board of pacing: what is packed comes back, who leads, what a worker posts and follows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from bidder.auction.pace import Pace
from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.spending.board import (
    NO_CEILING,
    REPORT_S,
    Board,
    Paces,
    Report,
    pack_paces,
    pack_report,
    unpack_paces,
    unpack_report,
)
from bidder.spending.follower import Follower
from bidder.stores.embedded import EmbeddedServer
from budget.accounts import Limits
from budget.allowance import Allowance
from budget.money import Micros

NOW_S = 1_795_608_000.0


def _report(at_s: float = NOW_S, rows: int = 3) -> Report:
    number = np.arange(rows, dtype=np.int64)
    return Report(
        at_s, number.astype(np.uint64), number, number + 1, number + 2, number + 3, number + 4, number
    )


def _paces(**by_key: float) -> Paces:
    keys = np.array(sorted(int(key[1:]) for key in by_key), np.uint64)
    multiplier = np.array([by_key[f"k{key}"] for key in keys.tolist()], np.float32)
    ceiling = np.full(len(keys), NO_CEILING, np.int64)
    return Paces(NOW_S, keys, multiplier, np.minimum(multiplier * 4, 1).astype(np.float32), ceiling)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Redis]:
    async with EmbeddedServer(tmp_path / "ledger") as server:
        redis = Redis.from_url(server.url)
        yield redis
        await redis.aclose()


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)), max_size=20))
def test_a_report_comes_back(rows: list[tuple[int, int]]) -> None:
    """Every key of 64 bits and every amount, byte for byte."""
    keys = np.array([key for key, _ in rows], np.uint64)
    amounts = np.array([amount for _, amount in rows], np.int64)
    found = unpack_report(pack_report(Report(NOW_S, keys, *[amounts] * 6)))
    assert found is not None
    assert found.keys.tolist() == keys.tolist()
    assert found.wins.tolist() == amounts.tolist()


@given(st.binary(max_size=64))
def test_rubbish_is_no_report(data: bytes) -> None:
    """Whatever stands there, a report or a pace is read whole or not at all."""
    found = unpack_report(data)
    assert found is None or not len(found.keys)
    pace = unpack_paces(data)
    assert pace is None or len(pace.keys) <= 4


def test_a_cut_pace_is_no_pace() -> None:
    """One byte less, or one more, and there is none."""
    packed = pack_paces(_paces(k1=0.5, k2=1.0))
    assert unpack_paces(packed) is not None
    assert unpack_paces(packed[:-1]) is None
    assert unpack_paces(packed + b"x") is None


async def test_one_leads(client: Redis) -> None:
    """The first who asks leads and may keep the lead; another gets it when it has run out."""
    board = Board(client)
    assert await board.lead("one", 0.05)
    assert not await board.lead("two", 0.05)
    assert await board.lead("one", 30)
    assert not await board.lead("two", 30)
    await client.pexpire("ml:pace:leader", 1)
    while await client.exists("ml:pace:leader"):
        pass
    assert await board.lead("two", 30)


async def test_old_reports_are_taken_down(client: Redis) -> None:
    """A worker that is silent for longer than a report is believed counts no more."""
    board = Board(client)
    await board.post(1, _report(NOW_S - REPORT_S - 1))
    await board.post(2, _report(NOW_S))
    await client.hset("ml:pace:reports", "3", b"rubbish")
    assert set(await board.reports(NOW_S)) == {2}
    assert await client.hkeys("ml:pace:reports") == [b"2"]


async def test_traffic_is_remembered(client: Redis) -> None:
    """What one leader learned the next one recalls; what belongs to nobody is forgotten."""
    board = Board(client)
    assert await board.recall() == {}
    await board.remember({b"1": b"a", b"2": b"b"})
    await board.remember({})
    await board.forget([b"2"])
    await board.forget([])
    assert await board.recall() == {b"1": b"a"}


async def test_a_worker_posts_and_follows(client: Redis) -> None:
    """Its report names what it reserved, holds and saw; the pace on the board becomes that of its line items, those
    that it does not name go at full pace; another index goes on with the same pace and the same totals."""
    board, allowance, clock = Board(client), Allowance(7), ManualClock(NOW_S)
    keeper = Follower(board, allowance, clock, Tally(), 5.0)
    limits = Limits("c", "l", ZoneInfo("UTC"))
    allowance.adopt({10: ("shop", limits)})
    line = allowance.line(10)
    assert line is not None
    allowance.open(line, 7 << 32 | 1, NOW_S).grant(1_000, 0)
    allowance.book("shop").until_s = NOW_S + 9_000
    assert allowance.reserve(10, Micros(300), int(NOW_S), int(NOW_S) + 900)
    pace = Pace(2)
    keeper.adopt(np.array([10, 20], np.uint64), pace)
    pace.saw(np.array([0, 0, 1]))
    await keeper.step()
    (report,) = (await board.reports(NOW_S)).values()
    assert report.keys.tolist() == [10, 20]
    assert (report.reserved.tolist(), report.idle.tolist()) == ([300, 0], [700, 0])
    assert report.seen.tolist() == [2, 1]
    assert pace.multiplier.tolist() == [1.0, 1.0]

    await board.publish(_paces(k5=0.125, k10=0.125, k30=0.5))
    await keeper.step()
    assert pace.multiplier.tolist() == [0.125, 1.0]
    assert pace.thinned == {10: 0.5}
    other = Pace(3)
    keeper.adopt(np.array([30, 20, 10], np.uint64), other)
    assert other.multiplier.tolist() == [0.5, 1.0, 0.125]
    other.saw(np.array([1]))
    assert (await keeper.report(NOW_S)).seen.tolist() == [2, 2]


async def test_a_ceiling_lasts_for_a_period(client: Redis) -> None:
    """A line item that committed its ceiling waits, and goes on with the next period, also where nobody leads."""
    board, allowance, clock = Board(client), Allowance(7), ManualClock(NOW_S)
    keeper = Follower(board, allowance, clock, Tally(), 5.0)
    allowance.adopt({10: ("shop", Limits("c", "l", ZoneInfo("UTC")))})
    line = allowance.line(10)
    assert line is not None
    allowance.open(line, 7 << 32 | 1, NOW_S).grant(1_000_000, 0)
    allowance.book("shop").until_s = NOW_S + 9_000
    keeper.adopt(np.array([10], np.uint64), Pace(1))
    paces = _paces(k10=1.0)
    await board.publish(msgspec.structs.replace(paces, ceiling=np.array([500], np.int64)))
    await keeper.step()
    for _ in range(2):
        assert _reserve(allowance, 300)
        await keeper.watch()
        assert not allowance.halted(10)
        assert _reserve(allowance, 300)
        await keeper.watch()
        assert allowance.halted(10)
        assert not _reserve(allowance, 1)
        assert allowance.wanting() == []
        clock.advance(2)
        await keeper.step()
        assert allowance.halted(10)
        clock.advance(3)
        await keeper.step()
        assert not allowance.halted(10)


def _reserve(allowance: Allowance, cost: int) -> int:
    return allowance.reserve(10, Micros(cost), int(NOW_S), int(NOW_S) + 900)


async def test_without_a_board_the_last_pace_holds(tmp_path: Path) -> None:
    """A board that cannot be reached changes nothing, and is counted."""
    tally = Tally()
    async with EmbeddedServer(tmp_path / "ledger") as server:
        redis = Redis.from_url(server.url)
        await Board(redis).publish(_paces(k10=0.25))
        keeper = Follower(Board(redis), Allowance(7), ManualClock(NOW_S), tally, 5.0)
        pace = Pace(1)
        keeper.adopt(np.array([10], np.uint64), pace)
        await keeper.step()
    await keeper.step()
    assert pace.multiplier.tolist() == [0.25]
    cells = {cell.name: value for cell, value in tally.samples()}
    assert cells["paceline_pace_board_failures_total"] == 1
    await redis.aclose()
