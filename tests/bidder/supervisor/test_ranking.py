"""Which line items have series of their own: never too many, and every rate true."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.metrics import Metric, Tally
from bidder.supervisor.ranking import EDGE, LINE_ITEMS, MEMORY_S, REVISE_S, Group, Ranking
from bidder.web.exposition import Samples, Table, source_of

LABELS = ("campaign", "line_item")
SPEND = Metric(LINE_ITEMS.score, "counter", "Spend", LABELS)
EVENTS = Metric("x_line_item_events_total", "counter", "Events", (*LABELS, "event"))
BUDGET = Metric("x_line_item_budget_micros", "gauge", "Budget", LABELS, merge="max")
PACE = Metric("x_line_item_pace_ratio", "gauge", "Pace", LABELS, merge="max")
TOTAL = Metric("x_requests_total", "counter", "Requests", ("exchange",))
CATALOGUE = {metric.name: metric for metric in (SPEND, EVENTS, BUDGET, PACE, TOTAL)}
OTHER = ("other", "other")


class Watch:
    """Two workers' tallies, ranked at each look as a scrape does."""

    def __init__(self, limit: int, group: Group = LINE_ITEMS) -> None:
        self.tallies = (Tally(), Tally())
        self.now_s = 1_000_000.0
        self._table, self._ranking = Table(CATALOGUE), Ranking(group, limit)

    def spend(self, line_item: str, amount: int, worker: int = 0) -> None:
        """A worker counts spend."""
        self.tallies[worker].count(SPEND.name, "c", line_item, by=amount)

    def look(self, after_s: float = 0.0) -> Samples:
        """What is exposed."""
        self.now_s += after_s
        self._table.read(source_of(number, tally.samples()) for number, tally in enumerate(self.tallies))
        hidden, sums = self._ranking.apply(self._table, self.now_s)
        gone = set(hidden)
        rows = [row for row in range(len(self._table.cells)) if row not in gone]
        shown = self._table.samples(rows, self.now_s)
        assert not shown.keys() & sums.keys(), "a sum stands for what is hidden"
        return shown | sums

    def own(self, after_s: float = 0.0) -> dict[str, float]:
        """Line items with a series of their own, and their spend."""
        return {
            labels[1]: parts[""]
            for (name, labels), parts in self.look(after_s).items()
            if name == SPEND.name and labels != OTHER
        }


def spent(samples: Mapping[tuple[str, tuple[str, ...]], Mapping[str, float]]) -> dict[str, float]:
    """Spend by line item."""
    return {labels[1]: parts[""] for (name, labels), parts in samples.items() if name == SPEND.name}


STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 11), st.integers(1, 1_000_000), st.integers(0, 1)), max_size=6),
        st.sampled_from((1.0, 15.0, 60.0, REVISE_S, 3 * REVISE_S, MEMORY_S)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, limit=st.integers(1, 5))
def test_no_series_falls_and_their_sum_is_what_was_counted(
    steps: list[tuple[list[tuple[int, int, int]], float]], limit: int
) -> None:
    """Whoever spends and in whatever order: no series ever falls, each look's sum rises by what was counted, and there
    are never more series than the limit and one."""
    watch, counted = Watch(limit), 0
    last: dict[str, float] = {}
    hidden: dict[str, float] = {}
    for spends, after_s in steps:
        for line_item, amount, worker in spends:
            watch.spend(f"l{line_item}", amount, worker)
            counted += amount
        now = spent(watch.look(after_s))
        assert len(now.keys() - {"other"}) <= limit
        for name, value in now.items():
            assert value >= last.get(name, hidden.get(name, 0.0)), name
        hidden |= {name: value for name, value in last.items() if name not in now}
        gone = sum(value for name, value in hidden.items() if name not in now)
        assert sum(now.values()) + gone == counted
        last = now


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, limit=st.integers(1, 4), every=st.integers(1, 3))
def test_increases_that_prometheus_sees_add_up(
    steps: list[tuple[list[tuple[int, int, int]], float]], limit: int, every: int
) -> None:
    """A scraper that looks at every second or third look only, as long as it comes within REVISE_S, loses nothing by
    what moves between its looks: increases of series that it knew before add up to what was counted."""
    watch, counted, heard = Watch(limit), 0, 0.0
    for number in range(12):
        watch.spend(f"l{number}", 1)
    last = spent(watch.look())
    for number, (spends, _) in enumerate(steps):
        for line_item, amount, worker in spends:
            watch.spend(f"l{line_item}", amount, worker)
            counted += amount
        now = spent(watch.look(REVISE_S / every - 1.0))
        if number % every == every - 1:
            heard += sum(value - last[name] for name, value in now.items() if name in last)
            last = now
    now = spent(watch.look())
    heard += sum(value - last[name] for name, value in now.items() if name in last)
    assert heard == counted


