"""What share of a budget is due by a moment: flights, days of any length, open hours, learned traffic."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from math import inf
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget import traffic
from budget.plan import (
    ALL_HOURS,
    DAY_S,
    HOUR_S,
    WEEK_HOURS,
    Kind,
    Plan,
    day_of,
    due,
    hour_of_week,
    hours_of_week,
    plan_of,
    weight,
)
from budget.schedule import DAY, FLIGHT, HOUR, LEVELS, Schedule

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    BERLIN,
    *map(ZoneInfo, ("UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Santiago")),
]
PACED = (Kind.EVEN, Kind.TRAFFIC, Kind.FRONT_LOADED)
OFFICE = sum(1 << day * 24 + hour for day in range(5) for hour in range(8, 20))

moments = st.integers(1_760_000_000, 1_860_000_000).map(float)
masks = st.integers(1, ALL_HOURS)
zones = st.sampled_from(ZONES)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    """A local moment as seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def even(start: str, end: str | None, open_hours: int = ALL_HOURS) -> Plan:
    """An even plan in Berlin."""
    return plan_of(Kind.EVEN, BERLIN, (at(start), inf if end is None else at(end)), open_hours)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any paced plan of an hour to 60 days."""
    start_s = draw(moments)
    end_s = start_s + draw(st.integers(HOUR_S, 60 * DAY_S))
    week = np.array(draw(st.lists(st.floats(0.01, 10), min_size=24, max_size=24)) * 7)
    return plan_of(draw(st.sampled_from(PACED)), draw(zones), (start_s, end_s), draw(masks), week)


@given(zones, moments, st.integers(0, 400 * DAY_S))
def test_hours_of_week_add_up(zone: ZoneInfo, start_s: float, length_s: int) -> None:
    """The hours of the week between two moments add up to the time between them, over any change of clocks."""
    hours = hours_of_week(zone, start_s, start_s + length_s)
    assert hours.sum() * HOUR_S == pytest.approx(length_s, abs=1e-3)
    assert (hours >= 0).all()


@given(zones, moments, st.integers(1, 21 * DAY_S), st.floats(0, 1))
def test_hours_of_week_are_the_local_ones(
    zone: ZoneInfo, start_s: float, length_s: int, share: float
) -> None:
    """Any moment of a span lies in an hour of the week that the span has time of."""
    moment = start_s + share * length_s
    assert hours_of_week(zone, start_s, start_s + length_s + 60)[hour_of_week(zone, moment)] > 0


@pytest.mark.parametrize(("date", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-22", 24)])
def test_days_have_23_to_25_hours(date: str, hours: int) -> None:
    """A day of the advertiser runs from midnight to midnight, however the clocks are set in between."""
    start_s, end_s = day_of(BERLIN, at(f"{date}T13:00"))
    assert end_s - start_s == hours * HOUR_S
    assert datetime.fromtimestamp(start_s, BERLIN).isoformat()[:19] == f"{date}T00:00:00"


@pytest.mark.parametrize(
    ("date", "share"), [("2026-03-29", 11 / 23), ("2026-10-25", 13 / 25), ("2026-11-22", 0.5)]
)
def test_noon_of_an_even_day(date: str, share: float) -> None:
    """By noon an even day owes the hours that really passed."""
    morning = Schedule([even("2026-01-01", None)]).shares(at(date), at(f"{date}T12:00"))
    assert morning[0, DAY] == pytest.approx(share)


def test_a_missing_midnight() -> None:
    """Where clocks jump over midnight, the day begins at the first moment that exists."""
    zone = ZoneInfo("America/Santiago")
    start_s, end_s = day_of(zone, at("2026-09-06T12:00", zone))
    assert datetime.fromtimestamp(start_s, zone).isoformat()[:19] == "2026-09-06T01:00:00"
    assert end_s - start_s == 23 * HOUR_S


@given(plans(), st.lists(st.floats(-0.1, 1.1), min_size=2, max_size=8))
def test_shares_due_never_fall(plan: Plan, parts: list[float]) -> None:
    """What is due of a flight lies in [0, 1], never falls, is 0 at its start and 1 from its end on."""
    length = plan.end_s - plan.start_s
    shares = [due(plan, plan.start_s + part * length) for part in sorted(parts)]
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert all(b >= a - 1e-12 for a, b in pairwise(shares))
    assert due(plan, plan.start_s) == 0.0
    assert due(plan, plan.end_s) == 1.0


@given(plans(), st.floats(0, 1))
def test_shares_of_a_day_never_fall(plan: Plan, part: float) -> None:
    """What is due of a day's rest lies in [0, 1] and grows with the period."""
    now = plan.start_s + part * (plan.end_s - plan.start_s - 1)
    later = min(now + HOUR_S, day_of(plan.zone, now)[1] - 1, plan.end_s - 1)
    schedule = Schedule([plan])
    soon, whole = (schedule.shares(now, max(until, now + 1))[0, DAY] for until in (later, later + HOUR_S))
    assert 0.0 <= soon <= whole + 1e-12 <= 1.0 + 1e-12 or plan.kind is Kind.ASAP


