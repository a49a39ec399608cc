"""The retention sweep: proves, over every key and every file, that nothing of a person outlives its days, and mends it.

Place: the caretaker's chore, and `paceline retention sweep`.
Shapes: KINDS says of every prefix of a key what may stand there and for how long; a key of no known kind is a
    violation, and so is one of people without an end, or with an end beyond the limit. Mending sets the end; what
    nobody knows is told and not touched. Within the hashes of people each field has an age of its own: what one shop
    learned goes `retention_s` after that shop last saw the person, though another shop sees the person every day.
    Files: events that name people after their days, segments and spools that lie about as long.
Limits: walk.BATCH keys, then PAUSE_S: some 2,000 keys a second, so that bids are not behind it.
Raises: redis.RedisError, OSError, duckdb.Error.
Never: a key in a log or a metric: a place is the prefix of keys or a file.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from redis.asyncio import RedisCluster
from redis.exceptions import RedisError, ResponseError

from bidder.audience.identity import person_id
from bidder.events import parquet, segments
from bidder.metrics import Metric, Tally
from bidder.rights.tombstone import is_tombstone
from bidder.rights.walk import asked, batches
from bidder.stores import keys
from bidder.stores.people_writer import MAX_TTL_S
from bidder.stores.removal import OPT_OUT_S, Client, call, done
from bidder.stores.scripts import Script
from bidder.stores.visitors import VisitorStore

PAUSE_S: Final = 0.05
AT_ONCE: Final = 8
"""People whose parts are looked at together: connections of the client's pool, of which it has 16."""
SLACK_S: Final = 60
"""Of an end that is set while we look."""
FILE_MARGIN_S: Final = 2 * 3_600
"""An hour's file, and the chore that makes it nobody's."""
NO_END: Final = -1
GONE: Final = -2
UNKNOWN: Final = "unknown"

PRUNE: Final = Script("people_prune", ())

METRICS: Final = (
    Metric(
        "paceline_retention_violations",
        "gauge",
        "Keys and files of the last sweep that could outlive their days, by place; mended ones, too",
        ("place",),
        merge="max",
        bound="fixed words",
    ),
    Metric(
        "paceline_retention_sweep_timestamp_seconds",
        "gauge",
        "When everything that holds people was last looked through",
        merge="max",
    ),
    Metric("paceline_retention_swept_keys", "gauge", "Keys that the last sweep looked at", merge="max"),
    Metric("paceline_retention_mended_total", "counter", "Keys that a sweep gave an end"),
    Metric("paceline_retention_pruned_total", "counter", "Parts of people that a sweep removed by their age"),
)
_log = logging.getLogger(__name__)


class Kind(Struct, frozen=True):
    """What may stand under a prefix."""

    prefix: bytes
    limit_s: int | None
    """The longest that a key may live; None: for ever, since it names nobody."""
    ages: tuple[tuple[bytes, int], ...] = ()
    """(prefix of fields, where in the value `<I` seconds stand, from 1)"""

    @property
    def name(self) -> str:
        """For metrics and reports."""
        return self.prefix.rstrip(b"{:").decode()


KINDS: Final = (
    Kind(b"p:{", MAX_TTL_S, ((b"a:", 5), (keys.MATCH_FIELD_PREFIX, 1), (keys.CLUSTER_FIELD_PREFIX, 1))),
    Kind(b"h:{", MAX_TTL_S, ((b"a:", 10),)),
    Kind(b"c:{", MAX_TTL_S, ((b"", 1),)),
    Kind(b"m:{", MAX_TTL_S),
    Kind(b"f:{", MAX_TTL_S),
    Kind(b"b:{", MAX_TTL_S),
    Kind(b"g:{", MAX_TTL_S),  # sizes of segments: a count of hashes
    Kind(b"x:{", MAX_TTL_S),  # guards, of digests
    Kind(b"j:", MAX_TTL_S),  # deletion requests that came, of digests
    Kind(b"deletions", MAX_TTL_S),
    Kind(b"erasures", MAX_TTL_S),  # digests
    Kind(b"ml:", None),  # the ledger, and the pacing board: money has no people
    Kind(b"l:", None),  # counts of layouts by line item
)
"""Every kind of key that Paceline writes. Ages stand in a profile's header, a history's first visit, a list's start."""


class Files(Struct, frozen=True):
    """Where files lie that may name people, and for how long they may."""

    events: Path | None = None
    spool: Path | None = None
    keep_s: float = MAX_TTL_S


class Swept(Struct):
    """What a sweep found."""

    keys: int = 0
    files: int = 0
    """Looked at: of events, segments and spools."""
    violations: Counter[str] = field(default_factory=Counter)
    """By place."""
    mended: int = 0
    pruned: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """Keys by kind."""

    @property
    def open(self) -> int:
        """Violations that stand."""
        return sum(self.violations.values()) - self.mended


async def sweep_store(
    client: Client, now_s: float, retention_s: int = MAX_TTL_S, *, mend: bool = True, pause_s: float = PAUSE_S
) -> Swept:
    """Look at every key of every node; `retention_s` may only be shorter than 30 days."""
    found, retention_s = Swept(), min(retention_s, MAX_TTL_S)
    visitors = VisitorStore(client, Tally(), retention_s)
    async for names in batches(client, pause_s=pause_s):
        found.keys += len(names)
        lives = dict(zip(names, await asked(client, "TTL", names), strict=True))
        for kind, group in _by_kind(names).items():
            found.kinds[kind.name if kind else UNKNOWN] += len(group)
            if kind is None:
                found.violations[UNKNOWN] += len(group)
                continue
            if kind.limit_s is not None:
                await _judge(client, kind, {name: lives[name] for name in group}, found, mend)
            if kind.ages and mend:
                found.pruned += await _prune(client, kind, group, int(now_s) - retention_s)
                if kind is KINDS[0]:
                    found.pruned += await _age(client, visitors, group, int(now_s))
    return found


