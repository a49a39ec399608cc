"""Caps held against a log: windows, gaps, scopes, holds, and what pricing is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.audience.frequency import (
    HOLD,
    MAX_RECORDS,
    MAX_WINDOW_S,
    VIEW,
    VISITOR_WINDOW_S,
    Basis,
    BidRecord,
    Exposure,
    Log,
    Verdict,
    bid_tag,
    frequency_bin,
    most_of,
    open_log,
    pack_log,
    recency_bin,
    verdict,
    view_bins,
)
from bidder.campaigns.caps import ADVERTISER, CAMPAIGN, CREATIVE, LINE, Cap

NOW_S = 1_790_000_000
FIELD = b"a:shop"
PASSES, REACHED, HELD = Verdict.PASSES, Verdict.REACHED, Verdict.HELD
WINDOWS = {"1 min": 60, "1 h": 3_600, "1 d": 86_400, "7 d": 7 * 86_400, "30 d": MAX_WINDOW_S}


def _view(age_s: int, campaign: int = 1, line: int = 2, creative: int = 3, count: int = 1) -> tuple[int, ...]:
    return (NOW_S - age_s, campaign, line, creative, age_s, VIEW, count)


def _hold(left_s: int, line: int = 2, tag: int = 0) -> tuple[int, ...]:
    return (NOW_S + left_s, 1, line, 3, tag, HOLD, 1)


def _exposure(basis: Basis = Basis.PERSON, busy: int = 0, **logs: Log) -> Exposure:
    views = {f"a:{name}".encode(): pack_log(log) for name, log in logs.items()}
    return Exposure(b"0" * 32, basis, views, busy, NOW_S, b"12345678", 0)


@pytest.mark.parametrize("window_s", WINDOWS.values(), ids=WINDOWS)
def test_a_window_slides(window_s: int) -> None:
    """A view counts until its window has passed to the second, and not then."""
    cap = (Cap(LINE, 2, 1, window_s),)
    for age_s, expected in (
        (0, REACHED),
        (window_s - 1, REACHED),
        (window_s, PASSES),
        (window_s + 1, PASSES),
    ):
        assert verdict(Log([_view(age_s)]), cap, NOW_S) is expected


@pytest.mark.parametrize(("views", "expected"), [(0, PASSES), (2, PASSES), (3, REACHED), (4, REACHED)])
def test_a_cap_of_three(views: int, expected: Verdict) -> None:
    """The third view passes, a fourth does not; merged views count as many as they are."""
    cap = (Cap(CREATIVE, 3, 3, 3_600),)
    assert verdict(Log([_view(n) for n in range(views)]), cap, NOW_S) is expected
    assert verdict(Log([_view(5, count=views)] if views else []), cap, NOW_S) is expected


def test_a_gap_is_a_cap_of_one() -> None:
    """A minimum gap of 90 seconds: nothing for 89, then again; a bid under way holds it too."""
    gap = (Cap(CAMPAIGN, 1, 1, 90),)
    assert verdict(Log([_view(89)]), gap, NOW_S) is REACHED
    assert verdict(Log([_view(90)]), gap, NOW_S) is PASSES
    assert verdict(Log([_view(90), _hold(1)]), gap, NOW_S) is HELD


@pytest.mark.parametrize(
    ("scope", "key", "expected"),
    [
        *((ADVERTISER, 0, REACHED), (CAMPAIGN, 1, REACHED), (LINE, 2, REACHED), (CREATIVE, 3, REACHED)),
        *((CAMPAIGN, 9, PASSES), (LINE, 9, PASSES), (CREATIVE, 9, PASSES)),
    ],
)
def test_scopes(scope: int, key: int, expected: Verdict) -> None:
    """A cap counts views of its own scope and key alone; one of the advertiser counts all."""
    assert verdict(Log([_view(5)]), (Cap(scope, key, 1, 60),), NOW_S) is expected


@pytest.mark.parametrize(
    ("log", "busy", "expected"),
    [
        (Log([]), 0, PASSES),
        (Log([]), 1, PASSES),
        (Log([]), 2, HELD),
        (Log([_hold(0)]), 0, PASSES),
        (Log([_hold(0), _hold(9)]), 0, HELD),
        (Log([_hold(9)]), 1, HELD),
        (Log([_view(5), _hold(9)]), 0, HELD),
        (Log([_view(5)]), 1, HELD),
        (Log([_view(5), _view(6)]), 0, REACHED),
        (Log([_view(5), _view(6), _hold(9)]), 5, REACHED),
        (Log([_hold(9, line=7), _hold(9, line=8)]), 0, PASSES),
    ],
)
def test_what_is_under_way_counts(log: Log, busy: int, expected: Verdict) -> None:
    """Views, holds and other requests together stay within a cap of two; views alone are told apart."""
    assert verdict(log, (Cap(LINE, 2, 2, 3_600),), NOW_S, busy) is expected


def test_a_reached_cap_goes_before_a_held_one() -> None:
    """Of several caps one that views reach is told, wherever it stands."""
    held, reached = Cap(ADVERTISER, 0, 2, 3_600), Cap(CREATIVE, 3, 1, 3_600)
    log = Log([_view(5), _hold(9)])
    for caps in ((held, reached), (reached, held)):
        assert verdict(log, caps, NOW_S) is REACHED


def test_what_was_given_up_counts_against_all() -> None:
    """Views without a record count against each cap whose window reaches the latest of them."""
    log = Log([], given_up=5, given_up_s=NOW_S - 100)
    assert verdict(log, (Cap(CREATIVE, 77, 5, 101),), NOW_S) is REACHED
    assert verdict(log, (Cap(CREATIVE, 77, 6, 101),), NOW_S) is PASSES
    assert verdict(log, (Cap(CREATIVE, 77, 5, 100),), NOW_S) is PASSES


def test_holds_that_lapsed_are_left_out() -> None:
    """A hold counts through the second that it ends in."""
    value = pack_log(Log([_hold(0), _hold(-1), _view(5)]))
    assert [record[0] - NOW_S for record in open_log(value, NOW_S).records] == [0, -5]


@pytest.mark.parametrize(
    "value",
    [b"", b"\x01", b"\x02" + b"\0" * 11, pack_log(Log([_view(1)]))[:-1], b"\x01" + b"\0" * 10 + b"x" * 30],
)
def test_damage_reaches_every_cap(value: bytes) -> None:
    """What cannot be read counts as more than any cap allows."""
    assert verdict(open_log(value, NOW_S), (Cap(CREATIVE, 1, 10_000, 60),), NOW_S) is REACHED
    exposure = Exposure(b"0" * 32, Basis.PERSON, {FIELD: value}, 0, NOW_S, b"", 0)
    assert exposure.verdict(FIELD, (Cap(CREATIVE, 1, 10_000, 60),)) is REACHED
    assert not view_bins([exposure], {FIELD: 0}, np.zeros(1, np.int64), 1)[1].any()


_RECORDS = st.lists(
    st.tuples(
        st.integers(NOW_S - 5_000, NOW_S + 100),
        *(st.integers(0, 2),) * 3,
        st.integers(0, 9),
        st.sampled_from((VIEW, HOLD)),
        st.integers(1, 3),
    ),
    max_size=MAX_RECORDS,
)
_CAPS = st.lists(
    st.builds(
        Cap, st.integers(0, 3), st.integers(0, 2), st.integers(1, 20), st.sampled_from((60, 600, 3_600))
    ),
    min_size=1,
    max_size=4,
).map(tuple)


@given(records=_RECORDS, caps=_CAPS, given_up=st.integers(0, 5), busy=st.integers(0, 3))
def test_the_quick_answer_is_the_long_one(
    records: list[tuple[int, ...]], caps: tuple[Cap, ...], given_up: int, busy: int
) -> None:
    """An exposure, which opens a log only where it must, says what counting one by one says."""
    log = Log(records, given_up, NOW_S - 50 if given_up else 0)
    exposure = _exposure(busy=busy, shop=log)
    expected = []
    for cap in caps:
        since_s = NOW_S - cap.window_s
        counted = [r for r in records if r[0] > since_s and (cap.scope == 0 or r[cap.scope] == cap.key)]
        views = sum(r[6] for r in counted if r[5] == VIEW) + (given_up if since_s < NOW_S - 50 else 0)
        holds = sum(r[6] for r in counted if r[5] == HOLD and r[0] >= NOW_S)
        expected.append(
            REACHED if views >= cap.views else HELD if views + holds + busy >= cap.views else PASSES
        )
    worst = REACHED if REACHED in expected else HELD if HELD in expected else PASSES
    assert exposure.verdict(FIELD, caps) is worst
    assert exposure.verdict(FIELD, caps) is worst
    assert most_of(pack_log(log)) == given_up + sum(r[6] for r in records)


def test_bids_of_a_batch_count() -> None:
    """A bid that is chosen counts for the next choice of the same batch, of its own advertiser, until it is dropped."""
    exposure, cap = _exposure(shop=Log([_view(5)])), (Cap(LINE, 2, 2, 3_600),)
    bid, other = (BidRecord(FIELD, tag, 1, line, 3, 3_600) for tag, line in ((7, 2), (8, 9)))
    assert exposure.verdict(FIELD, cap) is PASSES
    exposure.chosen(other)
    assert exposure.verdict(FIELD, cap) is PASSES
    exposure.chosen(bid)
    assert exposure.verdict(FIELD, cap) is HELD
    assert exposure.verdict(b"a:else", cap) is PASSES
    exposure.dropped(bid)
    assert exposure.verdict(FIELD, cap) is PASSES
    fresh = _exposure()
    fresh.chosen(bid)
    assert fresh.verdict(FIELD, (Cap(LINE, 2, 1, 60),)) is HELD


def test_nobody_is_busy_for_nothing() -> None:
    """Others at work count although nothing was seen yet."""
    cap = (Cap(LINE, 2, 2, 60),)
    assert [_exposure(busy=busy).verdict(FIELD, cap) for busy in (0, 1, 2)] == [PASSES, PASSES, HELD]


def test_visitors_are_counted_within_an_hour() -> None:
    """A cap of a day is one of an hour for an address; a shorter one stays what it is."""
    log = Log([_view(VISITOR_WINDOW_S)])
    daily = (Cap(LINE, 2, 1, 86_400),)
    assert _exposure(Basis.VISITOR, shop=log).verdict(FIELD, daily) is PASSES
    assert _exposure(Basis.VISITOR, shop=Log([_view(VISITOR_WINDOW_S - 1)])).verdict(FIELD, daily) is REACHED
    assert _exposure(Basis.MATCH, shop=log).verdict(FIELD, daily) is REACHED
    assert _exposure(Basis.VISITOR, shop=Log([_view(60)])).verdict(FIELD, (Cap(LINE, 2, 1, 60),)) is PASSES


def test_tags() -> None:
    """A bid's tag is the beginning of its id; an exposure's id are the 16 bytes of its tag."""
    assert bid_tag(b"\x01\x02\x00\x00" + b"x" * 8) == 513
    assert _exposure().id == bytes(16)


def test_bins() -> None:
    """Bins are numbers of bits: each is twice as wide as the one before."""
    assert [recency_bin(s) for s in (-5, 0, 1, 2, 3, 4, MAX_WINDOW_S)] == [1, 1, 2, 3, 3, 4, 23]
    assert [frequency_bin(n) for n in (0, 1, 2, 3, 4, 63, 64, 10**6)] == [0, 1, 2, 2, 3, 6, 7, 7]


def test_features_of_pairs() -> None:
    """Each pair is given how long ago and how often its own advertiser was seen by its own request's person; holds,
    and views of more than a week ago, do not count."""
    week_s = 7 * 86_400
    one = _exposure(shop=Log([_view(8, count=2), _view(week_s - 1), _view(week_s), _hold(5)]))
    two = _exposure(store=Log([_view(week_s + 9)]), shop=Log([_hold(5)], 3, NOW_S - 4))
    cell = np.array([0 * 10 + 4, 0 * 10 + 5, 1 * 10 + 4, 2 * 10 + 5, 2 * 10 + 4], np.int64)
    recency, frequency = view_bins([one, None, two], {FIELD: 4, b"a:store": 5}, cell, 10)
    assert recency.tolist() == [recency_bin(8), 0, 0, recency_bin(week_s + 9), recency_bin(4)]
    assert frequency.tolist() == [frequency_bin(3), 0, 0, 0, frequency_bin(3)]
    assert view_bins([None], {}, cell, 10)[0].tolist() == [0] * 5