@given(plans(), st.integers(600, 7 * DAY_S))
def test_a_budget_is_planned_exactly_once(plan: Plan, period_s: int) -> None:
    """Spending each period's share of what is left spends the budget by the end of the flight, and never more."""
    period_s = max(period_s, int((plan.end_s - plan.start_s) / 200))
    schedule, left, now = Schedule([plan]), 1.0, plan.start_s
    while now < plan.end_s:
        share = schedule.shares(now, now + period_s)[0, FLIGHT]
        assert 0.0 <= share <= 1.0
        left -= left * share
        assert left >= -1e-12
        now += period_s
        assert 1.0 - left == pytest.approx(due(plan, now), abs=1e-6) or now >= plan.end_s
    assert left == pytest.approx(0.0, abs=1e-6) or not weight(plan, plan.start_s, plan.end_s)


@given(st.lists(plans(), min_size=1, max_size=4), st.floats(0, 1), st.integers(1, DAY_S))
def test_a_schedule_is_its_plans(several: list[Plan], part: float, period_s: int) -> None:
    """Line items planned together get what each gets alone."""
    several = [*several, *several]
    now = several[0].start_s + part * (several[0].end_s - several[0].start_s)
    together = Schedule(several).shares(now, now + period_s)
    assert together.shape == (len(several), LEVELS)
    for row, plan in enumerate(several):
        assert together[row] == pytest.approx(Schedule([plan]).shares(now, now + period_s)[0])
    weights = Schedule(several).weight(now, now + period_s)
    assert weights == pytest.approx([weight(plan, now, now + period_s) for plan in several])


@given(st.lists(plans(), min_size=1, max_size=6), st.floats(0, 1))
def test_what_is_due_by_now(several: list[Plan], part: float) -> None:
    """Of each whole flight, as each plan says by itself; of the hour, its minutes; nothing of what is not paced."""
    now = several[0].start_s + part * (several[0].end_s - several[0].start_s)
    told = Schedule([*several, even("2026-01-01", None)]).due(now)
    for row, plan in enumerate(several):
        if weight(plan, plan.start_s, plan.end_s) > 0:
            assert told[row, FLIGHT] == pytest.approx(due(plan, now), abs=1e-9)
        else:  # no hour of it is open
            assert np.isnan(told[row, FLIGHT])
    assert np.isnan(told[-1, FLIGHT])
    assert (told[:, HOUR] >= 0).all()
    assert np.isnan(Schedule([plan_of(Kind.ASAP, BERLIN, (now - 9, now + 9), ALL_HOURS)]).due(now)).all()


def test_a_schedule_does_not_grow() -> None:
    """A hundred days of periods, as the pacemaker asks: what was asked of a moment is forgotten after the next one."""
    schedule = Schedule(
        [even("2026-01-01", "2027-01-01"), even("2026-01-01", "2026-06-01"), even("2026-01-01", None)]
    )
    first, most = at("2026-02-01"), 0
    for period in range(400):
        now = first + period * DAY_S / 4 + 1
        schedule.due(now)
        schedule.shares(now, now + 15)
        most = max(most, len(schedule._spans._now) + len(schedule._spans._before))
    assert 0 < most <= 2 * 3 * 8, "at two moments, of three flights"


