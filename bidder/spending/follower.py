"""A worker's side of pacing: it reports what it reserved and saw, and follows the pace that stands on the board.

Place: one per worker, between its auction and the board; app.py tells it of every new index.
Shapes: N line items of the live index, by number; the board speaks of them by key.
Limits: one report and one reading per period; a board that cannot be reached leaves the last pace as it is.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from redis import RedisError

from bidder.clock import Clock
from bidder.metrics import Metric, Tally
from bidder.outage import Outage
from bidder.spending.board import NO_CEILING, Board, Paces, Report
from budget.allowance import Allowance
from budget.slices import Line

LOOKS: Final = 9
"""At ceilings, in a period."""
POSTS: Final = 3
"""In a period, so that the bookkeeper's step never hears of a report that is a whole period old."""
CHUNK: Final = 200
"""Line items: some 0.3 ms of work."""

METRICS: Final = (
    Metric("paceline_pace_age_seconds", "gauge", "Since the pace that is followed was computed", merge="max"),
    Metric("paceline_pace_board_failures_total", "counter", "Times the pacing board could not be reached"),
)

_log = logging.getLogger(__name__)


class PaceOf(Protocol):
    """What the auction lets pacing set and know of one index."""

    def set(self, multiplier: NDArray[np.float64], thinned: Mapping[int, float]) -> None:
        """Follow this pace."""

    def seen(self) -> NDArray[np.int64]:
        """(N,) how often each line item was a candidate."""


class Follower:
    """Posts and follows."""

    def __init__(
        self, board: Board, allowance: Allowance, clock: Clock, tally: Tally, period_s: float
    ) -> None:
        """`period_s` is that of pacing."""
        self._board, self._allowance, self._period_s = board, allowance, period_s
        self._clock, self._tally = clock, tally
        self._keys: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._numbers: dict[int, int] = {}
        self._before: NDArray[np.int64] = np.zeros(0, np.int64)
        """Seen with earlier indexes, by number of this one."""
        self._pace: PaceOf | None = None
        self._followed: Paces | None = None
        self._ceilings: dict[int, int] = {}
        self._outage = Outage(_log, "the pacing board", "the last pace holds")
        self._begun_s = 0.0
        self._begun: dict[int, int] = {}
        """By key, what was committed when the period began."""

    def adopt(self, keys: NDArray[np.uint64], pace: PaceOf) -> None:
        """Another index is live: its line items' keys (N,) and its pace. What was followed is followed on."""
        totals = dict(zip(self._keys.tolist(), self._seen().tolist(), strict=True))
        self._keys, self._pace = keys, pace
        self._numbers = {key: number for number, key in enumerate(keys.tolist())}
        self._before = np.array([totals.get(key, 0) for key in keys.tolist()], np.int64)
        if self._followed is not None:
            self._follow(self._followed)

    async def run(self, stopping: asyncio.Event) -> None:
        """Step until told to stop; a call under way is not cut short."""
        look = 0
        while not stopping.is_set():
            if look % (LOOKS // POSTS) == 0:
                await self.step()
            else:
                await self.watch()
            look += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._period_s / LOOKS):
                    await stopping.wait()

    async def step(self) -> None:
        """Report, and follow what the board says."""
        now_s = self._clock.now_s()
        report = await self.report(now_s)
        try:
            if self._allowance.worker:
                await self._board.post(self._allowance.worker, report)
            paces = await self._board.paces()
        except (RedisError, OSError) as error:
            self._tally.count("paceline_pace_board_failures_total")
            self._outage.begins(error)
            paces = None
        else:
            self._outage.ends()
        fresh = paces is not None and (self._followed is None or paces.at_s != self._followed.at_s)
        if paces is not None and fresh:
            self._follow(paces)
        if self._followed is not None:
            if fresh or now_s - self._begun_s >= self._period_s:
                self._begin(self._followed, now_s)
            self._tally.set("paceline_pace_age_seconds", value=max(0, int(now_s - self._followed.at_s)))

    async def report(self, now_s: float) -> Report:
        """What this worker reserved, holds idle and saw, of the line items where that is anything."""
        keys, numbers = self._keys, self._numbers
        money = np.zeros((5, len(keys)), np.int64)
        async for line in self._some_lines():
            number = numbers.get(line.key)
            if number is not None:
                money[:, number] = line.committed, line.idle, line.settled, line.freed, line.wins
        if keys is not self._keys:  # another index came meanwhile
            return await self.report(now_s)
        seen = self._seen()
        rows = np.flatnonzero(money.any(axis=0) | (seen > 0))
        reserved, idle, settled, freed, wins = money[:, rows]
        return Report(now_s, keys[rows], reserved, idle, seen[rows], settled, freed, wins)

    async def watch(self) -> None:
        """Line items that committed as much as the period's ceiling wait for the next pace."""
        ceilings, begun = self._ceilings, self._begun
        async for line in self._some_lines():
            ceiling = ceilings.get(line.key)
            if ceiling is not None and not line.halted:
                engaged = line.engaged
                if engaged - begun.setdefault(line.key, engaged) >= ceiling:
                    self._allowance.halt(line, True)

    async def _some_lines(self) -> AsyncIterator[Line]:
        """Line items with money, CHUNK to a turn of the loop: bids go on between them."""
        for count, line in enumerate(list(self._allowance.lines()), start=1):
            yield line
            if count % CHUNK == 0:
                await asyncio.sleep(0)

    def _seen(self) -> NDArray[np.int64]:
        return self._before + self._pace.seen() if self._pace is not None else self._before

    def _follow(self, paces: Paces) -> None:
        """Line items that the pace does not name go at full pace."""
        self._followed = paces
        if self._pace is None:
            return
        multiplier, share = np.ones(len(self._keys)), np.ones(len(self._keys))
        if len(paces.keys) and len(self._keys):
            place = np.searchsorted(paces.keys, self._keys).clip(max=len(paces.keys) - 1)
            named = paces.keys[place] == self._keys
            multiplier[named] = paces.multiplier[place[named]]
            share[named] = paces.share[place[named]]
        thin = np.flatnonzero(share < 1.0)
        thinned = dict(zip(self._keys[thin].tolist(), share[thin].tolist(), strict=True))
        self._pace.set(multiplier, thinned)

    def _begin(self, paces: Paces, now_s: float) -> None:
        """A period begins, with a new pace or, where nobody leads, with the last one: nobody waits any more."""
        bounded = np.flatnonzero(paces.ceiling != NO_CEILING)
        self._ceilings = dict(zip(paces.keys[bounded].tolist(), paces.ceiling[bounded].tolist(), strict=True))
        self._begun, self._begun_s = {}, now_s
        for line in self._allowance.lines():
            if line.halted:
                self._allowance.halt(line, False)
            if line.key in self._ceilings:
                self._begun[line.key] = line.engaged