def sweep_files(files: Files, now_s: float, found: Swept) -> None:
    """Look at every file that may name people; for a thread."""
    before_s = now_s - files.keep_s - FILE_MARGIN_S
    if files.events is not None and files.events.is_dir():
        hours = [path for _, path in parquet.all_files(files.events)]
        old = [path for path in hours if parquet.start_s(path) < before_s]
        if old:
            with parquet.Workshop(files.events, task=parquet.READING) as shop:
                found.violations["events"] += len(set(old) - shop.anonymous(old))
        written = segments.readable(files.events)
        found.files += len(hours) + len(written)
        found.violations["segments"] += _old(written, before_s)
    if files.spool is not None and files.spool.is_dir():
        spools = list(files.spool.rglob("*.spool"))
        found.files += len(spools)
        found.violations["spool"] += _old(spools, before_s)
    found.violations += Counter()  # without the places where there is nothing


async def sweep(
    client: Client, files: Files, now_s: float, retention_s: int = MAX_TTL_S, *, mend: bool = True
) -> Swept:
    """Everything: keys first, then files."""
    found = await sweep_store(client, now_s, retention_s, mend=mend)
    await asyncio.to_thread(sweep_files, files, now_s, found)
    return found


def tell(tally: Tally, found: Swept, now_s: float) -> None:
    """Set the metrics of a sweep."""
    for place in (*(kind.name for kind in KINDS), UNKNOWN, "events", "segments", "spool"):
        tally.set("paceline_retention_violations", place, value=found.violations[place])
    tally.set("paceline_retention_sweep_timestamp_seconds", value=int(now_s))
    tally.set("paceline_retention_swept_keys", value=found.keys)
    tally.count("paceline_retention_mended_total", by=found.mended)
    tally.count("paceline_retention_pruned_total", by=found.pruned)
    if found.violations:
        _log.error("keys or files could outlive their days: %s", dict(found.violations))


async def rewrite_logs(client: Client) -> bool:
    """Let servers write their append-only files anew, without what was erased or has expired; for servers of our own,
    once a day. False where one does not."""
    nodes: Iterable[Any] = client.get_primaries() if isinstance(client, RedisCluster) else (None,)
    try:
        for node in nodes:
            options = {"target_nodes": node} if node is not None else {}
            await done(client.bgrewriteaof(**options))
    except RedisError as error:
        _log.info("an append-only file is not written anew: %s", error)
        return False
    return True


def _by_kind(names: Iterable[bytes]) -> Mapping[Kind | None, list[bytes]]:
    groups: dict[Kind | None, list[bytes]] = {}
    for name in names:
        kind = next((each for each in KINDS if name.startswith(each.prefix)), None)
        groups.setdefault(kind, []).append(name)
    return groups


async def _judge(client: Client, kind: Kind, lives: Mapping[bytes, Any], found: Swept, mend: bool) -> None:
    """Count the keys of a kind that could live too long, and give them an end."""
    limit_s = kind.limit_s or MAX_TTL_S
    for name, left_s in lives.items():
        if not isinstance(left_s, int) or left_s == GONE or 0 <= left_s <= limit_s + SLACK_S:
            continue
        if 0 <= left_s <= OPT_OUT_S + SLACK_S and await is_tombstone(client, name):
            continue
        found.violations[kind.name] += 1
        if mend:
            end_s = OPT_OUT_S if await is_tombstone(client, name) else limit_s
            found.mended += int(bool(await done(client.expire(name, end_s))))


async def _prune(client: Client, kind: Kind, names: list[bytes], before_s: int) -> int:
    """Remove fields that are older than their days."""
    ages = [part for pair in kind.ages for part in pair]

    async def pruned(name: bytes) -> int:
        try:
            return int(await call(client, PRUNE, (name,), before_s, *ages))
        except ResponseError as error:
            if "WRONGTYPE" in str(error):
                return 0
            raise

    return await _summed(pruned, names)


async def _age(client: Client, visitors: VisitorStore, names: list[bytes], now_s: int) -> int:
    """Remove visits, products and segments that are older than their days of people who still come; how many shops'
    parts changed."""

    async def aged(name: bytes) -> int:
        person = person_id(name[3:-1].decode("ascii", "replace"))
        if person is None or await done(client.type(name)) != b"hash":
            return 0
        shops = [
            each[2:].decode("utf-8", "replace")
            for each in await done(client.hkeys(name))
            if each[:2] == b"a:"
        ]
        return sum([await visitors.age(person, shop, now_s) for shop in shops])

    return await _summed(aged, names)


async def _summed(each: Callable[[bytes], Awaitable[int]], names: list[bytes]) -> int:
    """The sum of what is done for each name, AT_ONCE of them at a time."""
    total = 0
    for first in range(0, len(names), AT_ONCE):
        total += sum(await asyncio.gather(*map(each, names[first : first + AT_ONCE])))
    return total


def _old(paths: Iterable[Path], before_s: float) -> int:
    """How many files of these have content that was last changed before a moment."""
    count = 0
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        count += bool(stat.st_size) and stat.st_mtime < before_s
    return count
