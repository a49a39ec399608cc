"""The chore that keeps catalogues fresh: fetch what is due, read it, build a snapshot, publish it.

Place: the caretaker calls `refresh_catalogues`; `paceline catalogue build` calls it for one advertiser at once.
Shapes: an advertiser's folder holds `feed.data` (the last feed that was fetched), `feed.json` (State), and the
    snapshots (sections.py). A new model makes a new snapshot of the same feed.
Limits: one feed at a time; a feed that fails is tried again when it is next due, and the last good catalogue stays.
Never: raises for what one advertiser's feed, model or server does: it is told in the result, counted and logged.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bidder.campaigns.durations import seconds_of
from bidder.campaigns.model import Advertiser
from bidder.campaigns.model import Feed as FeedSource
from bidder.catalogue.build import write_snapshot
from bidder.catalogue.feed import Counts, FeedError, read_feed
from bidder.catalogue.fetch import FetchError, FetchRules, Validators, fetch
from bidder.catalogue.sections import ArtifactError, pointer
from bidder.catalogue.similar import Similar, read_model
from bidder.metrics import Metric, Tally

BUILT: Final = "built"
UNCHANGED: Final = "unchanged"
FAILED: Final = "failed"
BUSY: Final = "busy"

METRICS = (
    Metric(
        "paceline_feed_refreshes_total", "counter", "Product feeds looked at, by what came of it", ("result",)
    ),
    Metric("paceline_feed_bad_lines_total", "counter", "Lines of product feeds that were skipped"),
)

log = logging.getLogger(__name__)


class Places(Struct, frozen=True):
    """Where things lie."""

    catalogues: Path
    models: Path
    feeds: Path
    """The campaign files' folder, which paths of feeds are meant from."""

    @classmethod
    def under(cls, data: Path, campaigns: Path, feeds: str = "") -> "Places":
        """The usual ones: in the data directory, and in `feeds` or, where that is empty, beside a campaign file or in
        a folder of them."""
        beside = campaigns if campaigns.is_dir() else campaigns.parent
        return cls(data / "catalogues", data / "models" / "affinity", Path(feeds) if feeds else beside)


class State(Struct, frozen=True):
    """What is known of an advertiser's feed, in `feed.json`."""

    source: FeedSource | None = None
    checked_s: int = 0
    known: Validators = Validators()
    counts: Counts | None = None
    model: str = ""
    """The model that the last build found, fit or not."""
    problem: str = ""
    """Why the last look at it failed; empty: it did not."""


class Refreshed(Struct, frozen=True):
    """What came of one advertiser's feed."""

    advertiser: str
    result: str
    """BUILT, UNCHANGED, FAILED or BUSY."""
    version: str = ""
    detail: str = ""


async def refresh_catalogues(
    advertisers: Sequence[Advertiser],
    places: Places,
    rules: FetchRules,
    now_s: int,
    tally: Tally | None = None,
) -> list[Refreshed]:
    """Refresh the catalogues that are due; what came of each."""
    results = []
    for advertiser in advertisers:
        if advertiser.feed is not None and is_due(advertiser, places, now_s):
            result = await refresh(advertiser, places, rules, now_s)
            _tell(result, places, tally)
            results.append(result)
    return results


def is_due(advertiser: Advertiser, places: Places, now_s: int) -> bool:
    """Whether an advertiser's feed is due, is another than it was, or has a new model."""
    if advertiser.feed is None:
        return False
    state = read_state(places.catalogues / advertiser.id)
    if state.source is None or not _same_place(state.source, advertiser.feed):
        return True
    age_s = now_s - state.checked_s
    return not 0 <= age_s < seconds_of(advertiser.feed.every) or _new_model(state, advertiser.id, places)


async def refresh(
    advertiser: Advertiser, places: Places, rules: FetchRules, now_s: int, *, anew: bool = False
) -> Refreshed:
    """Refresh one catalogue now; `anew` fetches and builds it even where nothing has changed."""
    folder = places.catalogues / advertiser.id
    state = State()
    try:
        with _alone(folder) as free:
            if not free:
                return Refreshed(advertiser.id, BUSY)
            state = State() if anew else read_state(folder)
            return await _refresh(advertiser, (state, now_s), places, rules)
    except (FetchError, FeedError, ArtifactError, OSError, ValueError) as error:
        failed = State(
            advertiser.feed,
            now_s,
            state.known,
            state.counts,
            _model_version(places, advertiser.id),
            str(error)[:2_000],
        )
        with contextlib.suppress(OSError):
            _write_state(folder, failed)
        return Refreshed(advertiser.id, FAILED, detail=str(error))