def test_many_line_items_have_few_series() -> None:
    """A thousand line items with ten counters and two gauges each: a hundred of them are shown, the rest is one series
    of each name; of ratios there is none."""
    watch = Watch(100)
    for number in range(1_000):
        tally, names = watch.tallies[number % 2], ("c", f"l{number}")
        tally.count(SPEND.name, *names, by=number)
        for event in range(9):
            tally.count(EVENTS.name, *names, str(event), by=2)
        tally.set(BUDGET.name, *names, value=10)
        tally.set(PACE.name, *names, value=1)
    samples = watch.look()
    by_name = {name: [key for key in samples if key[0] == name] for name in CATALOGUE}
    assert [len(by_name[metric.name]) for metric in (SPEND, EVENTS, BUDGET, PACE)] == [101, 909, 101, 100]
    assert samples[BUDGET.name, OTHER] == {"": 9_000}
    assert samples[EVENTS.name, (*OTHER, "4")] == {"": 1_800}
    assert min(value for name, value in spent(samples).items() if name != "other") == 900


def test_few_line_items_are_all_shown() -> None:
    """While there is room for all nothing is summed, and whoever comes later counts as its own from the first."""
    watch = Watch(3)
    watch.spend("a", 5)
    assert spent(watch.look()) == {"a": 5}
    watch.spend("b", 7)
    assert spent(watch.look()) == {"a": 5, "b": 7}


def test_a_line_item_moves_in_two_steps() -> None:
    """Who spends more is shown only after who leaves is gone: with its old count first, then rising."""
    watch = Watch(1)
    watch.spend("a", 10)
    watch.look()
    watch.spend("b", 100)
    assert spent(watch.look(1.0)) == {"a": 10, "other": 100}
    watch.spend("a", 1)
    assert spent(watch.look(REVISE_S)) == {"a": 11, "other": 100}, "it leaves: its count stands still"
    watch.spend("a", 1)
    watch.spend("b", 1)
    assert spent(watch.look(1.0)) == {"a": 11, "other": 102}
    assert spent(watch.look(REVISE_S)) == {"b": 0, "other": 102}, "it enters with what was its own before"
    watch.spend("b", 5)
    assert spent(watch.look(1.0)) == {"b": 0, "other": 107}
    assert spent(watch.look(REVISE_S)) == {"b": 0, "other": 107}
    watch.spend("b", 5)
    assert spent(watch.look(1.0)) == {"b": 5, "other": 107}
    watch.spend("a", 10_000)
    for _ in range(4):
        last = spent(watch.look(REVISE_S))
    assert last == {"a": 11, "other": 10_107}, "it comes back with the count that it left with"


def test_equals_do_not_take_turns() -> None:
    """Who is shown gives way only to one who spent EDGE times as much."""
    watch = Watch(1)
    watch.spend("a", 100)
    watch.look()
    watch.spend("b", int(100 * EDGE) - 1)
    for _ in range(3):
        assert set(watch.own(REVISE_S)) == {"a"}
    watch.spend("b", 10)
    watch.look(REVISE_S)
    assert set(watch.own(REVISE_S)) == {"b"}


def test_what_is_over_makes_room() -> None:
    """Spend of long ago weighs less than today's."""
    watch = Watch(1)
    watch.spend("old", 1_000_000)
    watch.look()
    watch.look(20 * MEMORY_S)
    watch.spend("new", 10)
    watch.look(REVISE_S)
    assert set(watch.own(REVISE_S)) == {"new"}


def test_what_workers_summed_themselves_stays_summed() -> None:
    """The "other" of a worker that has no room is part of ours, and takes nobody's place."""
    watch = Watch(1)
    watch.tallies[0].count(SPEND.name, *OTHER, by=7)
    watch.spend("a", 1, worker=1)
    assert spent(watch.look()) == {"a": 1, "other": 7}


def test_other_metrics_are_left_alone() -> None:
    """What is no member's is as it is in the table."""
    watch = Watch(1)
    watch.tallies[0].count(TOTAL.name, "e", by=3)
    watch.tallies[1].count(TOTAL.name, "e", by=4)
    assert watch.look()[TOTAL.name, ("e",)] == {"": 7}
