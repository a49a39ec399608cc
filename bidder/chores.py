"""What the caretaker does: chores, each with how often.

Place: caretaker.py runs CHORES, one process per host; a room that has something to be done adds its line there.
Rule: a chore is `async def chore(hands: Hands) -> None`; what is heavy in it runs in a thread. It may be killed at any
    step, and its next turn does the rest. It raises what it cannot do: the caretaker counts, logs and comes again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.campaigns.live import fingerprint
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Book
from bidder.catalogue.refresh import Places, refresh_catalogues
from bidder.clock import Clock
from bidder.config import Config, WorkerSetup
from bidder.events import compaction, erased, erasure, requests, segments
from bidder.fraud.refresh import refresh_from
from bidder.live import campaigns_path
from bidder.metrics import Metric, Tally
from bidder.rights.erase import Eraser
from bidder.rights.requests import work_off
from bidder.rights.sweep import Files, rewrite_logs, sweep, tell
from bidder.stores.people_writer import Client
from bidder.stores.visitors import VisitorStore

RETENTION_S: Final = 600.0
"""Together with MARGIN_S: no event names anybody a second longer than its days."""
MARGIN_S: Final = 3_600.0
DAY_S: Final = 86_400
CATALOGUES_S: Final = 15.0
"""How often feeds are looked at for being due; each says itself how often it is fetched."""
DELETIONS_S: Final = 60.0
SWEEP_S: Final = 6 * 3_600.0
"""How often every key and file is looked through for what could outlive its days."""
SELLERS_S: Final = 900.0
"""How often it is looked whether an ads.txt is missing or old."""

METRICS = (
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


class Hands(Struct, frozen=True):
    """What a chore works with."""

    config: Config
    setup: WorkerSetup
    client: Client
    """The people's store."""
    tally: Tally
    clock: Clock

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(self.setup.data_dir or self.config.data_dir)

    @property
    def keep_s(self) -> int:
        """How long people are kept."""
        return self.config.privacy.retention_days * DAY_S

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
    limits = compaction.Limits(keep_days=hands.config.keep_days(), memory_mb=events.memory_mb)
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
    before_s = now_s - hands.config.keep_days() * DAY_S + MARGIN_S
    changed = await asyncio.to_thread(erasure.anonymise, hands.events, before_s)
    hands.tally.count("paceline_events_anonymised_files_total", by=changed)
    await asyncio.to_thread(erasure.drop_rows, hands.events, now_s - events.keep_rows_days * DAY_S)


async def sellers(hands: Hands) -> None:
    """ads.txt of those who ask most, where the operator wants them."""
    rules, data = hands.config.fraud, hands.data
    for result in ("fetched", "failed"):
        hands.tally.slot("paceline_fraud_fetches_total", result)
    if not (rules.enabled and rules.fetch_sellers):
        return
    folder = Path(rules.sellers_dir) if rules.sellers_dir else data / "sellers"
    done = await refresh_from(data / "run", folder, rules, hands.clock.now_s())
    hands.tally.count("paceline_fraud_fetches_total", "fetched", by=done.fetched)
    hands.tally.count("paceline_fraud_fetches_total", "failed", by=done.failed)


async def catalogues(hands: Hands) -> None:
    """Feeds that are due become catalogues."""
    config, data = hands.config, hands.data
    path = campaigns_path(config)
    book = await asyncio.to_thread(_book, path, fingerprint(path))
    places = Places.under(data, path, config.catalogue.folder)
    now_s = int(hands.clock.now_s())
    await refresh_catalogues(book.advertisers, places, config.catalogue, now_s, hands.tally)


async def deletions(hands: Hands) -> None:
    """Data deletion requests that a worker accepted and did not live to carry out."""
    client = hands.client
    eraser, visitors = Eraser(client, hands.tally), VisitorStore(client, hands.tally, hands.keep_s)
    while await work_off(client, eraser, visitors, hands.clock.now_s()):
        pass


async def retention(hands: Hands) -> None:
    """What could outlive its days is found, mended and told; our own server's append-only file forgets it, too."""
    config, now_s = hands.config, hands.clock.now_s()
    files = Files(hands.events, hands.data / "spool", config.events.keep_days * DAY_S)
    found = await sweep(hands.client, files, now_s, hands.keep_s)
    tell(hands.tally, found, now_s)
    if not config.stores.redis_url:
        await rewrite_logs(hands.client)


@lru_cache(1)
def _book(path: Path, _: str) -> Book:
    """The campaigns, read again when their fingerprint is another."""
    return load_book(path)


def _size(path: Path) -> int | None:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return None


CHORES: Final = (
    Chore("compact", lambda config: config.events.compact_s, compact),
    Chore("erase", lambda config: config.events.erase_s, erase),
    Chore("anonymise", lambda _: RETENTION_S, anonymise),
    Chore("catalogues", lambda _: CATALOGUES_S, catalogues),
    Chore("deletions", lambda _: DELETIONS_S, deletions),
    Chore("retention", lambda _: SWEEP_S, retention),
    Chore("sellers", lambda _: SELLERS_S, sellers),
)
