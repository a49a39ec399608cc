"""Sightings at the people's store: one script call each, all of a batch in one round trip, repeated until answered.

Place: the frequency lane's `Exposures`; unlike the end of a batch, which nobody awaits, a notice's sighting leaves
    the spool only when the store has it.
Limits: TIMEOUT_S for an answer; the lane asks again.
Raises: StoreError where the store did not take all of them. A call that it refuses is counted and given up.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

import hiredis

from bidder.audience.frequency import BidRecord, bid_tag
from bidder.keys import field_name
from bidder.metrics import Metric, Tally
from bidder.spending.sightings import Sighting, Verb
from bidder.stores.asking import unknown_scripts
from bidder.stores.connection import Batch
from bidder.stores.errors import StoreError, StoreLate
from bidder.stores.frequency_writer import Call, drop_call, prolong_call, view_call
from bidder.stores.people import Source
from bidder.stores.scripts import with_text

TIMEOUT_S: Final = 5.0

METRICS: Final = (
    Metric("paceline_sightings_refused_total", "counter", "Sightings that the people's store would not take"),
)
_log = logging.getLogger(__name__)


class ViewLog:
    """The logs of views, over the source that bids read from."""

    def __init__(self, source: Source, tally: Tally, now_s: Callable[[], float]) -> None:
        """The source stays its owner's to close; `now_s` is the clock that notices were accepted by."""
        self._source, self._tally, self._now_s = source, tally, now_s

    async def apply(self, sightings: Sequence[Sighting]) -> None:
        """See sightings.Exposures."""
        now_s = self._now_s()
        calls = [_call(sighting, now_s) for sighting in sightings]
        unknown = self._refused(await self._ask(calls))
        if unknown:
            self._refused(await self._ask([(with_text(calls[n][0]), calls[n][1]) for n in unknown]))

    async def _ask(self, calls: Sequence[Call]) -> Batch:
        answered: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()

        def done(batch: Batch) -> None:
            if not answered.done():
                answered.set_result(batch)

        self._source.submit([command for command, _ in calls], [tag for _, tag in calls], done)
        waited, _ = await asyncio.wait({answered}, timeout=TIMEOUT_S)
        if not waited:
            raise StoreLate("the people's store does not answer")
        batch = answered.result()
        if batch.error is not None:
            raise batch.error
        failed = next((reply for reply in batch.replies if isinstance(reply, StoreError)), None)
        if failed is not None:
            raise failed
        return batch

    def _refused(self, batch: Batch) -> list[int]:
        """The places of calls that the server does not know; what it refuses otherwise is counted."""
        unknown = unknown_scripts(batch)
        refused = [reply for reply in batch.replies if type(reply) is hiredis.ReplyError]
        if len(refused) > len(unknown):
            self._tally.count("paceline_sightings_refused_total", by=len(refused) - len(unknown))
            _log.error("the people's store refused a view: %s", refused[-1])
        return unknown


def _call(sighting: Sighting, now_s: float) -> Call:
    field, person = field_name(sighting.advertiser_id), sighting.person
    bid = BidRecord(
        field,
        bid_tag(sighting.bid_id),
        sighting.campaign_key,
        sighting.line_key,
        sighting.creative_key,
        sighting.window_s,
    )
    if sighting.verb is Verb.VIEW:
        return view_call(person, bid, int(max(0.0, now_s - sighting.seen_s)))
    if sighting.verb is Verb.DROP:
        return drop_call(person, field, bid.bid_tag)
    return prolong_call(person, bid, max(1.0, sighting.deadline_s - now_s))
