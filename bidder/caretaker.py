"""The caretaker: a process beside the bookkeeper that does what nobody waits for: chores, each on its own period.

Place: the supervisor starts one per host; chores.py has the table of all that it does.
Rule: a chore that fails is counted, logged and tried again at its next turn; it stops no other, and none overlaps
    itself. SIGHUP makes every chore due.
Limits: at the end a chore that runs has END_S, then the process ends under it: whatever a chore does can be killed at
    any step, and is done by its next turn.
"""

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path
from typing import Final

from msgspec import structs

from bidder.chores import CHORES, Chore, Hands
from bidder.clock import SystemClock
from bidder.config import Announcement, Config, WorkerSetup
from bidder.link import announce
from bidder.metrics import Metric, Tally
from bidder.stores.people_writer import open_client

END_S: Final = 10.0

METRICS = (
    Metric(
        "paceline_chore_last_success_timestamp_seconds",
        "gauge",
        "When a chore was last done",
        ("chore",),
        merge="max",
    ),
    Metric("paceline_chore_failures_total", "counter", "Times that a chore failed", ("chore",)),
    Metric("paceline_chore_seconds_total", "counter", "Time spent on a chore", ("chore",), scale=1e-9),
)

_log = logging.getLogger(__name__)


class Caretaker:
    """One caretaker, from start to end."""

    def __init__(self, config: Config, setup: WorkerSetup, chores: tuple[Chore, ...] = CHORES) -> None:
        self._chores, self._setup = chores, setup
        tally = Tally(Path(setup.tally_path) if setup.tally_path else None)
        client = open_client(structs.replace(config.stores, redis_url=setup.redis_url))
        self._hands = Hands(config, setup, client, tally, SystemClock())
        self._stopping = asyncio.Event()
        self._due = {chore.name: asyncio.Event() for chore in chores}
        for chore in chores:
            tally.slot(
                "paceline_chore_failures_total", chore.name
            )  # so that the first one is seen as an increase

    async def run(self) -> bool:
        """Do chores until told to stop; False where one could not be waited for."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.hurry)
        announce(self._setup.announce_fd, Announcement(ready=True))
        working = [asyncio.create_task(self._keep(chore)) for chore in self._chores]
        await self._stopping.wait()
        _, late = await asyncio.wait(working, timeout=END_S)
        for task in late:
            task.cancel()
        with contextlib.suppress(Exception):
            await self._hands.client.aclose()
        return not late

    def stop(self) -> None:
        """Begin nothing more, and end."""
        self._stopping.set()
        self.hurry()

    def hurry(self) -> None:
        """Make every chore due: files or campaigns may have changed."""
        for due in self._due.values():
            due.set()

    async def _keep(self, chore: Chore) -> None:
        due, period_s = self._due[chore.name], chore.period_s(self._hands.config)
        while not self._stopping.is_set():
            due.clear()
            await self._do(chore)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(period_s):
                    await due.wait()

    async def _do(self, chore: Chore) -> None:
        tally, clock = self._hands.tally, self._hands.clock
        begun_ns = clock.monotonic_ns()
        try:
            await chore.do(self._hands)
            tally.set("paceline_chore_last_success_timestamp_seconds", chore.name, value=int(clock.now_s()))
        except Exception as error:
            tally.count("paceline_chore_failures_total", chore.name)
            _log.error(
                "the chore %s failed, its next turn tries again: %s: %s",
                chore.name,
                type(error).__name__,
                error,
            )
            _log.debug("the chore %s", chore.name, exc_info=True)
        finally:
            tally.count("paceline_chore_seconds_total", chore.name, by=clock.monotonic_ns() - begun_ns)


def run_caretaker(config: Config, setup: WorkerSetup) -> None:
    """Be the caretaker until told to stop."""
    with asyncio.Runner() as runner:
        if not runner.run(_main(config, setup)):
            os._exit(0)  # a thread that still works would be waited for


async def _main(config: Config, setup: WorkerSetup) -> bool:
    return await Caretaker(config, setup).run()
