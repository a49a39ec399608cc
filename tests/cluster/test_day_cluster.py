"""The simulated day with its ledger on a cluster, a primary killed in the middle: not a micro is overspent or lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder.settings import Stores
from bidder.stores.people_writer import open_client
from budget.redis_store import RedisStore
from budget.store import Waits
from tests.cluster.shards import Shards
from tests.day.market import Market
from tests.day.simulator import Day, Mishaps
from tests.day.test_day import HOUR_S, SEED, START_S, books_agree, overspent, report

pytestmark = pytest.mark.timeout(240)

LINES, BIDS, TICK_S = 48, 8_000, 240
MISHAPS = Mishaps(
    deaths=((11 * HOUR_S, 1), (15 * HOUR_S + 700, 2)),
    outage=range(13 * HOUR_S, 13 * HOUR_S + 4 * TICK_S),
    lost_answers=0.01,
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A ledger that is away is told in the log."""
    with caplog.at_level("CRITICAL"):
        yield


async def test_a_day_on_a_cluster_that_loses_a_primary(shards: Shards, tmp_path: Path) -> None:
    """Four workers, six advertisers on three shards, kill -9 of a primary: its replica takes over, workers go on by
    themselves; overspend is 0 on every level, each charge stands once, every lease comes home, the journal is whole."""
    client = open_client(Stores(redis_url=shards.urls))
    store = RedisStore(client, Waits(1, 4_000))
    day = Day(Market(SEED + 2, LINES, BIDS), store, START_S, TICK_S, MISHAPS)
    day.pretends = False
    advertiser = next(iter(day.market.funds))
    took: list[float] = []

    def outage(begins: bool) -> None:
        if begins:
            shards.kill(shards.primary(advertiser))
        else:
            took.append(shards.promoted(advertiser))
            shards.mend()

    day.outage = outage
    try:
        await day.run()
        report(day)
        assert overspent(day) == {}
        await books_agree(day, store, tmp_path)
        assert day.counted("paceline_ledger_failures_total") > 0
        assert day.counted("paceline_leases_reclaimed_total") > 0
        assert took
    finally:
        await client.aclose()
