"""A worker's own money: nothing is reserved that was not leased, and all that was is accounted for."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from budget.accounts import Limits
from budget.allowance import BUCKET_S, Allowance
from budget.money import Micros
from budget.slices import Slice, Unreserved
from budget.store import Inbox

NOW = 1_792_922_400  # 2026-10-25 10:00 UTC
DEADLINE = NOW + 60
LEASE = 1 << 32 | 1
LINE, SHOP = 7, "shop"
FOREVER = 1e12


def limits(zone: str = "UTC", **bounds: int) -> Limits:
    """Of line item 1 of campaign c."""
    return Limits("c", "1", ZoneInfo(zone), **{name: Micros(amount) for name, amount in bounds.items()})


def opened(bounds: Limits | None = None, money: int = 10_000, low: int = 0) -> tuple[Allowance, Slice]:
    """An allowance with one line item, and a lease of it."""
    allowance = Allowance(1)
    allowance.adopt({LINE: (SHOP, bounds or limits())})
    line = allowance.line(LINE)
    assert line is not None
    piece = allowance.open(line, LEASE, NOW)
    piece.grant(money, low)
    piece.book.until_s = FOREVER
    return allowance, piece


def bid(allowance: Allowance, cost: int = 1_000, now_s: int = NOW, deadline_s: int = DEADLINE) -> int:
    """Reserve for one bid."""
    return allowance.reserve(LINE, Micros(cost), now_s, deadline_s)


def told(price: int, amount: int, lease_id: int = LEASE) -> Inbox:
    """News of one bid."""
    return Inbox(lease_id, b"", Micros(price), Micros(amount), DEADLINE)


def test_a_bid_is_refused_without_money() -> None:
    """And leaves word of what it wanted."""
    allowance = Allowance(1)
    allowance.adopt({LINE: (SHOP, limits())})
    assert bid(allowance, 300) == 0
    assert bid(allowance, 500) == 0
    (line,) = allowance.wanting()
    assert (line.refused, line.useful) == (800, 500)
    assert allowance.wanting() == []


def test_an_unknown_line_item_has_no_money() -> None:
    """And wants none."""
    allowance = Allowance(1)
    assert bid(allowance) == 0
    assert allowance.wanting() == []


def test_money_is_reserved_to_the_last_micro() -> None:
    """Never more than what is free."""
    allowance, piece = opened(money=2_500)
    assert [bid(allowance), bid(allowance), bid(allowance), bid(allowance, 500), bid(allowance, 1)] == [
        LEASE,
        LEASE,
        0,
        LEASE,
        0,
    ]
    assert (piece.free, allowance.committed(LINE), allowance.idle(LINE)) == (0, 2_500, 0)


def test_low_money_is_said_once_and_still_bid() -> None:
    """The treasurer hears of it before a bid is refused."""
    allowance, _ = opened(money=10_000, low=5_000)
    assert [bool(bid(allowance)) for _ in range(10)] == [True] * 10
    (line,) = allowance.wanting()
    assert line.refused == 0
    assert line.useful == 1_000


def test_a_bid_that_never_left_frees_its_money() -> None:
    """All of it; what is unknown by now changes nothing."""
    allowance, piece = opened()
    bid(allowance)
    allowance.unreserve(LEASE, Micros(1_000), DEADLINE)
    assert (piece.free, piece.reserved) == (10_000, 0)
    allowance.unreserve(LEASE, Micros(1_000), DEADLINE)
    allowance.unreserve(LEASE + 1, Micros(1_000), DEADLINE)
    assert (piece.free, piece.reserved) == (10_000, 0)


def test_what_is_heard_frees_the_rest_of_the_price() -> None:
    """A charge keeps its amount, a release nothing; leases that are no more are passed over."""
    allowance, piece = opened()
    bid(allowance)
    bid(allowance)
    allowance.heard([told(1_000, 700), told(1_000, 0), told(1_000, 1_000, LEASE + 1)])
    assert (piece.free, piece.reserved, piece.settled) == (9_300, 0, 700)
    assert allowance.engaged(LINE) == 700


def test_news_of_a_bid_that_never_was_is_refused() -> None:
    """Money is not made of it."""
    allowance, piece = opened()
    with pytest.raises(Unreserved, match="1000 of 0"):
        allowance.heard([told(1_000, 700)])
    assert (piece.free, piece.settled) == (10_000, 0)


@given(deadline_s=st.integers(NOW, NOW + 1_000), clock_s=st.integers(NOW, NOW + 1_100))
def test_time_frees_only_what_nobody_can_charge(deadline_s: int, clock_s: int) -> None:
    """Never at or before a deadline, and at most BUCKET_S after it."""
    allowance, piece = opened()
    bid(allowance, deadline_s=deadline_s)
    freed = allowance.expire(SHOP, clock_s)
    if clock_s <= deadline_s:
        assert freed == 0
    if clock_s > deadline_s + BUCKET_S:
        assert freed == 1_000
    assert piece.free + piece.reserved == 10_000
    allowance.check()


def test_no_bid_beyond_what_the_ledger_promised() -> None:
    """A worker that is silent for too long stops by itself, and asks for no money that would not help."""
    allowance, piece = opened()
    piece.book.until_s = DEADLINE
    assert bid(allowance, deadline_s=DEADLINE)
    assert not bid(allowance, deadline_s=DEADLINE + 1)
    assert allowance.wanting() == []


@pytest.mark.parametrize("account", ["wallet", "campaign/c", "line/1"])
def test_a_pause_of_any_level_stops_bids(account: str) -> None:
    """Until it is over; a lease that is opened meanwhile is shut too."""
    allowance, _ = opened()
    allowance.paused(SHOP, frozenset({account}))
    assert not bid(allowance)
    assert allowance.wanting() == []
    line = allowance.line(LINE)
    assert line is not None
    allowance.open(line, LEASE + 1, NOW).grant(10_000, 0)
    assert not bid(allowance)
    allowance.paused(SHOP, frozenset())
    assert bid(allowance) == LEASE + 1


def test_a_pause_of_another_account_stops_nothing() -> None:
    """Of another campaign, say."""
    allowance, _ = opened()
    allowance.paused(SHOP, frozenset({"campaign/d"}))
    assert bid(allowance)


@pytest.mark.parametrize(
    ("zone", "bounds", "lasts_s"),
    [
        ("UTC", {"line_daily": 1}, 14 * 3_600),
        ("UTC", {"line_hourly": 1}, 3_600),
        ("Europe/Berlin", {"campaign_daily": 1}, 13 * 3_600),
        ("Asia/Kolkata", {"line_hourly": 1}, 1_800),
        ("UTC", {"line_total": 1}, None),
    ],
)
def test_money_of_a_period_buys_nothing_after_it(
    zone: str, bounds: dict[str, int], lasts_s: int | None
) -> None:
    """Periods are those of the advertiser's time zone; a total has none."""
    allowance, piece = opened(limits(zone, **bounds))
    if lasts_s is None:
        assert bid(allowance, now_s=NOW + 10**7, deadline_s=NOW + 10**7 + 60)
        return
    end_s = NOW + lasts_s
    assert bid(allowance, now_s=end_s - 1, deadline_s=end_s + 60)
    assert not bid(allowance, now_s=end_s, deadline_s=end_s + 60)
    (line,) = allowance.wanting()
    new = allowance.open(line, LEASE + 1, end_s)
    new.grant(1_000, 0)
    assert bid(allowance, now_s=end_s, deadline_s=end_s + 60) == LEASE + 1
    assert piece.closed
    assert (piece.free, piece.reserved) == (9_000, 1_000)
    assert allowance.committed(LINE) == 2_000
    allowance.check()