async def _refresh(
    advertiser: Advertiser, before: tuple[State, int], places: Places, rules: FetchRules
) -> Refreshed:
    source, folder = advertiser.feed, places.catalogues / advertiser.id
    state, now_s = before
    assert source is not None
    data = folder / "feed.data"
    same = state.source is not None and _same_place(state.source, source) and data.exists()
    built = pointer(folder)
    known = state.known if same and built and not state.problem else Validators()
    found = await fetch(source.location, data, known, rules, places.feeds)
    if found is None and built and not _new_model(state, advertiser.id, places):
        _write_state(folder, State(source, now_s, known, state.counts, state.model))
        return Refreshed(advertiser.id, UNCHANGED, built.version)
    version, counts, model = await asyncio.to_thread(_build, advertiser, places, now_s)
    _write_state(folder, State(source, now_s, found or known, counts, model))
    result = UNCHANGED if built and built.version == version else BUILT
    return Refreshed(advertiser.id, result, version, counts_text(counts))


def _build(advertiser: Advertiser, places: Places, now_s: int) -> tuple[str, Counts, str]:
    """Read the fetched feed and publish it; version, counts and the version of the model that was there."""
    source = advertiser.feed
    assert source is not None
    found = _model_version(places, advertiser.id)
    feed = read_feed(
        places.catalogues / advertiser.id / "feed.data", source.format, advertiser.currency, source.location
    )
    model = _model(places, advertiser.id)
    version = write_snapshot(places.catalogues, advertiser.id, feed.products, model, now_s)
    return version, feed.counts, found


def _model(places: Places, advertiser_id: str) -> Similar | None:
    """The model, where there is a good one: stock and prices do not wait for it."""
    try:
        return read_model(places.models, advertiser_id)
    except ArtifactError as error:
        log.error("the model of %s cannot be used, its catalogue is built without: %s", advertiser_id, error)
        return None


def _same_place(one: FeedSource, other: FeedSource) -> bool:
    return (one.location, one.format) == (other.location, other.format)


def _model_version(places: Places, advertiser_id: str) -> str:
    found = pointer(places.models / advertiser_id)
    return found.version if found else ""


def _new_model(state: State, advertiser_id: str, places: Places) -> bool:
    return _model_version(places, advertiser_id) != state.model


def read_state(folder: Path) -> State:
    """What is known of the feed of an advertiser's folder; nothing where that is absent or damaged."""
    try:
        return msgspec.json.decode((folder / "feed.json").read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return State()


def _write_state(folder: Path, state: State) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / f".feed.json.{os.getpid()}"
    staged.write_bytes(msgspec.json.encode(state))
    staged.replace(folder / "feed.json")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether nobody else refreshes this folder meanwhile; the lock ends with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def counts_text(counts: Counts) -> str:
    """120 products, 3 out of stock, 2 skipped, 1 repeated."""
    good = counts.lines - counts.bad - counts.repeated
    parts = [f"{good:,} product{'' if good == 1 else 's'}", f"{counts.out_of_stock:,} out of stock"]
    parts += [f"{counts.bad:,} skipped"] if counts.bad else []
    parts += [f"{counts.repeated:,} repeated"] if counts.repeated else []
    return ", ".join(parts)


def _tell(result: Refreshed, places: Places, tally: Tally | None) -> None:
    if tally is not None:
        tally.count("paceline_feed_refreshes_total", result.result)
    if result.result == FAILED:
        said = "; ".join(result.detail.split("\n")[:2])  # what is wrong, and the first place where
        log.error("the feed of %s cannot be used, the last good one stays: %s", result.advertiser, said)
    elif result.result == BUILT:
        counts = read_state(places.catalogues / result.advertiser).counts
        if tally is not None and counts is not None:
            tally.count("paceline_feed_bad_lines_total", by=counts.bad)
        log.info("catalogue of %s: %s", result.advertiser, result.detail)
