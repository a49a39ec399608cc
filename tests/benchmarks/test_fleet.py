"""The simulated fleet: no request is lost or made, queues are those of theory, and losses cost what they must."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fleet import costs_of, fleet, picture, scenes, summary
from benchmarks.fleet_queues import (
    Costs,
    Loss,
    Played,
    Stream,
    arrivals,
    finished,
    play,
    requests_of,
    serve,
    spread,
)
from bidder.capacity import SHIPPED, Load, busy, estimate
from bidder.web.admission import MIN_PER_TICK

COSTS = Costs(0.0002, 0.0005, 0.0001, 0.0003, shard_request_s=5e-5, shard_tick_s=1e-4)


def rng(seed: int = 1) -> np.random.Generator:
    """Chance that is the same every time."""
    return np.random.default_rng(seed)


def played(stream: Stream, workers: int = 5, shards: int = 3, loss: Loss | None = None) -> Played:
    """A run of a small fleet."""
    return play(stream, workers, shards, COSTS, rng(), loss)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(50, 20_000),
    st.integers(1, 6),
    st.integers(1, 5),
    st.floats(0, 1),
    st.floats(0, 0.5),
    st.booleans(),
)
def test_every_request_ends_once(
    qps: float, workers: int, shards: int, known: float, bursts: float, losing: bool
) -> None:
    """What arrived was decided, shed or lost, and nothing was answered before it came."""
    loss = Loss(0.1, (0,), noticed_s=0.02) if losing else None
    found = played(Stream(qps, 0.2, bursts, known_share=known), workers, shards, loss)
    assert found.decided + found.shed + found.lost == found.arrived
    assert (found.latency_s > 0).all()
    assert found.timed_out <= found.decided


def test_equal_seeds_give_equal_runs() -> None:
    """A run can be repeated to the last bit."""
    ours, theirs = played(Stream(2_000, 1.0, 0.2)), played(Stream(2_000, 1.0, 0.2))
    assert np.array_equal(ours.latency_s, theirs.latency_s)
    assert ours.shed == theirs.shed


def test_a_server_of_constant_time_queues_as_theory_says() -> None:
    """Poisson arrivals at a server that takes equally long for each: the mean wait is that of M/D/1."""
    use, service_s = 0.7, 0.001
    came = arrivals(Stream(use / service_s, 300.0), rng())
    waits = finished(came, np.full(len(came), service_s)) - came - service_s
    assert waits.mean() == pytest.approx(use * service_s / 2 / (1 - use), rel=0.05)
    assert waits.min() >= -1e-9


def test_batches_are_as_the_model_says() -> None:
    """A worker's batches and use at a rate are those that the capacity model finds without playing."""
    for rate in (300.0, 1_000.0, 2_000.0):
        load = Load(qps=rate, people=0, line_items=1_000, bid_share=0.0)
        stream = Stream(rate, 20.0, imbalance=0.0, known_share=0.0)
        found = play(stream, 1, 1, costs_of(load, SHIPPED), rng())
        model = busy(rate, 1_000, SHIPPED)
        assert found.worker_use[0] == pytest.approx(model.cores, rel=0.15)
        assert found.batch == pytest.approx(model.batch, rel=0.2)


def test_all_that_waits_is_one_batch() -> None:
    """The first request wakes the worker; what comes while it decides is the next batch, whole."""
    times, costs = np.array([0.0, 0.001, 0.002, 0.5]), Costs(0.001, 0.01)
    ticks = serve(times, np.zeros(4, np.int64), 1, costs, rng())
    assert ticks.taken.tolist() == [1, 2, 1]
    assert ticks.start_s.tolist() == pytest.approx([0.0, 0.011, 0.5])
    assert ticks.end_s.tolist() == pytest.approx([0.011, 0.023, 0.511])
    assert requests_of(ticks.first, ticks.taken).tolist() == [0, 1, 2, 3]


