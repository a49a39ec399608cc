"""Dense simulated traffic: real hourly shapes of several regions, the price landscape of a real log, a whole week.

Shapes: L line items side by side (regions x budgets); MINUTES of a day; quarters of an hour (L, 96).
Units: requests and money per minute; AvgErr is relative to the mean quarter of the plan.
Source: AvgErr of Smart Pacing (KDD 2015): (B/K)^-1 sqrt(1/K sum (C(t) - B(t))^2); published 6-14 %.
Limits: a day's volume, each quarter's and each minute's are drawn around the shape, so that no plan is exactly right.
"""

from datetime import UTC, datetime
from typing import Final

import numpy as np
from msgspec import Struct, structs

from benchmarks.pacing.logs import TOP_PRICE, Floats, campaign_1458, week_shapes
from benchmarks.pacing.market import shading
from budget import traffic
from budget.pacing import GAINS, START, Gains, Heard, ceiling, start, step, taking_part, target
from budget.plan import DAY_S, Kind, plan_of
from budget.schedule import DAY, LEVELS, Schedule

MINUTES: Final = 1440
QUARTER: Final = 15
REGIONS: Final = 6
PARTS: Final = (3, 10, 40)
"""Budgets: one over so much of what a day costs at full value."""
REQUESTS_A_DAY: Final = 30_000_000
WEEKS_SEEN: Final = 2
NEVER: Final = range(0)
MONDAY_S: Final = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
FULL_VALUE: Final = 114.0
"""Of the mean impression, fen: twice what a click of the log cost x its mean click rate."""
DAY_SPREAD: Final = 0.15
QUARTER_SPREAD: Final = 0.08
MINUTE_SPREAD: Final = 0.05
"""Deviations of the log of the volume."""


class Landscape(Struct, frozen=True, eq=False):
    """What a request brings on average, by log multiplier of the full value, bid in a first-price auction."""

    log_m: Floats
    wins: Floats
    cost: Floats
    """Of a win."""
    spread: Floats
    """Standard deviation of the cost of a win."""


class World(Struct, frozen=True, eq=False):
    """One day of line items, and the faults put into it."""

    day: int
    """Of the week, Monday 0."""
    weights: Floats
    """(L, 168) learned before."""
    budgets: Floats
    requests: Floats
    """(L, MINUTES) expected."""
    first: Floats
    """(L,) multipliers to begin with."""
    view: Landscape
    deaf: range = NEVER
    """Minutes in which the controller does not run."""
    period_s: int = 5
    """Of the controller; a divisor of a minute."""


class Day(Struct, frozen=True, eq=False):
    """What a day brought."""

    plan: Floats
    """(L, MINUTES) money due in each minute, as known at midnight."""
    aim: Floats
    """(L, MINUTES) what the controller aimed at."""
    spent: Floats
    wins: Floats
    multiplier: Floats
    """The last of each minute."""


def landscape() -> Landscape:
    """From campaign 1458."""
    log = campaign_1458()
    value, bid_of = log.rate / log.rate.mean(), shading(log.price)
    points = np.linspace(np.log(1e-3), 0.0, 120)
    rows = []
    for point in points:
        bid = bid_of[np.minimum(value * FULL_VALUE * np.exp(point), len(bid_of) - 1).astype(np.int64)]
        won = (bid >= log.price) & (bid > 0)
        paid = bid[won] if won.any() else np.array([1.0])
        rows.append((won.mean(), paid.mean(), paid.std()))
    wins, cost, spread = np.array(rows).T
    return Landscape(points, wins, cost, spread)


def regions(count: int = REGIONS) -> list[Floats]:
    """(168,) hourly shapes of regions spread over the list."""
    shapes = week_shapes()
    names = sorted(shapes)
    return [shapes[names[i]].reshape(-1) for i in np.linspace(0, len(names) - 1, count).astype(int)]


def volumes(shape: Floats, day: int, rng: np.random.Generator) -> Floats:
    """(MINUTES,) expected requests of one day: the shape drawn as a smooth line through the hours, with noise."""
    hours = np.concatenate(
        [shape[(day * 24 - 1) % 168 : (day * 24 - 1) % 168 + 1], np.roll(shape, -day * 24)[:25]]
    )
    smooth = np.interp(np.arange(MINUTES) / 60 + 0.5, np.arange(26), hours)
    noise = rng.normal(0, DAY_SPREAD) + np.repeat(rng.normal(0, QUARTER_SPREAD, 96), QUARTER)
    expected: Floats = (
        smooth / 60 * REQUESTS_A_DAY * 7 * np.exp(noise + rng.normal(0, MINUTE_SPREAD, MINUTES))
    )
    return expected


def learned(shapes: list[Floats], rng: np.random.Generator) -> Floats:
    """(R, 168) weights learned from some weeks of traffic."""
    seen = traffic.nothing_seen(len(shapes))
    for day in range(7 * WEEKS_SEEN):
        minutes = np.array([volumes(shape, day % 7, rng) for shape in shapes])
        for hour in range(24):
            counts = minutes[:, hour * 60 : hour * 60 + 60].sum(axis=1)
            seen = traffic.observed(seen, np.full(len(shapes), day % 7 * 24 + hour), counts, 3600.0)
    return traffic.weights(seen)


