"""Who belongs to an advertiser's segments, and from when until when without doing anything more.

Place: compiled of a campaign file; fold.py asks as events arrive, and keeps the answer in the profile.
Shapes: a segment is its 32-bit key (bidder/keys). Visits are of one person and one advertiser.
Units: seconds since the epoch. A visit counts while now < its time + the rule's window; a membership ends at
    `expires_s`, which is the first second out.
Limits: MAX_STAY_S, whatever the rules say: nothing of a person is kept for longer.
Never: reads the clock; knows other advertisers' rules.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from bidder.audience.visit import KINDS, EventKind, Visit
from bidder.campaigns.durations import seconds_of
from bidder.campaigns.model import Advertiser, EventRule
from bidder.keys import category_key, name_key, product_key, segment_key
from budget.money import micros_from_text

MAX_STAY_S: Final = 30 * 86_400

_NEVER: Final = 0


class Condition(Struct, frozen=True):
    """One EventRule, compiled."""

    kind: EventKind
    categories: frozenset[int]
    products: frozenset[int]
    custom: int
    at_least: int
    within_s: int
    min_value_micros: int

    @property
    def plain(self) -> bool:
        """Whether every event of the kind counts."""
        return not (self.categories or self.products or self.custom or self.min_value_micros)

    def fits(self, visit: Visit) -> bool:
        """Whether it speaks of this visit, whatever its time and value."""
        return (
            visit.kind is self.kind
            and (not self.categories or visit.category in self.categories)
            and (not self.products or visit.product in self.products)
            and (not self.custom or visit.custom == self.custom)
        )


class Definition(Struct, frozen=True):
    """One Segment, compiled."""

    id: str
    key: int
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...]
    keep_s: int


class Stay(Struct, frozen=True):
    """A stretch of time in a segment."""

    key: int
    begins_s: int
    """The first second in."""
    expires_s: int
    """The first second out."""


class Rules:
    """The segments of one advertiser."""

    def __init__(self, advertiser_id: str, definitions: Sequence[Definition]) -> None:
        self.advertiser_id = advertiser_id
        self.definitions = tuple(definitions)
        self.ids = {definition.key: definition.id for definition in definitions}
        """Segment id by key."""

    def stays(self, visits: Sequence[Visit], now_s: int) -> list[Stay]:
        """Where the person is now, or will be when a rule of `unless` no longer holds, if nothing more happens."""
        events = _by_kind(visits)
        times: dict[Condition, tuple[int, int]] = {}
        found = []
        for definition in self.definitions:
            begins_s, expires_s = _stay(definition, lambda c: _times(c, events, times), now_s)
            if begins_s < expires_s:
                found.append(Stay(definition.key, begins_s, expires_s))
        return found

    def members(self, visits: Sequence[Visit], now_s: int) -> tuple[tuple[int, int], ...]:
        """(segment key, expires_s) of the segments that the person is in now."""
        return tuple([(s.key, s.expires_s) for s in self.stays(visits, now_s) if s.begins_s <= now_s])


def compile_rules(advertiser: Advertiser, to_micros: Callable[[str], int] = micros_from_text) -> Rules:
    """An advertiser's segments, compiled; `to_micros` reads an amount of its currency."""

    def condition(rule: EventRule) -> Condition:
        owner = advertiser.id
        return Condition(
            kind=KINDS[rule.event],
            categories=frozenset([category_key(owner, name) for name in rule.categories]),
            products=frozenset([product_key(owner, name) for name in rule.products]),
            custom=name_key(owner, rule.custom or ""),
            at_least=rule.at_least,
            within_s=seconds_of(rule.within),
            min_value_micros=0 if rule.min_value is None else to_micros(str(rule.min_value)),
        )

    return Rules(
        advertiser.id,
        [
            Definition(
                id=segment.id,
                key=segment_key(advertiser.id, segment.id),
                when=tuple(map(condition, segment.when)),
                unless=tuple(map(condition, segment.unless)),
                keep_s=seconds_of(segment.keep),
            )
            for segment in advertiser.segments
        ],
    )


_Event = tuple[Visit, ...]
_Times = Callable[[Condition], tuple[int, int]]


def _stay(definition: Definition, times: _Times, now_s: int) -> tuple[int, int]:
    """(begins_s, expires_s) of a segment; the end is not after the beginning where the person is not to be in it."""
    ends_s, last_s = now_s + MAX_STAY_S, _NEVER
    for condition in definition.when:
        latest_s, counting_s = times(condition)
        if not counting_s:
            return _NEVER, _NEVER
        ends_s = min(ends_s, counting_s + condition.within_s)
        last_s = max(last_s, latest_s)
    begins_s = now_s
    for condition in definition.unless:
        _, counting_s = times(condition)
        if counting_s:
            begins_s = max(begins_s, counting_s + condition.within_s)
    return begins_s, min(ends_s, last_s + definition.keep_s)


def _times(
    condition: Condition, events: dict[EventKind, list[_Event]], known: dict[Condition, tuple[int, int]]
) -> tuple[int, int]:
    """(time of the latest event that counts, time of the `at_least`th latest); 0 where there are not so many."""
    found = known.get(condition)
    if found is None:
        times = _counting(condition, events.get(condition.kind, []))
        enough = len(times) == condition.at_least
        found = known[condition] = (times[0] if times else _NEVER, times[-1] if enough else _NEVER)
    return found


def _counting(condition: Condition, events: list[_Event]) -> list[int]:
    """The times of the latest events that count, at most `at_least`, the latest first."""
    most = condition.at_least
    if condition.plain:
        return [event[0].at_s for event in events[:most]]
    found: list[int] = []
    for event in events:
        fitting = [visit for visit in event if condition.fits(visit)]
        if fitting and sum([visit.value_micros for visit in fitting]) >= condition.min_value_micros:
            found.append(fitting[0].at_s)
            if len(found) == most:
                break
    return found


def _by_kind(visits: Sequence[Visit]) -> dict[EventKind, list[_Event]]:
    """Events by kind, the latest first; the visits of one event's id are one event."""
    grouped: dict[tuple[EventKind, int], list[Visit]] = {}
    for number, visit in enumerate(visits):
        grouped.setdefault((visit.kind, visit.event or -1 - number), []).append(visit)
    found: dict[EventKind, list[_Event]] = {}
    for (kind, _), event in grouped.items():
        found.setdefault(kind, []).append(tuple(event))
    for events in found.values():
        events.sort(key=_latest_first)
    return found


def _latest_first(event: _Event) -> int:
    return -event[0].at_s
