"""The layout that people click on wins, a change is followed, and a silent store changes nothing."""

import random
from collections.abc import Mapping, Sequence

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from bidder.campaigns.model import Layout
from bidder.metrics import Tally
from bidder.render import bandit as module
from bidder.render.bandit import PRIOR_CLICKS, PRIOR_VIEWS, Bandit, posterior
from bidder.stores.layouts import Counts

LINE = 7
DAY_S = 86_400.0
ARMS: tuple[Layout, ...] = ("single", "grid", "carousel")


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 20_000 * DAY_S

    def __call__(self) -> float:
        return self.now


class Shared:
    """A store in memory, which may be down."""

    def __init__(self) -> None:
        self.counts: dict[int, Counts] = {}
        self.down = False

    async def exchange(
        self, news: Mapping[int, Counts], wanted: Sequence[int], day: int
    ) -> dict[int, Counts]:
        if self.down:
            raise RedisConnectionError
        for key, counts in news.items():
            held = self.counts.setdefault(key, {})
            for at, (views, clicks) in counts.items():
                had = held.get(at, (0, 0))
                held[at] = (had[0] + views, had[1] + clicks)
        return {key: dict(self.counts.get(key, {})) for key in wanted}


def play(
    bandit: Bandit, rates: Mapping[Layout, float], views: int, lots: random.Random
) -> tuple[dict[Layout, int], float]:
    """So many views: how often each arm was taken, and the clicks that were missed for not knowing the best."""
    taken = dict.fromkeys(rates, 0)
    best, regret = max(rates.values()), 0.0
    for _ in range(views):
        layout = bandit.choose(LINE, tuple(rates))
        taken[layout] += 1
        regret += best - rates[layout]
        bandit.shown(LINE, layout)
        if lots.random() < rates[layout]:
            bandit.clicked(LINE, layout)
    return taken, regret


@pytest.mark.parametrize("seed", range(5))
def test_the_best_layout_gets_most_of_the_views(seed: int) -> None:
    """Of 30,000 views at 2, 6 and 12 clicks in a thousand: more than 80 % at the best, and a regret far below that
    of taking turns."""
    rates: dict[Layout, float] = {"single": 0.002, "grid": 0.006, "carousel": 0.012}
    bandit, views = Bandit(Tally(), Hand(), seed), 30_000
    taken, regret = play(bandit, rates, views, random.Random(seed))
    assert taken["carousel"] > 0.8 * views
    turns = views * (0.012 - sum(rates.values()) / 3)
    assert regret < 0.25 * turns


@pytest.mark.parametrize("seed", range(3))
def test_a_change_is_followed(seed: int) -> None:
    """Where the best becomes the worst, its past fades: some half-lives later another has most of the views."""
    hand, lots = Hand(), random.Random(seed)
    bandit = Bandit(Tally(), hand, seed)
    before: dict[Layout, float] = {"single": 0.012, "grid": 0.003}
    after: dict[Layout, float] = {"single": 0.003, "grid": 0.012}
    for _ in range(14):
        play(bandit, before, 1_000, lots)
        hand.now += DAY_S
    for _ in range(21):
        taken, _ = play(bandit, after, 1_000, lots)
        hand.now += DAY_S
    assert taken["grid"] > 800


def test_a_day_weighs_half_after_a_week() -> None:
    """And nothing of a day that is to come is taken for more than today."""
    counts: Counts = {("grid", 100): (1_000, 10), ("single", 100): (9, 9)}
    for today, weight in ((100, 1.0), (107, 0.5), (114, 0.25), (99, 1.0)):
        alpha, beta = posterior(counts, {}, "grid", today)
        assert alpha == pytest.approx(PRIOR_CLICKS + 10 * weight)
        assert beta == pytest.approx(PRIOR_VIEWS - PRIOR_CLICKS + 990 * weight)


def test_without_anything_there_are_the_priors() -> None:
    """Every layout has its turn."""
    bandit = Bandit(Tally(), Hand(), 1)
    assert posterior({}, {}, "grid", 1) == (PRIOR_CLICKS, PRIOR_VIEWS - PRIOR_CLICKS)
    assert {bandit.choose(LINE, ARMS) for _ in range(100)} == set(ARMS)
    assert bandit.choose(LINE, ("list",)) == "list"


async def test_workers_learn_from_each_other() -> None:
    """What one worker saw, another chooses by, after both talked to the store."""
    store, hand = Shared(), Hand()
    one, other = Bandit(Tally(), hand, 1), Bandit(Tally(), hand, 2)
    other.choose(LINE, ARMS)
    play(one, {"single": 0.0, "grid": 0.05, "carousel": 0.0}, 5_000, random.Random(3))
    assert await one.exchange(store)
    assert await other.exchange(store)
    assert sum(other.choose(LINE, ARMS) == "grid" for _ in range(200)) > 190


async def test_an_outage_loses_nothing_and_stops_nobody() -> None:
    """Unsent counts are kept, told once, and chosen by meanwhile."""
    store, tally = Shared(), Tally()
    bandit = Bandit(tally, Hand(), 1)
    store.down = True
    bandit.shown(LINE, "grid")
    assert not await bandit.exchange(store)
    bandit.shown(LINE, "grid")
    bandit.clicked(LINE, "grid")
    assert not await bandit.exchange(store)
    store.down = False
    assert await bandit.exchange(store)
    assert await bandit.exchange(store)
    assert store.counts == {LINE: {("grid", 20_000): (2, 1)}}
    failed = {cell.name: value for cell, value in tally.samples()}
    assert failed["paceline_layout_exchanges_failed_total"] == 2


def test_texts_that_name_no_layout_are_passed_over() -> None:
    """A click's query is anybody's."""
    tally = Tally()
    bandit = Bandit(tally, Hand(), 1)
    for text in ("", "GRID", "grid ", "x" * 2_000, "single/../"):
        bandit.clicked(LINE, text)
    assert not [cell for cell, value in tally.samples() if "clicks" in cell.name and value]


def test_line_items_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was not asked for longest is forgotten first."""
    monkeypatch.setattr(module, "MAX_LINES", 2)
    bandit = Bandit(Tally(), Hand(), 1)
    for line in (1, 2, 1, 3):
        bandit.shown(line, "grid")
    assert list(bandit._lines) == [1, 3]


async def test_only_what_was_asked_for_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than MAX_READ those that were asked for last; the rest at their next turn."""

    class Reads(Shared):
        def __init__(self) -> None:
            super().__init__()
            self.wanted: list[list[int]] = []

        async def exchange(
            self, news: Mapping[int, Counts], wanted: Sequence[int], day: int
        ) -> dict[int, Counts]:
            self.wanted.append(list(wanted))
            return await super().exchange(news, wanted, day)

    monkeypatch.setattr(module, "MAX_READ", 2)
    store, bandit = Reads(), Bandit(Tally(), Hand(), 1)
    for line in (1, 2, 3):
        bandit.choose(line, ARMS)
    await bandit.exchange(store)
    await bandit.exchange(store)
    bandit.choose(1, ARMS)
    await bandit.exchange(store)
    assert store.wanted == [[3, 2], [], [1]]
