"""Accepted notices reach the frequency caps: holds become views, stand for longer, or go.

Place: the frequency lane hands over batches; stores hold the people's logs behind `Exposures`.
Limits: what the store does not take within PATIENCE_S of its notice is given up and counted: caps then count the hold
    until it lapses, and no queue grows for the sake of a store that is away.
Never: money waits for it.
"""

import logging
from collections.abc import Sequence
from enum import Enum
from typing import Final, Protocol

from msgspec import Struct

from bidder.clock import Clock
from bidder.metrics import Metric, Tally
from bidder.notices.orders import DROP, OF_FREQUENCY, PROLONG, VIEW, Order

PATIENCE_S: Final = 900.0

_log = logging.getLogger(__name__)

METRICS: Final = (
    Metric(
        "paceline_sightings_total",
        "counter",
        "What notices told of views: applied, or given up because the people's store was away too long",
        ("verb", "result"),
    ),
    Metric("paceline_sightings_failures_total", "counter", "Calls that the people's store did not answer"),
)


class Verb(Enum):
    """What becomes of a bid's hold."""

    VIEW = "view"
    """It becomes a view, or a view is entered where there is none of this bid."""
    DROP = "drop"
    """It goes; a view stays."""
    PROLONG = "prolong"
    """It stands until the deadline, also where it has lapsed; a view stays."""


class Sighting(Struct, frozen=True, gc=False):
    """What a notice tells of one bid's place in somebody's log."""

    verb: Verb
    person: bytes
    """16 bytes: one of our people, or a visitor's tag."""
    visitor: bool
    advertiser_id: str
    bid_id: bytes
    campaign_key: int
    line_key: int
    creative_key: int
    """32-bit keys."""
    window_s: int
    """The longest window of the caps that bind the line item."""
    seen_s: float
    """When the notice came."""
    deadline_s: int
    issued_s: int = 0
    """When the bid was made; before an erasure, it leaves no trace."""


class Exposures(Protocol):
    """The people's logs, as notices change them. Every change may be repeated, by any worker, and counts once."""

    async def apply(self, sightings: Sequence[Sighting]) -> None:
        """Carry them out, in order for each person; raises any Exception where one could not be: all are
        asked again then."""


_VERBS: Final = ((VIEW, Verb.VIEW), (DROP, Verb.DROP), (PROLONG, Verb.PROLONG))


class Sightings:
    """Makes work of orders, and counts what came of it."""

    def __init__(self, exposures: Exposures, tally: Tally, clock: Clock) -> None:
        self._exposures, self._tally, self._clock = exposures, tally, clock

    def plan(self, orders: Sequence[Order], doubtful: bool) -> "SightingWork":
        """See lane.Plan; repeats are harmless, so doubt changes nothing."""
        return SightingWork(self, [_sighting(order) for order in orders if order.verbs & OF_FREQUENCY])

    async def apply(self, sightings: Sequence[Sighting]) -> bool:
        """Whether they need not be asked again."""
        try:
            await self._exposures.apply(sightings)
        except (
            Exception
        ) as error:  # a store's failure or our bug: either way they are asked again until it is late
            self._tally.count("paceline_sightings_failures_total")
            _log.warning("views wait for the people's store: %s: %s", type(error).__name__, error)
            return self._given_up(sightings)
        self._count(sightings, "applied")
        return True

    def _given_up(self, sightings: Sequence[Sighting]) -> bool:
        if self._clock.now_s() - max(sighting.seen_s for sighting in sightings) <= PATIENCE_S:
            return False
        self._count(sightings, "given_up")
        return True

    def _count(self, sightings: Sequence[Sighting], result: str) -> None:
        for sighting in sightings:
            self._tally.count("paceline_sightings_total", sighting.verb.value, result)


class SightingWork:
    """One batch on its way to the people's store."""

    def __init__(self, sightings: Sightings, wanted: Sequence[Sighting]) -> None:
        self._sightings, self._wanted = sightings, wanted

    async def go_on(self) -> bool:
        """See lane.Work."""
        return not self._wanted or await self._sightings.apply(self._wanted)


def _sighting(order: Order) -> Sighting:
    verb = next(verb for bit, verb in _VERBS if order.verbs & bit)
    return Sighting(
        verb=verb,
        person=order.person,
        visitor=order.visitor,
        advertiser_id=order.advertiser_id,
        bid_id=order.bid_id,
        campaign_key=order.campaign_key,
        line_key=order.line_key,
        creative_key=order.creative_key,
        window_s=order.window_s,
        seen_s=order.accepted_s,
        deadline_s=order.deadline_s,
        issued_s=order.issued_s,
    )