def test_a_line_item_that_is_gone_keeps_its_reservations() -> None:
    """They can be charged; when the slice is empty, nothing of the line item is left."""
    allowance, piece = opened()
    bid(allowance)
    allowance.adopt({})
    assert not bid(allowance)
    allowance.heard([told(1_000, 600)])
    piece.take_back(piece.free)
    assert piece.empty
    allowance.drop(piece)
    allowance.check()
    assert list(allowance.lines()) == []


def test_other_limits_on_the_same_accounts_keep_the_slice() -> None:
    """And the ledger is to hear of them."""
    allowance, piece = opened(limits(line_daily=5_000))
    allowance.adopt({LINE: (SHOP, limits(line_daily=9_000))})
    assert allowance.wanting() == [piece.line]
    assert piece.line.untold
    assert bid(allowance) == LEASE
    assert piece.path[-1].limit == 9_000


@pytest.mark.parametrize(
    "found",
    [
        (SHOP, limits(line_daily=5_000, line_hourly=100)),
        ("other", limits(line_daily=5_000)),
        (SHOP, limits("Asia/Tokyo", line_daily=5_000)),
    ],
)
def test_other_accounts_are_another_slice(found: tuple[str, Limits]) -> None:
    """A lease keeps its path; and a day of another time zone ends at another moment, though it has the same name."""
    allowance, piece = opened(limits(line_daily=5_000))
    allowance.adopt({LINE: found})
    assert not bid(allowance)
    assert piece.closed
    (line,) = allowance.wanting()
    assert (line.advertiser, line.limits) == found
    allowance.open(line, LEASE + 1, NOW)
    allowance.check()


