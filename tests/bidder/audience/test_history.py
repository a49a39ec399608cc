"""What a person did, packed and kept: what goes in comes out, the oldest goes first, purchases last."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bidder.audience.history import (
    KEEP_S,
    MAX_VALUE_MICROS,
    MAX_VISITS,
    History,
    bought,
    merged,
    pack_history,
    unpack_history,
    unseen,
)
from bidder.audience.visit import EventKind, Visit
from tests.bidder.audience.visits import NOW_S, U32, any_visit, recent_visit

VIEW = Visit(EventKind.PRODUCT_VIEW, NOW_S, product=7, event=1)
BUY = Visit(EventKind.PURCHASE, NOW_S, product=7, event=2)


@dataclass
class _Counter:
    at: int = NOW_S

    def earlier(self, visit: Visit) -> Visit:
        """Each call a second earlier, as an event of its own."""
        self.at -= 1
        return replace(visit, at_s=self.at, event=NOW_S - self.at)


@given(visits=st.lists(any_visit, max_size=MAX_VISITS), version=U32)
def test_a_history_comes_back(visits: list[Visit], version: int) -> None:
    """Every visit in its order, to the last bit."""
    history = History(tuple(visits), version)
    assert unpack_history(pack_history(history)) == history


@given(visits=st.lists(any_visit, max_size=5), data=st.data())
def test_a_damaged_history_is_nothing(visits: list[Visit], data: st.DataObject) -> None:
    """A cut or lengthened value holds no history."""
    value = pack_history(History(tuple(visits)))
    assert unpack_history(value[: data.draw(st.integers(0, len(value) - 1))]) is None
    assert unpack_history(value + b"\0") is None


@given(value=st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(value: bytes) -> None:
    """Whatever stands in a field is a history that packs to so many bytes, or nothing."""
    history = unpack_history(value)
    assert history is None or len(pack_history(history)) == len(value)


@pytest.mark.parametrize(("place", "byte"), [(0, 0), (0, 2), (1, MAX_VISITS + 1), (8, 0), (8, 8)])
def test_another_format_is_nothing(place: int, byte: int) -> None:
    """Another format, more visits than there may be, or a kind that does not exist: as good as none."""
    value = bytearray(pack_history(History((VIEW,))))
    value[place] = byte
    assert unpack_history(bytes(value)) is None


@pytest.mark.parametrize(
    "history",
    [
        History((VIEW,) * (MAX_VISITS + 1)),
        History((replace(VIEW, at_s=-1),)),
        History((replace(VIEW, category=1 << 32),)),
        History((replace(VIEW, value_micros=MAX_VALUE_MICROS * 4),)),
    ],
    ids=["too many", "before the epoch", "key too long", "value too high"],
)
def test_above_the_limits_nothing_is_packed(history: History) -> None:
    """A history beyond its bounds is refused in words."""
    with pytest.raises(ValueError, match=r"at most 64|out of bounds"):
        pack_history(history)


def test_versions_begin_anew_beyond_32_bits() -> None:
    """The count of writes goes round, it does not break."""
    back = unpack_history(pack_history(History((), 1 << 32)))
    assert back == History((), 0)


@given(kept=st.lists(recent_visit, max_size=80), new=st.lists(recent_visit, max_size=80))
def test_what_stays_is_recent_sorted_and_bounded(kept: list[Visit], new: list[Visit]) -> None:
    """At most MAX_VISITS, none older than KEEP_S, the latest first; a purchase goes only where all that stay are
    purchases, and nothing that goes is later than something of its sort that stays."""
    stays = merged(kept, new, NOW_S)
    given_ = [visit for visit in (*new, *kept) if visit.at_s > NOW_S - KEEP_S]
    times = [visit.at_s for visit in stays]
    assert len(stays) == min(MAX_VISITS, len(given_))
    assert times == sorted(times, reverse=True)
    purchases = [visit for visit in given_ if visit.kind is EventKind.PURCHASE]
    stay_purchases = [visit for visit in stays if visit.kind is EventKind.PURCHASE]
    assert len(stay_purchases) == min(MAX_VISITS, len(purchases))
    for sort in (True, False):
        all_times = sorted((v.at_s for v in given_ if (v.kind is EventKind.PURCHASE) is sort), reverse=True)
        left = [v.at_s for v in stays if (v.kind is EventKind.PURCHASE) is sort]
        assert left == all_times[: len(left)]


def test_one_more_than_fits_drops_the_oldest_view() -> None:
    """With MAX_VISITS all stay; one more and the oldest that is no purchase goes, though a purchase is older."""
    earlier = _Counter().earlier
    visits = [earlier(VIEW) for _ in range(MAX_VISITS - 1)]
    visits.append(earlier(BUY))
    assert len(merged(visits, [], NOW_S)) == MAX_VISITS
    stays = merged(visits, [VIEW], NOW_S)
    assert len(stays) == MAX_VISITS
    assert stays[0] == VIEW
    assert stays[-1] == visits[-1]
    assert visits[-2] not in stays


def test_of_purchases_alone_the_oldest_goes() -> None:
    """Where all are purchases there is nothing else to give up."""
    earlier = _Counter().earlier
    visits = [earlier(BUY) for _ in range(MAX_VISITS)]
    assert merged(visits, [BUY, replace(VIEW, event=5)], NOW_S) == (BUY, *visits[:-1])


def test_a_month_is_the_end() -> None:
    """A visit stays while it is younger than KEEP_S, not a second longer."""
    visit = replace(VIEW, at_s=NOW_S - KEEP_S)
    assert merged([visit], [], NOW_S - 1) == (visit,)
    assert merged([visit], [], NOW_S) == ()


def test_an_event_is_kept_once() -> None:
    """Its visits of several products are all new; the same event again is not, nor the same visit in one call."""
    other = replace(VIEW, product=8)
    assert unseen([], [VIEW, other]) == [True, True]
    assert unseen([], [VIEW, VIEW]) == [True, False]
    assert unseen([VIEW], [VIEW, other, BUY]) == [False, False, True]


def test_without_an_id_every_visit_is_another() -> None:
    """What nobody named cannot be recognised."""
    nameless = replace(VIEW, event=0)
    assert unseen([nameless], [nameless, nameless]) == [True, True]


def test_what_was_bought_is_told() -> None:
    """The products of purchases, no others."""
    assert bought(History((VIEW, replace(BUY, product=9), replace(BUY, product=0)))) == {9}
