"""The notice board of pacing: what workers report, who computes, and the pace that comes of it.

Place: every worker posts its reports and reads the pace; bookkeepers elect one of them, who reads the reports, keeps
    the learned traffic and writes the pace. It stands beside the money, in the ledger's Redis.
Shapes: reports and paces are columns packed end to end, little-endian, a header of version and row count before them.
Limits: a report is believed for REPORT_S; the lead falls to another when it was not renewed for its time.
Raises: redis.RedisError; a board that cannot be reached leaves the last pace as it is.
Never: money: what stands here may be lost, and then the last pace holds.
"""

import struct
from collections.abc import Awaitable, Mapping
from typing import Any, Final, cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from redis.asyncio import Redis, RedisCluster

REPORT_S: Final = 60
VERSION: Final = 1
NO_CEILING: Final = -1
LEADER: Final = "ml:pace:leader"
REPORTS: Final = "ml:pace:reports"
PACE: Final = "ml:pace:now"
TRAFFIC: Final = "ml:pace:traffic"

_REPORT: Final = (np.dtype("<i8"),) * 6
_PACES: Final = (np.dtype("<f4"), np.dtype("<f4"), np.dtype("<i8"))
_HEADER: Final = struct.Struct("<HIxxd")
"""Version, rows, seconds since the epoch."""
_KEEP: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

Keys = NDArray[np.uint64]


class Report(Struct, frozen=True, eq=False):
    """What one worker says of its line items, since it began."""

    at_s: float
    keys: Keys
    """(R,) `key64` of line items."""
    reserved: NDArray[np.int64]
    """(R,) Micros reserved now."""
    idle: NDArray[np.int64]
    """(R,) Micros leased and neither reserved nor settled."""
    seen: NDArray[np.int64]
    """(R,) auctions in which it was a candidate; a running total, as all below."""
    settled: NDArray[np.int64]
    """(R,) Micros charged."""
    freed: NDArray[np.int64]
    """(R,) Micros that were reserved and then not charged."""
    wins: NDArray[np.int64]
    """(R,) impressions charged."""


class Paces(Struct, frozen=True, eq=False):
    """The pace of all line items."""

    at_s: float
    keys: Keys
    """(R,) sorted."""
    multiplier: NDArray[np.float32]
    share: NDArray[np.float32]
    """(R,) of the auctions it takes part in."""
    ceiling: NDArray[np.int64]
    """(R,) Micros that each worker may commit to it until the next pace; NO_CEILING: as many as there are."""


def pack_report(report: Report) -> bytes:
    """A report as bytes."""
    columns = (report.reserved, report.idle, report.seen, report.settled, report.freed, report.wins)
    return _packed(report.at_s, report.keys, columns, _REPORT)


def unpack_report(data: bytes) -> Report | None:
    """A report of bytes; None where they are none, or of another version."""
    found = _unpacked(data, _REPORT)
    return Report(found[0], found[1], *found[2]) if found is not None else None


def pack_paces(paces: Paces) -> bytes:
    """A pace as bytes."""
    return _packed(paces.at_s, paces.keys, (paces.multiplier, paces.share, paces.ceiling), _PACES)


def unpack_paces(data: bytes) -> Paces | None:
    """A pace of bytes; None where they are none, or of another version."""
    found = _unpacked(data, _PACES)
    return Paces(found[0], found[1], *found[2]) if found is not None else None


def _packed(
    at_s: float, keys: Keys, columns: tuple[NDArray[Any], ...], types: tuple[np.dtype[Any], ...]
) -> bytes:
    parts = [column.astype(kind).tobytes() for column, kind in zip(columns, types, strict=True)]
    return b"".join((_HEADER.pack(VERSION, len(keys), at_s), keys.astype("<u8").tobytes(), *parts))


def _unpacked(data: bytes, types: tuple[np.dtype[Any], ...]) -> tuple[float, Keys, list[NDArray[Any]]] | None:
    if len(data) < _HEADER.size:
        return None
    version, rows, at_s = _HEADER.unpack_from(data)
    width = 8 + sum(kind.itemsize for kind in types)
    if version != VERSION or len(data) != _HEADER.size + rows * width:
        return None
    keys = np.frombuffer(data, "<u8", rows, _HEADER.size)
    place, columns = _HEADER.size + 8 * rows, []
    for kind in types:
        columns.append(np.frombuffer(data, kind, rows, place))
        place += kind.itemsize * rows
    return at_s, keys, columns


class Board:
    """The board, over a redis.asyncio client that stays its owner's to close."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        self._client = client

    async def lead(self, me: str, for_s: float) -> bool:
        """Take or keep the lead for some seconds; False where another has it."""
        return bool(await self._client.eval(_KEEP, 1, LEADER, me, str(int(for_s * 1000))))

    async def post(self, worker: int, report: Report) -> None:
        """Put a worker's report in the place of its last one."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hset(REPORTS, str(worker), pack_report(report))
        pipeline.expire(REPORTS, REPORT_S)
        await pipeline.execute()

    async def reports(self, now_s: float) -> Mapping[int, Report]:
        """The reports of the last REPORT_S, by worker; older ones are taken down."""
        pinned: dict[bytes, bytes] = await cast("Awaitable[Any]", self._client.hgetall(REPORTS))
        fresh, stale = {}, []
        for worker, data in pinned.items():
            report = unpack_report(data)
            if report is None or report.at_s < now_s - REPORT_S:
                stale.append(worker)
            else:
                fresh[int(worker)] = report
        if stale:
            await cast("Awaitable[Any]", self._client.hdel(REPORTS, *stale))
        return fresh

    async def publish(self, paces: Paces) -> None:
        """Let all workers follow this pace."""
        await self._client.set(PACE, pack_paces(paces))

    async def paces(self) -> Paces | None:
        """The pace to follow; None before there is any."""
        data = await self._client.get(PACE)
        return unpack_paces(data) if isinstance(data, bytes) else None

    async def remember(self, traffic: dict[Any, Any]) -> None:
        """Keep what was learned of line items' traffic, by key."""
        if traffic:
            await cast("Awaitable[Any]", self._client.hset(TRAFFIC, mapping=traffic))

    async def recall(self) -> Mapping[bytes, bytes]:
        """What was learned of traffic by whoever led before."""
        found: dict[bytes, bytes] = await cast("Awaitable[Any]", self._client.hgetall(TRAFFIC))
        return found

    async def forget(self, keys: list[bytes]) -> None:
        """Drop what was learned of line items that are gone."""
        if keys:
            await cast("Awaitable[Any]", self._client.hdel(TRAFFIC, *keys))
