"""Money of two instances on a cluster whose primaries die under load: nothing is overspent, nothing accepted is lost.

Rule: as in tests/service/test_money_faults; an exchange keeps its own books. `ledger.wait_replicas` is 1: what a
    replica has not acknowledged is no money and no charge.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from budget.accounts import WALLET
from budget.money import Micros
from tests.cluster.fleet import Fair, Fleet, fleet
from tests.cluster.shards import Shards
from tests.service import money
from tests.service.market import Fate
from tests.service.reckoning import BUDGETS, LATE_SHARE, SETTINGS, SITES, SMALL, UNIT, Reckoning
from tests.service.test_money_faults import kill

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

SAFE = {**SETTINGS, "ledger": {"lease_bids": 4, "wait_replicas": 1, "wait_ms": 500}}
RATE = 100.0


async def storm(both: Fleet, market: Fair, shards: Shards) -> dict[str, float]:
    """A worker, the primary of most of the money, its successor, and an instance are killed; the last primary has
    written for a while what its replica never hears."""
    took = {}
    await market.more(120)
    kill(both.services["one"].workers()[0])
    await market.more(100)
    _, took["first failover"] = await asyncio.to_thread(shards.lose, "levels")
    await market.more(100)
    await asyncio.to_thread(shards.mend)
    await market.more(100)
    behind = await asyncio.to_thread(shards.cut, "levels")
    await market.more(100)
    two = both.services["two"]
    two.look()
    kill(two.process.pid)
    _, took["second failover"] = await asyncio.to_thread(shards.lose, "levels", behind)
    await asyncio.to_thread(two.gone)
    await asyncio.to_thread(shards.mend)
    await asyncio.to_thread(both.start, "two")
    market.move(both.services["one"])
    await market.more(200)
    return took


async def test_primaries_that_die_under_load_cost_no_money(tmp_path: Path, shards: Shards) -> None:
    """kill -9 of a worker, of the ledger's primary, of its successor and of a whole instance, notices delayed, doubled
    and told to either instance: each accepted bill is charged once, no level is overspent, the journal has no hole."""
    with fleet(tmp_path, shards, SAFE, campaigns=BUDGETS) as both:
        both.start("one", workers=2, wallet=Micros(SMALL))
        both.start("two", wallet=Micros(SMALL))
        market = Fair(both, BUDGETS, seed=11)
        market.fates["hasty"] = Fate(bill=0.7, lose=0.1, both=0.1, delay_s=6.0)
        market.limits["small", WALLET] = SMALL
        for advertiser in ("levels", "free"):
            money.fund(shards.urls, advertiser, Micros(100 * UNIT), "more")
        async with market.open(SITES, RATE):
            took = await storm(both, market, shards)
        reckoning = Reckoning(market, shards.urls, both.journal)
        await asyncio.to_thread(reckoning.settled)
        reckoning.prove()
        assert {status for _, status in market.answers} == {200, 204}
        late = both.total("paceline_late_answers_total")
        assert late <= LATE_SHARE * market.answered
        assert not both.total("paceline_outcomes_total", outcome="fault")
        begun_anew = both.total("paceline_leases_lost_total")
        print(
            f"\n{market.answered} answers, {len(market.sales)} bids, {late} late answers; {took} s;"
            f" workers began anew {begun_anew} times"
        )
