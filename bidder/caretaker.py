"""The caretaker: a process beside the bookkeeper that does what nobody waits for: chores, each on its own period.

Place: the supervisor starts one per host; `CHORES` is the table of all that it does, and a room that has something to
    be done adds its line there.
Rule: a chore is `async def chore(hands: Hands) -> None`; what is heavy in it runs in a thread. One that fails is
    counted, logged and tried again at its next turn; it stops no other, and none overlaps itself. SIGHUP makes every
    chore due.
Limits: at the end a chore that runs has END_S, then the process ends under it: whatever a chore does can be killed at
    any step, and is done by its next turn.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from bidder.clock import Clock, SystemClock
from bidder.config import Announcement, Config, WorkerSetup
from bidder.events import compaction, erased, erasure, requests, segments
from bidder.link import announce
from bidder.metrics import Metric, Tally
from bidder.stores.people_writer import Client, open_client

END_S: Final = 10.0
RETENTION_S: Final = 600.0
"""Together with MARGIN_S: no event names anybody a second longer than its days."""
MARGIN_S: Final = 3_600.0
DAY_S: Final = 86_400

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
    Metric("paceline_events_compacted_total", "counter", "Events read of segments by compaction"),
    Metric("paceline_events_late_total", "counter", "Events that came when their hour was past: dropped"),
    Metric(
        "paceline_events_bad_segments_total", "counter", "Segments set aside: they cannot be made into rows"
    ),
    Metric("paceline_events_segments", "gauge", "Segments that wait to be compacted"),
    Metric("paceline_events_segment_bytes", "gauge", "Bytes of segments, open ones too"),
    Metric("paceline_events_erased_total", "counter", "Events deleted or made nobody's by erasures"),
    Metric(
        "paceline_events_erasures_waiting",
        "gauge",
        "People whose erasure from recorded events is not done here",
    ),
    Metric(
        "paceline_events_anonymised_files_total",
        "counter",
        "Files of events that came to their people's time",
    ),
)

_log = logging.getLogger(__name__)


class Hands(Struct, frozen=True):
    """What a chore works with."""

    config: Config
    setup: WorkerSetup
    client: Client
    """The people's store."""
    tally: Tally
    clock: Clock

    @property
    def events(self) -> Path:
        """The folder of recorded events."""
        return Path(self.setup.events_dir or self.config.events_folder())


class Chore(Struct, frozen=True):
    """One line of the table."""

    name: str
    """A label of metrics."""
    period_s: Callable[[Config], float]
    do: Callable[[Hands], Awaitable[None]]


async def compact(hands: Hands) -> None:
    """Sealed segments become Parquet."""
    events, tally = hands.config.events, hands.tally
    limits = compaction.Limits(keep_days=events.keep_days, memory_mb=events.memory_mb)
    done = await asyncio.to_thread(compaction.compact, hands.events, hands.clock.now_s(), limits)
    tally.count("paceline_events_compacted_total", by=done.rows)
    tally.count("paceline_events_late_total", by=done.late)
    tally.count("paceline_events_erased_total", by=done.erased)
    tally.count("paceline_events_bad_segments_total", by=done.bad_segments)
    waiting = [size for size in map(_size, segments.readable(hands.events)) if size is not None]
    tally.set("paceline_events_segments", value=len(waiting))
    tally.set("paceline_events_segment_bytes", value=sum(waiting))


async def erase(hands: Hands) -> None:
    """Whoever asked anywhere to be erased leaves what was recorded here."""
    asked = await requests.requested(hands.client, hands.clock.now_s())
    book = await asyncio.to_thread(erased.read_book, hands.events)
    waiting = requests.outstanding(asked, book)
    unfinished = any(not entry.done for entry in book.values())
    hands.tally.set("paceline_events_erasures_waiting", value=len(waiting))
    if waiting or unfinished:
        count = await asyncio.to_thread(erasure.erase_digests, hands.events, waiting)
        hands.tally.count("paceline_events_erased_total", by=count)
        hands.tally.set("paceline_events_erasures_waiting", value=0)


async def anonymise(hands: Hands) -> None:
    """Events that came to the end of their people's time are nobody's; those at the end of their own are deleted."""
    events, now_s = hands.config.events, hands.clock.now_s()
    before_s = now_s - events.keep_days * DAY_S + MARGIN_S
    changed = await asyncio.to_thread(erasure.anonymise, hands.events, before_s)
    hands.tally.count("paceline_events_anonymised_files_total", by=changed)
    await asyncio.to_thread(erasure.drop_rows, hands.events, now_s - events.keep_rows_days * DAY_S)


CHORES: Final = (
    Chore("compact", lambda config: config.events.compact_s, compact),
    Chore("erase", lambda config: config.events.erase_s, erase),
    Chore("anonymise", lambda _: RETENTION_S, anonymise),
)


class Caretaker:
    """One caretaker, from start to end."""

    def __init__(self, config: Config, setup: WorkerSetup, chores: tuple[Chore, ...] = CHORES) -> None:
        self._chores, self._setup = chores, setup
        tally = Tally(Path(setup.tally_path) if setup.tally_path else None)
        client = open_client(structs.replace(config.stores, redis_url=setup.redis_url))
        self._hands = Hands(config, setup, client, tally, SystemClock())
        self._stopping = asyncio.Event()
        self._due = {chore.name: asyncio.Event() for chore in chores}

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


def _size(path: Path) -> int | None:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return None


def run_caretaker(config: Config, setup: WorkerSetup) -> None:
    """Be the caretaker until told to stop."""
    with asyncio.Runner() as runner:
        if not runner.run(_main(config, setup)):
            os._exit(0)  # a thread that still works would be waited for


async def _main(config: Config, setup: WorkerSetup) -> bool:
    return await Caretaker(config, setup).run()
