"""One child's place: a process is started in it, and another when that one dies or is to be replaced.

Place: the supervisor holds one `Slot` per worker, one for the bookkeeper and one for the caretaker.
Rule: a worker that lived at least STEADY_S is replaced at once; one that dies young is replaced at once
    the first time, then after a pause that doubles from BACKOFF_S to BACKOFF_MAX_S. After ALARM_DEATHS young
    deaths in a row the slot is `failing`, until a worker lives long enough.
    A worker that cannot even be started, since the machine has no process, file or memory left, died young, too: the
    slot tries on, and nothing else ends for it.
    The slot's listening sockets are the supervisor's: a successor is handed the very ones that its predecessor accepts
    from, so that no connection notices a planned replacement. When a worker dies they are closed at once, and its
    successor gets new ones: a start takes seconds and a bid has 100 ms, so whoever comes meanwhile goes to another
    slot, or is refused and not kept waiting.
    Two processes of a slot count in two files: what both added to one cell would be lost now and then. The scrape sums
    them.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import structs

from bidder.config import Config, WorkerSetup
from bidder.link import EXIT_CONFIG, Handover
from bidder.supervisor.children import Child
from bidder.supervisor.folder import second_tally
from bidder.supervisor.gauges import forget_gauges
from bidder.web.sockets import SlotSockets

STEADY_S: Final = 10.0
BACKOFF_S: Final = 0.2
BACKOFF_MAX_S: Final = 10.0
ALARM_DEATHS: Final = 3
KILL_AFTER_S: Final = 8.0
"""How much longer than their drain time-out workers may take: the public port drains (3 s), leases go home (5 s)."""

_log = logging.getLogger(__name__)


class Unusable(Exception):
    """A worker refused what it was given at its first start."""


class Slot:
    """Keeps one worker running until told to stop."""

    def __init__(
        self,
        number: int,
        command: tuple[str, ...],
        config: Config,
        setup: Callable[[int, int], WorkerSetup],
        name: str = "",
    ) -> None:
        """`command` runs a worker, the link's descriptor is its last argument; `setup` makes what it is
        handed, of (slot, descriptor); `name` is for the log."""
        self.number, self.name = number, name or f"worker {number}"
        self.sockets: SlotSockets | None = None
        """What its workers listen on; None: they bind sockets of their own, or have none."""
        self.restarts = 0
        self.young_deaths = 0
        self.hung = 0
        """Workers that were killed because they hung."""
        self._command, self._config, self._setup = command, config, setup
        self._worker: Child | None = None
        self._successor: Child | None = None
        self._leaving: Child | None = None
        """Beside the worker at most one of these two."""
        self._last_tally: Path | None = None
        self._was_ready = False
        self._over = asyncio.Event()
        """The worker of the time ended."""
        self._stop = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether its worker takes requests."""
        return self._worker is not None and self._worker.ready

    @property
    def pid(self) -> int | None:
        """The worker's process id; None between two workers."""
        return self._worker.pid if self._worker else None

    @property
    def beside(self) -> int | None:
        """The process id of a successor that starts, or of a predecessor that drains."""
        other = self._successor or self._leaving
        return other.pid if other else None

    @property
    def failing(self) -> bool:
        """Whether its workers die again and again."""
        return self.young_deaths >= ALARM_DEATHS

    @property
    def _children(self) -> list[Child]:
        return [child for child in (self._worker, self._successor, self._leaving) if child is not None]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the slot."""
        for child in self._children:
            child.signal(number)

    def reload(self) -> None:
        """Make the worker load campaigns anew; one that is still starting does so when it is ready."""
        for child in (self._worker, self._successor):
            if child is not None:
                child.reload()

    def stop(self) -> None:
        """Let the worker drain and start no other."""
        self._stop.set()
        self.signal(signal.SIGTERM)
        if self.sockets is not None:  # from now on the worker's own are the last ones
            self.sockets.let_go()

    async def keep(self) -> None:
        """Run workers until `stop`; raises Unusable where the very first refuses its configuration."""
        while not self._stop.is_set():
            try:
                self._worker = await self._start()
            except OSError as error:
                await self._closed()
                self._count_death(steady=False)
                await self._pause(f"cannot be started: {error}")
                continue
            await self._over.wait()  # of this worker, or of the last one that took over from it
            self._over.clear()
            worker, self._worker = self._worker, None
            assert worker is not None, "it was, until now"
            status = worker.ended.result()
            self._was_ready |= worker.was_ready
            if self._stop.is_set():
                break
            await self._closed()
            if status == EXIT_CONFIG and not self._was_ready:
                raise Unusable(f"{self.name} cannot use the configuration: its log says why")
            self._count_death(steady=time.monotonic() - worker.started_s >= STEADY_S)
            await self._pause(f"died (status {status})")
        for child in self._children:
            await asyncio.wait({child.ended})

    async def replace(self, within_s: float) -> str:
        """Put a successor in the place of the worker, which then drains, and wait for its end; why not, if not.

        A successor that is not ready in `within_s` is given up, and the worker stays.
        """
        worker = self._worker
        if worker is None or not worker.ready or self._stop.is_set():
            return "it has no worker that is ready"
        try:
            self._successor = successor = await self._start(unhurried=True)
        except OSError as error:
            return f"its successor cannot be started: {error}"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await successor.settled.wait()
        if self._worker is not worker or worker.ended.done() or not successor.ready:
            return await self._give_up(worker, successor, within_s)
        self._worker, self._successor, self._leaving = successor, None, worker
        worker.signal(signal.SIGUSR2)
        await worker.leave(self._config.exchange.drain_timeout_s + KILL_AFTER_S)
        self._leaving = None
        forget_gauges(worker.tally)
        return ""

    async def _give_up(self, worker: Child, successor: Child, within_s: float) -> str:
        late = not successor.ended.done()
        successor.signal(signal.SIGKILL)
        await asyncio.wait({successor.ended})
        self._successor = None
        forget_gauges(successor.tally)
        if self._stop.is_set():
            return "the service stops"
        if self._worker is not worker or worker.ended.done():
            return "the worker died meanwhile"
        if late:
            return f"its successor was not ready in {within_s:g} s"
        return f"its successor ended with status {successor.ended.result()}"

    async def _start(self, *, unhurried: bool = False) -> Child:
        """Start a process; at most one other of this slot runs."""
        setup = self._setup(self.number, -1)
        used = [child.tally for child in self._children]
        first = self._last_tally or Path(setup.tally_path)  # a successor of the dead goes on in the same file
        tally = first if first not in used else second_tally(first)
        assert tally not in used, "two processes at most"
        exchange, public = self.sockets.descriptors() if self.sockets else (-1, -1)

        def handover(link: int) -> Handover:
            told = structs.replace(
                setup,
                announce_fd=link,
                tally_path=str(tally),
                exchange_fd=exchange,
                public_fd=public,
                unhurried=unhurried,
            )
            return Handover(self._config, told, os.getpid())

        child = Child(self.name, tally, self._count_hung)
        await child.start(self._command, (exchange, public) if self.sockets else (), handover)
        steady = asyncio.get_running_loop().call_later(STEADY_S, self._steady, child)
        child.ended.add_done_callback(partial(self._ended, child, steady))
        self._last_tally = tally
        if self._stop.is_set():  # told between the decision and the start
            child.signal(signal.SIGTERM)
        return child

    def _ended(self, child: Child, steady: asyncio.TimerHandle, _: "asyncio.Task[int]") -> None:
        steady.cancel()
        if child is self._worker:
            self._over.set()

    async def _closed(self) -> None:
        """A worker died: nobody waits for it; who was to replace it goes with the sockets that it was handed."""
        if self.sockets is not None:
            self.sockets.end()
        successor = self._successor
        if successor is not None:
            successor.signal(signal.SIGKILL)
            await asyncio.wait({successor.ended})

    async def _pause(self, why: str) -> None:
        pause_s = self._pause_s()
        _log.error("%s %s: started again in %.1f s", self.name, why, pause_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stop.wait()

    def _count_death(self, *, steady: bool) -> None:
        self.young_deaths = 0 if steady else self.young_deaths + 1
        self.restarts += 1

    def _count_hung(self) -> None:
        self.hung += 1

    def _steady(self, child: Child) -> None:
        if child is self._worker:
            self.young_deaths = 0

    def _pause_s(self) -> float:
        if self.young_deaths < 2:
            return 0.0
        return min(BACKOFF_S * 2.0 ** min(self.young_deaths - 2, 10), BACKOFF_MAX_S)
