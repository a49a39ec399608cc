"""What notices tell, written to the people's logs: each call is answered before its order is taken for done.

Place: the frequency lane's way to the people's store; the auction's own holds leave by stores/frequency_writer.
Units: seconds; the scripts count from the store's own clock, so they are told how long ago, or for how long.
Limits: CALLS scripts at once, so that reads for bids are never behind more than a fraction of a millisecond of
    these; ANSWER_S for their answers. No view is kept, and no hold stands, for longer than 30 days.
Rule: a bid that was made before its person was erased or opted out leaves no trace: the guard of the tag says when
    that was, and the script that writes asks it.
Raises: StoreError, TimeoutError: some calls were perhaps not made, all may be made again.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Final

import hiredis

from bidder.audience.frequency import MAX_WINDOW_S, VISITOR_WINDOW_S, bid_tag
from bidder.clock import Clock
from bidder.keys import field_name
from bidder.metrics import Metric, Tally
from bidder.spending.sightings import Sighting, Verb
from bidder.stores.asking import unknown_scripts
from bidder.stores.connection import Batch
from bidder.stores.errors import StoreDown, StoreError, StoreReplyError
from bidder.stores.guards import guard_key
from bidder.stores.keys import person_tag, views_key
from bidder.stores.people import Source
from bidder.stores.scripts import DROP, PROLONG, VIEW, bulk, with_text

CALLS: Final = 32
ANSWER_S: Final = 5.0

METRICS: Final = (
    Metric(
        "paceline_sightings_refused_total",
        "counter",
        "Calls to a person's log that the store refuses for good, such as for a key of another type",
    ),
)
_SCRIPTS: Final = {Verb.VIEW: VIEW, Verb.PROLONG: PROLONG}
_BID: Final = struct.Struct("<IIIIII")
_ONE: Final = struct.Struct("<I")
_Call = tuple[bytes, bytes]  # command, tag


class PeopleLogs:
    """`Exposures` over the source that bids read from; belongs to one event loop."""

    def __init__(self, source: Source, tally: Tally, clock: Clock) -> None:
        """The source stays its owner's to close."""
        self._source, self._tally, self._clock = source, tally, clock
        self.simulated_ms: Callable[[], int] | None = None
        """What scripts take for the time; None: the server's own clock."""

    async def apply(self, sightings: Sequence[Sighting]) -> None:
        """See Exposures."""
        for first in range(0, len(sightings), CALLS):
            calls = [self._call(sighting) for sighting in sightings[first : first + CALLS]]
            unknown = await self._made(calls)
            if unknown and await self._made([(with_text(calls[n][0]), calls[n][1]) for n in unknown]):
                raise StoreDown("a server that learns no script")

    async def _made(self, calls: Sequence[_Call]) -> list[int]:
        """Make calls; returns the places of those whose script the server did not know."""
        answered: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()

        def done(batch: Batch) -> None:
            if not answered.done():
                answered.set_result(batch)

        self._source.submit([command for command, _ in calls], [tag for _, tag in calls], done)
        async with asyncio.timeout(ANSWER_S):
            batch = await answered
        failed = batch.error or next((r for r in batch.replies if isinstance(r, StoreError)), None)
        if failed is not None:
            raise failed
        unknown = unknown_scripts(batch)
        for place, reply in enumerate(batch.replies):
            if type(reply) is hiredis.ReplyError and place not in unknown:
                if "WRONGTYPE" not in str(reply):  # such as LOADING, OOM, READONLY: it passes
                    raise StoreReplyError(str(reply))
                self._tally.count("paceline_sightings_refused_total")
        return unknown

    def _call(self, told: Sighting) -> _Call:
        """A packed call of a script: see its head in stores/lua."""
        now_s, tag = self._clock.now_s(), bid_tag(told.bid_id)
        if told.verb is Verb.DROP:
            packed = _ONE.pack(tag)
        else:
            seconds = now_s - told.seen_s if told.verb is Verb.VIEW else max(1.0, told.deadline_s - now_s)
            window_s = min(told.window_s, VISITOR_WINDOW_S) if told.visitor else told.window_s
            keys = (told.campaign_key, told.line_key, told.creative_key)
            packed = _BID.pack(tag, *keys, min(max(0, int(seconds)), MAX_WINDOW_S), window_s)
        person = person_tag(told.person)
        now = b"0" if self.simulated_ms is None else b"%d" % self.simulated_ms()
        key, arguments = (
            bulk(views_key(person)),
            bulk(now) + bulk(field_name(told.advertiser_id)) + bulk(packed),
        )
        if told.verb is Verb.DROP:  # writes nothing that was not there
            return DROP.head(1, 3) + key + arguments, person
        head, guard = _SCRIPTS[told.verb].head(2, 4), bulk(guard_key(person))
        return head + key + guard + arguments + bulk(b"%d" % told.issued_s), person