def test_half_of_a_day_is_due_at_noon() -> None:
    """Of the day's own budget, whatever the flight."""
    told = Schedule([even("2026-11-01", "2026-12-01")]).due(at("2026-11-24T12:15"))[0]
    assert (told[DAY], told[HOUR]) == pytest.approx((12.25 / 24, 0.25))


def test_open_hours() -> None:
    """A plan has no weight outside its open hours, and nothing more becomes due there."""
    plan = even("2026-11-23", "2026-11-30", OFFICE)
    assert weight(plan, at("2026-11-23T20:00"), at("2026-11-24T08:00")) == 0.0
    assert due(plan, at("2026-11-23T20:00")) == due(plan, at("2026-11-24T08:00")) == pytest.approx(0.2)
    assert due(plan, at("2026-11-28T00:00")) == 1.0
    assert not Schedule([plan]).shares(at("2026-11-28T10:00"), at("2026-11-28T10:01")).any()


def test_no_open_hour_in_a_flight() -> None:
    """A flight that only covers closed hours has nothing due before its end."""
    plan = even("2026-11-28", "2026-11-29", OFFICE)
    assert due(plan, at("2026-11-28T12:00")) == 0.0
    assert due(plan, plan.end_s) == 1.0


def test_as_soon_as_possible() -> None:
    """An ASAP plan is wholly due from its start, and nothing paces it while it runs."""
    plan = plan_of(Kind.ASAP, BERLIN, (at("2026-11-23"), at("2026-11-30")), OFFICE)
    assert due(plan, plan.start_s - 1) == 0.0
    assert due(plan, plan.start_s) == 1.0
    assert np.isinf(Schedule([plan]).shares(at("2026-11-23T10:00"), at("2026-11-23T10:01"))).all()
    assert not Schedule([plan]).shares(at("2026-11-23T03:00"), at("2026-11-23T03:01")).any()


def test_front_loaded() -> None:
    """A front-loaded plan has 62.5 % due after half of its weight, of the flight and of the day."""
    plan = plan_of(Kind.FRONT_LOADED, BERLIN, (at("2026-11-23"), at("2026-11-25")))
    assert due(plan, at("2026-11-24")) == pytest.approx(0.625)
    morning = Schedule([plan]).shares(at("2026-11-24"), at("2026-11-24T12:00"))
    assert morning[0, DAY] == pytest.approx(0.625)


def test_without_an_end() -> None:
    """A flight without an end paces its day and its hour, never its total."""
    plan = even("2026-11-23", None)
    now = at("2026-11-24T11:30")
    assert due(plan, now) == 0.0
    shares = Schedule([plan]).shares(now, now + 60)[0]
    assert shares[FLIGHT] == inf
    assert shares[DAY] == pytest.approx(60 / (12.5 * HOUR_S))
    assert shares[HOUR] == pytest.approx(1 / 30)


def test_a_period_over_midnight_takes_the_rest_of_the_day() -> None:
    """The last period of a day takes all that is left of the day, and of the flight no more than its weight."""
    plan = even("2026-11-23", "2026-11-25")
    now = at("2026-11-23T23:59:30")
    shares = Schedule([plan]).shares(now, now + 60)[0]
    assert shares[DAY] == pytest.approx(1.0)
    assert shares[HOUR] == 1.0
    assert shares[FLIGHT] == pytest.approx(60 / (DAY_S + 30))


def test_unspent_money_rolls_over() -> None:
    """What one day leaves of the total is spread evenly over the days that remain."""
    schedule = Schedule([even("2026-11-23", "2026-11-27")])
    days = [at(f"2026-11-{day}") for day in (23, 24, 25, 26, 27, 28)]
    parts = [schedule.shares(start, end)[0, FLIGHT] for start, end in pairwise(days)]
    assert parts == pytest.approx([1 / 4, 1 / 3, 1 / 2, 1.0, 0.0])