def test_a_worker_taken_for_dead_forgets() -> None:
    """Its leases went home; news and returns of their bids change nothing."""
    allowance, _ = opened()
    bid(allowance)
    allowance.forget(SHOP)
    assert not bid(allowance)
    allowance.heard([told(1_000, 400)])
    allowance.unreserve(LEASE, Micros(1_000), DEADLINE)
    allowance.check()
    assert allowance.engaged(LINE) == 0


def test_rates_follow_what_is_spent_for_good() -> None:
    """Quick to rise; what comes back is no spending; silence lets them fall."""
    allowance, _ = opened(money=10**9)
    line = allowance.line(LINE)
    assert line is not None
    line.measure(NOW)
    for second in range(1, 60):
        bid(allowance, 10_000)
        bid(allowance, 10_000)
        allowance.unreserve(LEASE, Micros(10_000), DEADLINE)
        line.measure(NOW + second)
    assert line.rate == pytest.approx(10_000, rel=0.01)
    line.measure(NOW + 160)
    assert line.rate < 10


class Reservations(RuleBasedStateMachine):
    """Anything may happen in any order: a slice always accounts for all that was granted."""

    def __init__(self) -> None:
        super().__init__()
        self.allowance, self.piece = opened(money=0)
        self.clock_s = float(NOW)
        self.bids: list[tuple[int, int]] = []

    @rule(amount=st.integers(1, 5_000))
    def grant(self, amount: int) -> None:
        self.piece.grant(amount, amount // 3)

    @rule(cost=st.integers(0, 2_000), exp_s=st.integers(1, 120))
    def reserve(self, cost: int, exp_s: int) -> None:
        free, now_s = self.piece.free, int(self.clock_s)
        lease = bid(self.allowance, cost, now_s, now_s + exp_s)
        assert bool(lease) == (free >= cost)
        if lease:
            self.bids.append((cost, now_s + exp_s))

    @precondition(lambda self: self.bids)
    @rule(data=st.data(), part=st.floats(0, 1), leaves=st.booleans())
    def end(self, data: st.DataObject, part: float, leaves: bool) -> None:
        """A bid is charged, released, or never left the house; the ledger tells of it while it is on time."""
        price, deadline_s = self.bids.pop(data.draw(st.integers(0, len(self.bids) - 1)))
        if not leaves:
            self.allowance.unreserve(LEASE, Micros(price), deadline_s)
        elif self.clock_s <= deadline_s:
            self.allowance.heard([Inbox(LEASE, b"", Micros(price), Micros(int(price * part)), deadline_s)])

    @rule(seconds=st.floats(0, 60))
    def expire(self, seconds: float) -> None:
        self.clock_s += seconds
        self.allowance.expire(SHOP, self.clock_s)
        self.bids = [kept for kept in self.bids if kept[1] >= self.clock_s]

    @rule(part=st.floats(0, 1))
    def give_back(self, part: float) -> None:
        self.piece.take_back(int(self.piece.free * part))

    @invariant()
    def adds_up(self) -> None:
        self.allowance.check()


TestReservations = Reservations.TestCase
