"""A worker that reads people and ends batches on a connection of its own, with time moved by hand."""

from __future__ import annotations

from collections.abc import Sequence

from bidder.audience.frequency import BidRecord, Exposure, open_log
from bidder.audience.identity import Lookup
from bidder.campaigns.caps import ADVERTISER, Cap
from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.connection import Connection
from bidder.stores.frequency_writer import FrequencyWriter
from bidder.stores.people import PeopleReader, Reading
from bidder.stores.scripts import SCRIPTS
from tests.servers import RealServer, eventually

FAR_NS = 1 << 62
NOW_S = 1_790_000_000
ME = b"\x05" * 16
TAG = keys.person_tag(ME)
LOGS, MARKS = keys.views_key(TAG), keys.marks_key(TAG)
SHOP, STORE = b"a:shop", b"a:store"
DAY_S = 86_400
DAILY = (Cap(ADVERTISER, 0, 1, DAY_S),)
PATIENT = Stores(read_timeout_ms=30_000)


def bid_record(
    tag: int = 1, field: bytes = SHOP, line: int = 20, creative: int = 30, window_s: int = DAY_S
) -> BidRecord:
    """A bid of campaign 10."""
    return BidRecord(field, tag, 10, line, creative, window_s)


def teach(server: RealServer) -> None:
    """Let a server know the scripts beforehand: teaching one takes a call out of its order."""
    with server.client() as client:
        for script in SCRIPTS:
            client.script_load(script.text)


class Worker:
    """A reader and a writer on one connection."""

    def __init__(self, connection: Connection, tally: Tally) -> None:
        self.connection = connection
        self.clock = ManualClock(NOW_S)
        self.reader = PeopleReader(connection, PATIENT, tally)
        self.writer = FrequencyWriter(connection, tally)
        self.reader.simulated_ms = self.writer.simulated_ms = self.now_ms

    def now_ms(self) -> int:
        """What scripts take for the time."""
        return round(self.clock.now_s() * 1_000)

    async def read(self, *lookups: Lookup | None, imps: Sequence[int] = ()) -> Reading:
        """After all that was written before: a call that has to teach its script to the server comes later."""
        await self.settled()
        return await self.reader.read(lookups or [Lookup(ME)], FAR_NS, imps or [1] * max(1, len(lookups)))

    async def exposure(self, lookup: Lookup | None = None) -> Exposure:
        """What one person was shown; leaves a mark."""
        (found,) = (await self.read(lookup or Lookup(ME))).exposures
        assert found is not None
        return found

    async def hold(self, *bids: BidRecord, hold_s: float = 60) -> None:
        """A request about ME that ends with bids."""
        exposure = await self.exposure()
        exposure.held += bids
        self.writer.finish([exposure], hold_s)

    async def look(self) -> Exposure:
        """What stands there, without leaving a mark."""
        exposure = await self.exposure()
        self.writer.finish([exposure], 60)
        return exposure

    async def settled(self) -> None:
        """Until the server has answered all that was written."""
        await eventually(lambda: not self.connection.in_flight and not self.writer.kept)

    async def records(self, field: bytes = SHOP) -> list[tuple[int, int, int]]:
        """(kind, at relative to NOW_S, count) of what stands there."""
        value = (await self.look()).views.get(field)
        if value is None:
            return []
        log = open_log(value, 0)
        return sorted((r[5], r[0] - NOW_S, r[6]) for r in log.records)
