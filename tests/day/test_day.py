"""A simulated day: four workers, 200 line items, and everything goes wrong that can. Not a micro is overspent.

The two days differ in their ledger alone: one in memory, one on a real server that is killed in the middle and comes
back from its append-only file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from budget.accounts import WALLET
from budget.audit import audit
from budget.memory_store import MemoryStore
from budget.redis_store import RedisStore
from tests.day.market import Item, Market
from tests.day.simulator import WORKERS, Day, Mishaps
from tests.servers import RealServer

SEED = 20_261_025
START_S = 1_792_864_800  # 2026-10-24 18:00 UTC: Berlin's Sunday has 25 hours
LINES = 200
HOUR_S = 3_600
MISHAPS = Mishaps(
    deaths=((11 * HOUR_S, 1), (15 * HOUR_S + 700, 2)),
    outage=range(13 * HOUR_S, 13 * HOUR_S + 300),
    lost_answers=0.01,
)
USED = 0.98


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A ledger that is away is told in the log, hundreds of times in such a day."""
    with caplog.at_level("CRITICAL"):
        yield


@pytest.mark.timeout(180)
async def test_a_day_in_memory(tmp_path: Path) -> None:
    """Overspend 0 on every level, nothing counted twice, all leases home, budgets used where there was supply."""
    store = MemoryStore()
    day = Day(Market(SEED, LINES, 100_000), store, START_S, 30, MISHAPS)
    day.each_hour = store.check
    await day.run()
    await judge(day, store, tmp_path)


@pytest.mark.timeout(240)
async def test_a_day_on_a_server_that_is_killed(own_server: RealServer, tmp_path: Path) -> None:
    """The same, with kill -9 of the server and a restart from its append-only file."""
    store = RedisStore.connect(own_server.url)
    day = Day(Market(SEED + 1, LINES, 40_000), store, START_S, 90, MISHAPS)
    day.pretends = False
    day.outage = lambda gone: own_server.kill() if gone else own_server.restart()
    try:
        await day.run()
        await judge(day, store, tmp_path)
    finally:
        await store.close()


async def judge(day: Day, store: Any, folder: Path) -> None:
    """All claims on a day that is over."""
    report(day)
    assert overspent(day) == {}
    await books_agree(day, store, folder)
    total, each = utilisation(day)
    assert total >= USED
    assert {name for name, (part, short) in each.items() if part < USED and short > 0} == set()
    assert {name.split(" ")[1].split("/")[0] for name in each} == {"wallet", "campaign", "line"}
    assert day.counted("paceline_leases_reclaimed_total") >= 2 * len(day.market.funds)
    assert day.counted("paceline_ledger_failures_total") > 0
    assert day.counted("paceline_leases_lost_total") == 0


def overspent(day: Day) -> dict[tuple[str, str], int]:
    """Limited accounts of which more was charged than their limit, by the simulator's own tally."""
    tally = day.tally
    return {
        key: tally.charged[key] - limit for key, limit in tally.limits.items() if tally.charged[key] > limit
    }


def utilisation(day: Day) -> tuple[float, dict[str, tuple[float, int]]]:
    """Used part of what could be used: of all accounts that starved a line item to the end of a period; of each one,
    and how much more of it is unused than may lie in slices (sizing.Rules): one bid's cost for each worker and each
    line item that draws on it."""
    tally, used, held = day.tally, 0, 0
    each: dict[str, tuple[float, int]] = {}
    for line, span in tally.starved():
        item = day.market.items[line]
        account = tally.fullest(item.advertiser, span.path)
        key = item.advertiser, account
        if " ".join(key) not in each:
            used, held = used + tally.charged[key], held + tally.limits[key]
        slices = sum(other.cost for other in day.market.items if draws_on(other, *key))
        short = tally.limits[key] - tally.charged[key] - WORKERS * slices * 3 // 2
        each[" ".join(key)] = tally.used(*key), short
    return used / held, each


def draws_on(item: Item, advertiser: str, account: str) -> bool:
    """Whether an account bounds a line item."""
    name = account.partition("/day/")[0].partition("/hour/")[0]
    own = {"wallet", f"campaign/{item.limits.campaign_id}", f"line/{item.limits.line_item_id}"}
    return item.advertiser == advertiser and name in own


async def books_agree(day: Day, store: Any, folder: Path) -> None:
    """The ledger's books, its journal and the simulator's tally say the same of every account."""
    for advertiser in day.market.funds:
        books = await store.books(advertiser)
        told = {name: balance.spent for name, balance in books.accounts.items() if balance.spent}
        mine = {
            name: spent for (who, name), spent in day.tally.charged.items() if who == advertiser and spent
        }
        assert told == mine
        wallet = books.accounts[WALLET]
        assert wallet.absorbed == day.tally.absorbed[advertiser]
        assert wallet.spent + wallet.absorbed == day.tally.true[advertiser]
        assert wallet.late + wallet.absorbed == day.tally.too_late[advertiser]
        assert {name: balance.leased for name, balance in books.accounts.items() if balance.leased} == {}
        found = await audit(store, folder, advertiser)
        assert found.findings == ()
        assert set(found.overspend.values()) == {0}


def report(day: Day) -> None:
    """What happened, for whoever runs it with -s."""
    total, each = utilisation(day)
    tally = day.tally
    print(
        f"\nbids {day.bids}, refused {day.refused}, notices twice {day.repeated}, charges {len(tally.fates)}:"
        f" {sum(tally.true.values())} micros, too late {sum(tally.too_late.values())},"
        f" absorbed {sum(tally.absorbed.values())}"
        f"\nutilisation {total:.4f} of {len(each)} accounts that were used up; least: "
        + ", ".join(
            f"{name} {part:.4f}" for name, (part, _) in sorted(each.items(), key=lambda pair: pair[1])[:9]
        )
    )