def test_beyond_the_tick_budget_is_shed() -> None:
    """Of a crowd as many are decided as the budget takes, at least MIN_PER_TICK, the earliest; the rest is shed."""
    crowd = np.full(100, 1.0)
    for cost_s, room in ((0.0005, 20), (0.01, MIN_PER_TICK)):
        ticks = serve(crowd, np.zeros(100, np.int64), 1, Costs(cost_s, 0.0), rng())
        assert (ticks.waited.tolist(), ticks.taken.tolist()) == ([100], [room])


def test_too_little_for_the_load_sheds_and_does_not_queue() -> None:
    """At three times what a fleet can do, most is shed, and what is decided is still decided soon."""
    found = summary(played(Stream(60_000, 1.0)))
    assert found["shed_share"] > 0.3
    assert found["latency_ms"]["p999"] < 80
    assert not found["holds"]


def test_what_a_lost_worker_had_is_lost_and_the_others_take_over() -> None:
    """Its share of the requests until the loss is noticed is lost, nothing after; the others are busier."""
    stream = Stream(4_000, 2.0, imbalance=0.0)
    found = played(stream, 4, loss=Loss(1.0, (0,), noticed_s=0.2))
    assert found.lost == pytest.approx(4_000 / 4 * 0.2, rel=0.3)
    assert found.worker_use[0] < found.worker_use[1:].min() * 0.8
    whole = played(stream, 1, loss=Loss(1.0, (0,), noticed_s=0.2))
    assert whole.lost == pytest.approx(4_000, rel=0.1)


def test_a_lost_shard_costs_its_people_and_the_read_time_out() -> None:
    """Who is kept there is unknown until it is replaced, and their batches wait for the time-out, no longer."""
    stream = Stream(4_000, 2.0)
    well, ill = played(stream), played(stream, loss=Loss(1.0, shard=0, noticed_s=1.0))
    assert well.timed_out == 0
    assert ill.timed_out > 0.1 * ill.decided
    assert ill.latency_s.max() <= well.latency_s.max() + COSTS.read_timeout_s


def test_bursts_change_the_rate_and_keep_the_mean() -> None:
    """With bursts as many requests come, more unevenly."""
    even, uneven = (
        np.bincount((arrivals(Stream(10_000, 20.0, bursts), rng()) * 50).astype(np.int64))
        for bursts in (0.0, 0.3)
    )
    assert uneven.sum() == pytest.approx(even.sum(), rel=0.1)
    assert uneven.std() > 3 * even.std()


def test_uneven_shares_make_some_workers_busier() -> None:
    """A load balancer that deals unevenly loads some workers more, and none is left out."""
    _, owner, _, _ = spread(Stream(50_000, 1.0, imbalance=0.2), 10, rng())
    counts = np.bincount(owner, minlength=10)
    assert counts.min() > 0
    assert counts.std() > 3 * np.sqrt(counts.mean())


def test_only_what_there_is_two_of_can_be_lost() -> None:
    """A fleet of one worker is played whole; one of many pods and shards loses one of each in turn."""
    small, large = (Load(qps=qps, people=1_000, line_items=1_000) for qps in (500.0, 100_000.0))
    assert [scene.name for scene in scenes(small, estimate(small, SHIPPED))] == ["steady", "bursts"]
    assert [scene.name for scene in scenes(large, estimate(large, SHIPPED))][2:] == [
        "worker lost", "pod lost", "shard lost",
    ]  # fmt: skip


def test_a_fleet_is_reported_and_drawn() -> None:
    """A report has every scenario with its numbers; the picture a panel for each."""
    made: dict[str, Any] = fleet(Load(qps=5_000, people=1_000, line_items=1_000), SHIPPED)
    assert {run["scenario"] for run in made["runs"]} >= {"steady", "bursts", "worker lost"}
    assert all(run["holds"] for run in made["runs"])
    drawn = picture({"fleets": [made, made | {"qps": 50_000}]})
    assert drawn.count("latency at the proposed size") == len(made["runs"])
