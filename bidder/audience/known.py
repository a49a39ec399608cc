"""What an advertiser knows of a person, and what it knows after more visits: the history, and all that follows from it.

Place: stores/visitors reads a Known, adds what was Seen, and writes both fields in one step.
Units: seconds since the epoch.
Rule: rules that change take hold of a person with the next visit; until then what was found stands, at most a month.
Limits: those of history.py and person.py; nothing older than `keep_s` stays, which is KEEP_S at most.
Never: anything of another advertiser; a clock, a store.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from bidder.audience.affinity import moved
from bidder.audience.history import KEEP_S, History, merged, unseen
from bidder.audience.person import MAX_DIMENSIONS, MAX_PRODUCTS, MAX_SEGMENTS, Profile
from bidder.audience.segments import Rules
from bidder.audience.visit import Visit

_NO_AFFINITY: Final = np.zeros(0, np.float16)
DAY_S: Final = 86_400


class Known(Struct, frozen=True):
    """What one advertiser knows of one person."""

    profile: Profile | None = None
    history: History = History()
    opted_out: bool = False
    """The person wants nothing kept: there is neither a profile nor a history."""


class ShopRules(Struct, frozen=True):
    """Whose visits they are, and the segments that follow from them."""

    advertiser_id: str
    rules: Rules


class Seen(Struct, frozen=True):
    """A visit, and where its product lies in the space of affinity."""

    visit: Visit
    vector: NDArray[np.float16] | None = None
    """(D,) float16, D <= MAX_DIMENSIONS; None where it is not known."""


class Added(Struct, frozen=True):
    """What stands of a person after visits were added."""

    profile: Profile
    history: History
    kept: int
    repeated: int
    """Visits of events that were known."""
    entered: tuple[int, ...]
    """Keys of the segments that the person was not known to be in today."""


def added(known: Known, shop: ShopRules, seen: Sequence[Seen], now_s: int, keep_s: int = KEEP_S) -> Added:
    """A person's history and profile with visits added; a visit of the future is one of now.

    What is kept depends on the visits alone, not on the order or the number of calls that they came in, as long as
    there are not more than a history holds.
    """
    before, history = known.profile, known.history
    visits = [replace(each.visit, at_s=min(each.visit.at_s, now_s)) for each in seen]
    new = unseen(history.visits, visits)
    fresh = [(visit, each.vector) for visit, each, is_new in zip(visits, seen, new, strict=True) if is_new]
    kept_visits = merged(history.visits, [visit for visit, _ in fresh], now_s, keep_s)
    standing = {id(visit) for visit in kept_visits}
    kept = [(visit, _bounded(vector)) for visit, vector in fresh if id(visit) in standing]
    stays = shop.rules.stays(kept_visits, now_s)
    ends_s = now_s + keep_s
    members = [(stay.key, min(stay.expires_s, ends_s)) for stay in stays if stay.begins_s <= now_s]
    waiting = [
        (stay.key, stay.begins_s, min(stay.expires_s, ends_s))
        for stay in stays
        if now_s < stay.begins_s < ends_s
    ]
    profile = Profile(
        now_s,
        moved(_NO_AFFINITY, kept, now_s, now_s)
        if before is None
        else moved(before.affinity, kept, before.updated_s, now_s),
        (*members, *_others(before, shop.rules, now_s))[:MAX_SEGMENTS],
        _products(before, kept, now_s - keep_s),
        tuple(waiting),
    )
    entered = tuple([key for key, _ in members if not _counted(before, key, now_s)])
    return Added(profile, History(kept_visits, history.version + 1), len(kept), new.count(False), entered)


def aged(known: Known, now_s: int, keep_s: int = KEEP_S) -> Known:
    """What may still be known: no visit or product older than `keep_s`, no segment that has ended; no profile that no
    visit has moved for so long."""
    since_s, profile = now_s - keep_s, known.profile
    visits = tuple([visit for visit in known.history.visits if visit.at_s > since_s])
    history = (
        known.history
        if len(visits) == len(known.history.visits)
        else History(visits, known.history.version + 1)
    )
    if profile is not None and profile.updated_s <= since_s:
        profile = None
    elif profile is not None:
        profile = replace(
            profile,
            segments=tuple([segment for segment in profile.segments if segment[1] > now_s]),
            products=tuple([product for product in profile.products if product[1] > since_s]),
            waiting=tuple([segment for segment in profile.waiting if segment[2] > now_s]),
        )
    return Known(profile, history, known.opted_out)


def _bounded(vector: NDArray[np.float16] | None) -> NDArray[np.float16] | None:
    return vector if vector is not None and len(vector) <= MAX_DIMENSIONS else None


def _others(before: Profile | None, rules: Rules, now_s: int) -> list[tuple[int, int]]:
    """Segments that no definition makes: who set them said until when they hold. The longest first."""
    if before is None:
        return []
    others = [(key, end_s) for key, end_s in before.segments if key not in rules.ids and end_s > now_s]
    return sorted(others, key=lambda segment: -segment[1])


def _products(
    before: Profile | None, kept: Sequence[tuple[Visit, object]], since_s: int
) -> tuple[tuple[int, int], ...]:
    """(product, seen_s) of the products that were looked at or bought after `since_s`, the latest first."""
    seen = dict(before.products) if before else {}
    for visit, _ in kept:
        if visit.product:
            seen[visit.product] = max(visit.at_s, seen.get(visit.product, 0))
    latest = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
    return tuple([item for item in latest if item[1] > since_s][:MAX_PRODUCTS])


def _counted(before: Profile | None, key: int, now_s: int) -> bool:
    """Whether a profile of the same day (UTC) had a segment: then its size has counted the person."""
    if before is None or before.updated_s // DAY_S != now_s // DAY_S:
        return False
    return any(key == known for known, _ in before.segments)
