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
from bidder.campaigns.feeds import feeds_folder
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

_AGE: Final = "paceline_catalogue_age_seconds"
FEED_FILE: Final = "feed.data"

METRICS = (
    Metric(
        "paceline_catalogue_age_seconds",
        "gauge",
        "Since an advertiser's feed was last fetched and found good",
        ("advertiser",),
        merge="age",
    ),
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
        return cls(data / "catalogues", data / "models" / "affinity", feeds_folder(campaigns, feeds))


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
    """Of the catalogue that is in place; empty: there is none."""
    detail: str = ""
    """What the feed held, or why it cannot be used."""


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
    if tally is not None:
        _tell_ages(advertisers, places, tally)
    return results


def is_due(advertiser: Advertiser, places: Places, now_s: int) -> bool:
    """Whether an advertiser's feed is due, is another than it was, or has a new model."""
    if advertiser.feed is None:
        return False
    state = read_state(places.catalogues / advertiser.id)
    if not _is_of(state, advertiser.feed):
        return True
    fresh = 0 <= now_s - state.checked_s < seconds_of(advertiser.feed.every)
    return not fresh or _model_version(places, advertiser.id) != state.model


async def refresh(
    advertiser: Advertiser, places: Places, rules: FetchRules, now_s: int, *, anew: bool = False
) -> Refreshed:
    """Refresh one catalogue now; `anew` fetches and builds it even where nothing has changed."""
    folder = places.catalogues / advertiser.id
    before = State()
    try:
        with _alone(folder) as free:
            if not free:
                return Refreshed(advertiser.id, BUSY)
            before = State() if anew else read_state(folder)
            return await _fetch_and_build(advertiser, before, places, rules, now_s)
    except (FetchError, FeedError, ArtifactError, OSError, ValueError) as error:
        failed = msgspec.structs.replace(
            before,
            source=advertiser.feed,
            checked_s=now_s,
            model=_model_version(places, advertiser.id),
            problem=str(error)[:2_000],
        )
        with contextlib.suppress(OSError):
            _write_state(folder, failed)
        return Refreshed(advertiser.id, FAILED, _version(folder), str(error))


async def _fetch_and_build(
    advertiser: Advertiser, before: State, places: Places, rules: FetchRules, now_s: int
) -> Refreshed:
    """Fetch the feed; build a catalogue where the feed or the model is another than before."""
    source, folder = advertiser.feed, places.catalogues / advertiser.id
    assert source is not None
    file, published = folder / FEED_FILE, _version(folder)
    known = before.known if published and _holds(before, source, file) else Validators()
    fetched = await fetch(source.location, file, known, rules, places.feeds)
    model = _model_version(places, advertiser.id)  # before it is read: a newer one is built next time
    if fetched is None and published and model == before.model:
        _write_state(folder, State(source, now_s, known, before.counts, model))
        return Refreshed(advertiser.id, UNCHANGED, published)
    version, counts = await asyncio.to_thread(_build, advertiser, source, places, now_s)
    _write_state(folder, State(source, now_s, fetched or known, counts, model))
    result = UNCHANGED if version == published else BUILT
    return Refreshed(advertiser.id, result, version, counts_text(counts))


def _holds(before: State, source: FeedSource, file: Path) -> bool:
    """Whether the file is what was fetched from this place, and could be used."""
    return not before.problem and _is_of(before, source) and file.exists()


def _build(advertiser: Advertiser, source: FeedSource, places: Places, now_s: int) -> tuple[str, Counts]:
    """Read the fetched feed and publish it; the catalogue's version, and what the feed held."""
    file = places.catalogues / advertiser.id / FEED_FILE
    feed = read_feed(file, source.format, advertiser.currency, source.location)
    model = _model(places, advertiser.id)
    version = write_snapshot(places.catalogues, advertiser.id, feed.products, model, now_s)
    return version, feed.counts


def _model(places: Places, advertiser_id: str) -> Similar | None:
    """The model, where there is a good one: stock and prices do not wait for it."""
    try:
        return read_model(places.models, advertiser_id)
    except ArtifactError as error:
        log.error("the model of %s cannot be used, its catalogue is built without: %s", advertiser_id, error)
        return None


def _is_of(state: State, source: FeedSource) -> bool:
    """Whether the state speaks of a feed of this place and format."""
    known = state.source
    return known is not None and (known.location, known.format) == (source.location, source.format)


def _model_version(places: Places, advertiser_id: str) -> str:
    """Of the model that is there, fit or not; empty: none is."""
    return _version(places.models / advertiser_id)


def _version(folder: Path) -> str:
    """Of what is published in a folder; empty: nothing is."""
    published = pointer(folder)
    return published.version if published else ""


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


def left_of(failed: Refreshed) -> str:
    """What an advertiser has whose feed cannot be used."""
    return "the last good catalogue stays" if failed.version else "there is no catalogue yet"


def _tell_ages(advertisers: Sequence[Advertiser], places: Places, tally: Tally) -> None:
    """When each feed was last found good; of one that fails, as long as is known: when its catalogue was published."""
    fed = {advertiser.id for advertiser in advertisers if advertiser.feed is not None}
    told = {labels[0] for labels in tally.labels(_AGE)}
    for name in fed:
        folder = places.catalogues / name
        state, published = read_state(folder), pointer(folder)
        if state.checked_s and not state.problem:
            tally.set(_AGE, name, value=state.checked_s)
        elif name not in told and published is not None:
            tally.set(_AGE, name, value=published.written_s)
    for name in told - fed:
        tally.set(_AGE, name, value=0)


def _tell(result: Refreshed, places: Places, tally: Tally | None) -> None:
    if tally is not None:
        tally.count("paceline_feed_refreshes_total", result.result)
    if result.result == FAILED:
        said = "; ".join(result.detail.split("\n")[:2])  # what is wrong, and the first place where
        log.error("the feed of %s cannot be used, %s: %s", result.advertiser, left_of(result), said)
    elif result.result == BUILT:
        counts = read_state(places.catalogues / result.advertiser).counts
        if tally is not None and counts is not None:
            tally.count("paceline_feed_bad_lines_total", by=counts.bad)
        log.info("catalogue of %s: %s", result.advertiser, result.detail)