def ordinary(rng: np.random.Generator, day: int = 2, count: int = REGIONS, period_s: int = 5) -> World:
    """A day after some weeks of learning, begun with the multipliers at the end of the day before: regions x PARTS."""
    shapes, view = regions(count), landscape()
    weights = np.repeat(learned(shapes, rng), len(PARTS), axis=0)
    before, today = (
        np.repeat(np.array([volumes(shape, d, rng) for shape in shapes]), len(PARTS), axis=0)
        for d in (day - 1, day)
    )
    full = today.sum(axis=1) * view.wins[-1] * view.cost[-1]
    budgets = full / np.tile(PARTS, count)
    yesterday = World(day - 1, weights, budgets, before, np.full(len(budgets), START), view, NEVER, period_s)
    first = simulate(yesterday, rng).multiplier[:, -30:].mean(axis=1)
    return World(day, weights, budgets, today, first, view, NEVER, period_s)


def simulate(world: World, rng: np.random.Generator, gains: Gains = GAINS) -> Day:
    """One day of all line items."""
    count, midnight = len(world.budgets), MONDAY_S + world.day * DAY_S
    schedule = Schedule(
        [plan_of(Kind.TRAFFIC, UTC, (MONDAY_S, np.inf), traffic=row) for row in world.weights]
    )
    state = start(world.first, gains)
    left, told = np.full((count, LEVELS), np.inf), np.zeros((4, count, MINUTES))
    left[:, DAY] = world.budgets
    since, spent, wins, aim = midnight, np.zeros(count), np.zeros(count), np.zeros(count)
    most, least = np.full(count, np.inf), np.full(count, float(TOP_PRICE))
    period_s = world.period_s
    for tick in range(DAY_S // period_s):
        now, minute = midnight + tick * period_s, tick * period_s // 60
        if minute not in world.deaf:
            news = None
            if tick:
                stretch = schedule.weight(since, now) / schedule.weight(since, since + period_s)
                news = Heard(state.order, spent, wins, stretch)
            aim = target(left, schedule.shares(now, now + period_s))
            state = step(state, news, aim, gains=gains)
            most, since, spent, wins = ceiling(state, least, gains), now, 0 * spent, 0 * wins
        cost, won = _bought(world.requests[:, minute] * period_s / 60, state.multiplier, world.view, rng)
        cost = np.minimum(cost, np.minimum(left[:, DAY], most))
        left[:, DAY] -= cost
        spent, wins = spent + cost, wins + won
        told[:3, :, minute] += aim, cost, won
        told[3, :, minute] = state.multiplier
    return Day(_plan(world), *told)


def average_error(day: Day) -> Floats:
    """(L,) AvgErr per quarter of an hour."""
    planned, spent = (x.reshape(len(x), -1, QUARTER).sum(axis=2) for x in (day.plan, day.spent))
    error: Floats = np.sqrt(((spent - planned) ** 2).mean(axis=1)) / planned.mean(axis=1)
    return error


def recovery(day: Day, event: int, within: float = 0.15, window: int = 5) -> Floats:
    """(L,) minutes after an event until the spend of `window` minutes is back at its target, and stays for ten."""
    kernel = np.ones(window)
    result = np.full(len(day.spent), np.inf)
    for row, (spent, aim) in enumerate(zip(day.spent, day.aim, strict=True)):
        ratio = np.convolve(spent, kernel, "valid") / np.convolve(aim, kernel, "valid")
        good = np.abs(ratio - 1.0) <= within
        for after in range(MINUTES - event - window - 10):
            if good[event + after : event + after + 10].all():
                result[row] = after
                break
    return result


def stepped(world: World, minute: int, factor: float, deaf: range = NEVER) -> World:
    """The day with a jump of supply that lasts, and perhaps minutes without a controller."""
    jumped = world.requests.copy()
    jumped[:, minute:] *= factor
    return structs.replace(world, requests=jumped, deaf=deaf)


def _bought(
    requests: Floats, multiplier: Floats, view: Landscape, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """(L,) cost and wins of a period."""
    bid, part = taking_part(multiplier)
    at = np.log(bid)
    rate = np.interp(at, view.log_m, view.wins)
    wins = rng.poisson(requests * part * rate).astype(np.float64)
    mean, spread = np.interp(at, view.log_m, view.cost), np.interp(at, view.log_m, view.spread)
    scale = spread**2 / mean
    return rng.gamma(wins * mean / scale, scale), wins


def _plan(world: World) -> Floats:
    hours = world.weights[:, world.day * 24 : world.day * 24 + 24]
    minutes = np.repeat(hours, 60, axis=1)
    planned: Floats = minutes / minutes.sum(axis=1, keepdims=True) * world.budgets[:, None]
    return planned
