"""The caretaker: chores on their own periods, none of which stops another; what is recorded is cared for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bidder.caretaker import METRICS, Caretaker
from bidder.chores import CHORES, Chore, Hands
from bidder.clock import SystemClock
from bidder.config import Config, WorkerSetup
from bidder.events import compaction, parquet, segments
from bidder.events.erasure import holds
from bidder.events.requests import request
from bidder.events.writer import DAY_S, Bounds, Recorder
from bidder.metrics import Tally
from bidder.settings import Events, Stores
from bidder.stores.people_writer import open_client
from tests.bidder.events.samples import ANNA, BERT, impression, shop, write
from tests.servers import RealServer, eventually

QUICK = Config(events=Events(compact_s=0.2, erase_s=0.2))


class Home:
    """A caretaker over a folder and a store."""

    def __init__(self, folder: Path, url: str, chores: tuple[Chore, ...] = CHORES) -> None:
        self.events = folder / "events"
        self.events.mkdir()
        self.tally = folder / "caretaker.tally"
        self.reader, writer = os.pipe()
        setup = WorkerSetup(
            slot=2,
            redis_url=url,
            tally_path=str(self.tally),
            token_keys=((1, bytes(32)),),
            exchange_port=1,
            public_port=2,
            base_url="http://127.0.0.1",
            announce_fd=writer,
            data_dir=str(folder),
            events_dir=str(self.events),
        )
        self.keeper = Caretaker(QUICK, setup, chores)

    def metric(self, name: str, *labels: str) -> int:
        """0 where there is none."""
        found = {(cell.name, cell.labels): value for cell, value in Tally(self.tally).samples()}
        return found.get((f"paceline_{name}", labels), 0)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.keeper.run())
        try:
            assert b'"ready":true' in await asyncio.to_thread(os.read, self.reader, 1_000)
            yield
        finally:
            self.keeper.stop()
            assert await task


def files(home: Home) -> int:
    return len(list(parquet.all_files(home.events)))


async def test_what_is_recorded_is_compacted_and_erased_and_grows_old(
    tmp_path: Path, redis_server: RealServer
) -> None:
    """Events become Parquet by themselves; who asks to be erased is gone from them, who is old is nobody."""
    home, now_s = Home(tmp_path, redis_server.url), time.time()
    write(
        home.events, [shop(1, at_s=now_s), shop(2, at_s=now_s, person=BERT), impression(3, at_s=now_s)], now_s
    )
    async with home.running():
        await eventually(lambda: files(home) == 2)
        await eventually(lambda: home.metric("events_compacted_total") == 3)
        client = open_client(Stores(redis_url=redis_server.url))
        await request(client, [ANNA], now_s + 1)
        await eventually(lambda: home.metric("events_erased_total") == 2)
        assert not holds(home.events, ANNA)
        assert holds(home.events, BERT)
        await eventually(
            lambda: home.metric("chore_last_success_timestamp_seconds", "anonymise") >= int(now_s)
        )
        await client.aclose()


async def test_an_event_in_a_queue_when_its_person_is_erased_never_arrives(
    tmp_path: Path, redis_server: RealServer
) -> None:
    """The worker still holds the event, the erasure is done, then the event is flushed: it is in no file."""
    home, now_s = Home(tmp_path, redis_server.url), time.time()
    recorder = Recorder(home.events, 0, Tally(), SystemClock(), Bounds(flush_s=3_600.0))
    recorder.record(shop(1, at_s=now_s))
    recorder.record(shop(2, at_s=now_s, person=BERT))
    async with home.running():
        client = open_client(Stores(redis_url=redis_server.url))
        await request(client, [ANNA], now_s + 1)
        book = home.events / "erased.book"
        await eventually(book.exists)
        await asyncio.to_thread(recorder.close)
        await eventually(lambda: files(home) == 1 and not segments.readable(home.events))
        assert not holds(home.events, ANNA)
        assert len(holds(home.events, BERT)) == 1
        await client.aclose()


async def test_a_store_that_is_down_stops_erasures_alone(tmp_path: Path, own_server: RealServer) -> None:
    """Compaction and retention go on; erasures are counted as failed, and done when the store is back."""
    own_server.kill()
    home, now_s = Home(tmp_path, own_server.url), time.time()
    write(home.events, [shop(1, at_s=now_s)], now_s)
    async with home.running():
        await eventually(lambda: home.metric("chore_failures_total", "erase") > 0)
        await eventually(lambda: files(home) == 1)
        assert home.metric("chore_failures_total", "compact") == 0
        own_server.restart()
        await eventually(lambda: home.metric("chore_last_success_timestamp_seconds", "erase") > 0)


async def test_a_chore_that_fails_or_hangs_stops_no_other(tmp_path: Path, redis_server: RealServer) -> None:
    """Each chore has its own loop; a failure is counted, and its next turn comes."""
    turns: list[str] = []
    free = asyncio.Event()

    async def fail(_: Hands) -> None:
        turns.append("fail")
        raise RuntimeError("broken")

    async def hang(_: Hands) -> None:
        turns.append("hang")
        await free.wait()

    async def work(_: Hands) -> None:
        turns.append("work")

    table = [("fail", fail), ("hang", hang), ("work", work)]
    home = Home(tmp_path, redis_server.url, tuple(Chore(name, lambda _: 0.01, do) for name, do in table))
    async with home.running():
        await eventually(lambda: turns.count("work") > 5 and turns.count("fail") > 5)
        assert turns.count("hang") == 1
        free.set()
        await eventually(lambda: turns.count("hang") > 1)
    assert home.metric("chore_failures_total", "fail") == turns.count("fail")
    assert home.metric("chore_failures_total", "work") == 0
    assert home.metric("chore_last_success_timestamp_seconds", "fail") == 0
    assert home.metric("chore_last_success_timestamp_seconds", "work") > 0


async def test_a_hangup_makes_every_chore_due(tmp_path: Path, redis_server: RealServer) -> None:
    """SIGHUP: what would be done in an hour is done now."""
    turns: list[int] = []

    async def work(_: Hands) -> None:
        turns.append(1)

    home = Home(tmp_path, redis_server.url, (Chore("work", lambda _: 3_600.0, work),))
    async with home.running():
        await eventually(lambda: len(turns) == 1)
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: len(turns) == 2)


async def test_events_are_nobodys_before_their_time_is_over(tmp_path: Path, redis_server: RealServer) -> None:
    """An event 30 days old names nobody, whether compaction saw it or not."""
    home, now_s = Home(tmp_path, redis_server.url), time.time()
    old_s = now_s - 30 * DAY_S + 1
    path = parquet.hour_path(home.events, "shop", parquet.hour_of(int(old_s * 1_000)))
    write(home.events, [shop(1, at_s=old_s)], old_s)
    compaction.compact(home.events, old_s)
    assert path.exists()
    segment = write(home.events, [shop(2, at_s=old_s)], old_s)
    assert len(holds(home.events, ANNA)) == 2
    async with home.running():
        await eventually(lambda: home.metric("chore_last_success_timestamp_seconds", "anonymise") > 0)
        await eventually(lambda: not segment.exists())
    assert path.exists()
    assert not holds(home.events, ANNA)
    assert not segments.readable(home.events)


def test_every_metric_is_told_by_name() -> None:
    """Names are those of the service, and no two are alike."""
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("paceline_") for name in names)
