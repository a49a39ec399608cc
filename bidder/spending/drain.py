"""From accepted notices to money and caps: takes orders at once, carries them out behind their answers' back.

Place: app.py opens one per worker; notices/apply accepts into it, on the path of a notice.
Limits: LINGER_S gathers what arrives together into one call; every LOOK_S it looks for spools of dead processes, every
    TELL_S it says how much waits; `close` drains for as long as it is told, and leaves the rest on disk.
Rule: `sync_ms` 0 leaves writing to the kernel: kill -9 loses nothing, a power loss what spool.py says; above 0 the
    spool is written to disk every so many milliseconds, by a thread, and no answer waits for it.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Final

from bidder.metrics import Tally
from bidder.notices.orders import Order
from bidder.spending.lane import Lane, Plan
from bidder.spending.spool import write_out
from bidder.spending.spools import MAX_BYTES, Spools

LINGER_S: Final = 0.005
LOOK_S: Final = 5.0
TELL_S: Final = 1.0
MONEY: Final = 0
FREQUENCY: Final = 1

_log = logging.getLogger(__name__)


class Drain:
    """One worker's accepted notices on their way."""

    def __init__(self, spools: Spools, charges: Plan, sightings: Plan, sync_ms: float = 0.0) -> None:
        """`charges` and `sightings` plan the work of either lane."""
        self.spools, self._sync_ms = spools, sync_ms
        self._lanes = [Lane(MONEY, spools.sources, charges), Lane(FREQUENCY, spools.sources, sightings)]
        self._wakes = [asyncio.Event() for _ in self._lanes]
        self._locks = [asyncio.Lock() for _ in self._lanes]
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    def accept(self, order: Order) -> bool:
        """See notices.orders.Queue."""
        kept = self.spools.accept(order)
        for wake in self._wakes:
            wake.set()
        return kept

    async def step(self) -> bool:
        """Carry out all that waits, once; False where something could not be reached."""
        done = [await self._lane_step(number) for number in range(len(self._lanes))]
        self.spools.look()
        return all(done)

    def run(self) -> None:
        """Carry on in the background until `close`."""
        jobs = [self._run_lane(number) for number in range(len(self._lanes))] + [self._look(), self._tell()]
        if self._sync_ms:
            jobs.append(self._sync())
        self._tasks = [asyncio.create_task(job) for job in jobs]

    async def close(self, within_s: float) -> bool:
        """Carry out what can be done in so many seconds, then let go; whether nothing is left.

        Nothing may be accepted any more. A call that is still unanswered then is cancelled: its orders are in doubt, as
        after a kill, and whoever takes the spool over asks again."""
        self._closing = True
        for wake in self._wakes:
            wake.set()
        lanes, others = self._tasks[: len(self._lanes)], self._tasks[len(self._lanes) :]
        if not lanes:
            lanes = [asyncio.create_task(self._run_lane(number)) for number in range(len(self._lanes))]
        for task in others:
            task.cancel()
        _, late = await asyncio.wait(lanes, timeout=within_s)
        for task in late:
            task.cancel()
        for task in (*lanes, *others):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.spools.close()
        return not late

    async def _lane_step(self, number: int) -> bool:
        async with self._locks[number]:
            try:
                return await self._lanes[number].step()
            except Exception:
                _log.exception("a spool cannot be drained")
                return False

    async def _run_lane(self, number: int) -> None:
        wake, lane = self._wakes[number], self._lanes[number]
        while True:
            wake.clear()
            if not await self._lane_step(number):
                await asyncio.sleep(lane.pause_s)
            elif self._closing:
                return
            else:
                await wake.wait()
                await asyncio.sleep(0 if self._closing else LINGER_S)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.spools.look()
            except OSError:
                _log.exception("the spools' folder cannot be read")
            for wake in self._wakes:
                wake.set()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            self.spools.tell()

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(self._sync_ms / 1_000)
            try:
                await asyncio.to_thread(write_out, self.spools.own.unsynced())
            except OSError:
                _log.exception("the spool cannot be written to disk")


def open_drain(
    place: tuple[Path, int], tally: Tally, plans: tuple[Plan, Plan], sync_ms: float = 0.0
) -> Drain:
    """A worker's drain; `place` is (folder, slot), `plans` those of Charges and Sightings. Raises OSError."""
    folder, slot = place
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Drain(Spools(folder, slot, tally, MAX_BYTES), *plans, sync_ms)
