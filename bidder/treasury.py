"""A worker's money and views, put together: leases in front of its bids, a spool behind its notices.

Place: app.py opens one per worker, tells it of every new index, and closes it after the last answer.
Rule: opened before the ports listen, so that the first bid finds money; closed after they are shut: what was
    accepted is carried out first, then leases go home.
    Whose account the ledger has is heard before the first notice comes: bills of line items that are in no campaign
    any more are theirs. A ledger that is down then is asked again until it tells.
Limits: a ledger that does not answer keeps no worker from being ready for longer than PREFETCH_S, nor from ending for
    longer than CLOSE_S.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from bidder.clock import Clock
from bidder.config import Config, WorkerSetup
from bidder.live import Live
from bidder.metrics import Tally
from bidder.notices.series import LineSeries
from bidder.spending.board import Board
from bidder.spending.charges import Charges
from bidder.spending.drain import Drain, open_drain
from bidder.spending.exposures import PeopleLogs
from bidder.spending.follower import Follower
from bidder.spending.sightings import Sightings
from bidder.spending.sizing import Rules
from bidder.spending.treasurer import Treasurer
from bidder.stores.people import Source
from bidder.stores.people_writer import open_client
from budget.allowance import Allowance
from budget.money import CpmMicros, cost_of_one
from budget.redis_store import RedisStore
from budget.store import LedgerDown, Store

PREFETCH_S: Final = 3.0
CLOSE_S: Final = 5.0
RETRY_S: Final = 1.0

_log = logging.getLogger(__name__)

Remember = Callable[[Iterable[str]], None]


class Treasury:
    """One worker's dealings with the ledger."""

    def __init__(
        self, config: Config, setup: WorkerSetup, source: Source, tally: Tally, clock: Clock
    ) -> None:
        """`source` reaches the people, whose views notices tell of; opens the spool, which may raise OSError."""
        self._config, self._clock = config, clock
        self.allowance = Allowance()
        self._client = open_client(config.ledger_store(setup.ledger_url))
        self._store, self._board, self._tally = (
            RedisStore(self._client, config.waits()),
            Board(self._client),
            tally,
        )
        self._treasurer = Treasurer(self._store, self.allowance, clock, tally, rules_of(config))
        self._charges = charges = Charges(self._store, tally, LineSeries(), clock)
        sightings = Sightings(PeopleLogs(source, tally, clock), tally, clock)
        self.drain: Drain = open_drain(
            (Path(setup.spool_dir), setup.slot), tally, (charges.plan, sightings.plan)
        )
        self._paces: Follower | None = None
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, live: Live, remember: Remember) -> None:
        """Lease for the live line items, then carry on in the background; `remember` is told whom the ledger knows."""
        self.drain.run()
        hearing = asyncio.create_task(hear_advertisers(self._store, remember, self._stopping))
        index = live.world.index
        self._know(live)
        costs = {line.key: cost_of_one(CpmMicros(line.max_bid_cpm_micros)) for line in index.lines}
        if not await self._treasurer.prefetch(self._config.ledger.prefetch, costs, PREFETCH_S):
            _log.warning("the ledger did not answer: nothing is bid before it does")
        else:
            await asyncio.wait({hearing}, timeout=PREFETCH_S)
        period_s = self._config.ledger.pacing_period_s
        self._paces = Follower(self._board, self.allowance, self._clock, self._tally, period_s)
        self._paces.adopt(index.columns.keys, live.world.pricer.pace)
        await self._paces.step()
        self._tasks = [
            asyncio.create_task(self._treasurer.run()),
            asyncio.create_task(self._paces.run(self._stopping)),
            hearing,
        ]

    def adopt(self, live: Live) -> None:
        """Other line items are live."""
        self._know(live)
        if self._paces is not None:
            self._paces.adopt(live.world.index.columns.keys, live.world.pricer.pace)

    async def close(self) -> None:
        """Carry out what notices asked for, send leases home."""
        self._stopping.set()
        for task in self._tasks[:1]:
            task.cancel()  # it leaves a step under way to its own `close`
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if not await self.drain.close(CLOSE_S):
            _log.warning("accepted notices wait on disk: the ledger did not take them in time")
        closing = asyncio.create_task(self._treasurer.close())
        done, _ = await asyncio.wait({closing}, timeout=CLOSE_S)
        if not done:
            _log.warning("the ledger does not answer: leases go home when this worker is taken for dead")
        for task in done:
            task.result()
        await self._client.aclose()

    def _know(self, live: Live) -> None:
        """Whose money bounds what, and in which currency."""
        index = live.world.index
        self._charges.currencies |= {shop.id: shop.currency for shop in live.book.advertisers}
        self.allowance.adopt({line.key: (line.advertiser_id, line.limits) for line in index.lines})


async def hear_advertisers(
    store: Store, remember: Remember, stopping: asyncio.Event, retry_s: float = RETRY_S
) -> None:
    """Ask the ledger once whose accounts it has; again after `retry_s` where it is down, until told to stop."""
    while not stopping.is_set():
        try:
            remember(await store.advertisers())
            return
        except LedgerDown:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(retry_s):
                    await stopping.wait()


def rules_of(config: Config) -> Rules:
    """How the workers of a configuration draw on the ledger."""
    slowest_s = max(profile.notice_delay_s for profile in config.profiles())
    return Rules(hold_s=float(config.ledger.max_exp_s + slowest_s), bids=config.ledger.lease_bids)