def test_a_day_when_clocks_change_gets_its_hours() -> None:
    """Of a flight of two even days of which one has 23 hours, that one gets 23/47 of the money."""
    plan = even("2026-03-28", "2026-03-30")
    first, last = (
        Schedule([plan]).shares(at(f"2026-03-{day}"), at(f"2026-03-{day + 1}")) for day in (28, 29)
    )
    assert (first[0, FLIGHT], last[0, FLIGHT]) == pytest.approx((24 / 47, 1.0))
    assert due(plan, at("2026-03-29")) == pytest.approx(24 / 47)


@pytest.mark.parametrize(
    ("flight", "week"),
    [
        ((2.0, 1.0), None),
        ((0.0, 1.0), np.full(WEEK_HOURS, -1.0)),
        ((0.0, 1.0), np.ones(24)),
        ((0.0, 1.0), np.full(168, inf)),
    ],
)
def test_bad_plans(flight: tuple[float, float], week: traffic.Floats | None) -> None:
    """A flight that ends before it starts, and weights that are none, are refused."""
    with pytest.raises(ValueError, match=r"flight|traffic"):
        plan_of(Kind.TRAFFIC, BERLIN, flight, traffic=week)


def watched(days: int, shape: traffic.Floats) -> traffic.Traffic:
    """One line item's traffic after some days of an hourly shape (168,)."""
    seen = traffic.nothing_seen(1)
    for hour in range(24 * days):
        bin_ = np.array([hour % WEEK_HOURS])
        seen = traffic.observed(seen, bin_, shape[bin_] * 1e5, 3600.0)
    return seen


def test_traffic_is_flat_before_anything_is_seen() -> None:
    """A line item without history is planned flat."""
    assert traffic.weights(traffic.nothing_seen(3)) == pytest.approx(np.ones((3, WEEK_HOURS)))


def test_traffic_of_a_day_serves_all_days() -> None:
    """After one day the other days of the week are planned by hour of day."""
    shape = np.tile(np.r_[np.full(12, 0.5), np.full(12, 1.5)], 7)
    week = traffic.weights(watched(1, shape))[0].reshape(7, 24)
    assert week[3, 18] / week[3, 6] > 1.5
    assert week[3] == pytest.approx(week[5])


def test_the_prior_fades() -> None:
    """With each week seen the plan comes nearer to the real shape of the week."""
    shape = np.random.default_rng(3).uniform(0.2, 3, WEEK_HOURS)
    shape /= shape.mean()
    errors = [np.abs(traffic.weights(watched(days, shape))[0] - shape).mean() for days in (1, 7, 14, 28)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.15


def test_old_traffic_is_forgotten() -> None:
    """A shape of long ago gives way to the one of the last weeks."""
    shape = np.tile(np.r_[np.full(12, 0.5), np.full(12, 1.5)], 7)
    seen = watched(28, shape)
    for hour in range(24 * 70):
        bin_ = np.array([hour % WEEK_HOURS])
        seen = traffic.observed(seen, bin_, (2.0 - shape[bin_]) * 1e5, 3600.0)
    assert np.abs(traffic.weights(seen)[0] - (2.0 - shape)).max() < 0.2


def test_few_requests_are_not_believed() -> None:
    """A handful of requests does not make a shape."""
    seen = traffic.observed(traffic.nothing_seen(1), np.array([5]), np.array([3.0]), 3600.0)
    assert np.abs(traffic.weights(seen)[0] - 1.0).max() < 0.2


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_traffic_weights_are_weights(counts: list[float]) -> None:
    """Whatever is counted, weights are finite, not negative and 1 on average."""
    seen = traffic.nothing_seen(1)
    for hour, count in enumerate(counts):
        seen = traffic.observed(seen, np.array([hour % WEEK_HOURS]), np.array([count]), 3600.0)
    week = traffic.weights(seen)
    assert np.isfinite(week).all()
    assert (week >= 0).all()
    assert week.mean() == pytest.approx(1.0)


def test_traffic_moves_with_its_line_item() -> None:
    """Rows of known line items are carried over, new ones begin with nothing."""
    seen = traffic.observed(traffic.nothing_seen(2), np.array([5, 6]), np.array([3.0, 4.0]), 3600.0)
    moved = traffic.rows(seen, np.array([1, -1, 0]))
    assert moved.requests[0, 6] == 4.0
    assert not moved.hours[1].any()
    assert moved.requests[2, 5] == 3.0
