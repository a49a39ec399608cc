"""A fleet's queues as arrays: arrivals spread over workers, batches of a tick, people shards asked by each batch.

Place: fleet.py draws scenarios and judges; no clock, no I/O, no constants in here.
Shapes: requests (R,) sorted by worker, then by time; ticks (T,), each the batch of one worker that one turn of its loop
    decided; pieces (P,), what one tick asks of one shard. All workers take their next tick in the same array operation,
    so that a second of a million requests takes seconds.
Units: seconds; seeds give equal runs.
Rules: as bidder/web/tick.py and admission.py: all that waits when the loop turns is one batch; of it as much is
    decided as the tick's budget takes by the smoothed cost, at least MIN_PER_TICK, the earliest first; the rest is
    shed.
    A batch waits for the slowest of its shards, at most the read's time-out; the loop goes on meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bidder.web.admission import MEMORY_REQUESTS, MIN_PER_TICK

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BIN_S: Final = 0.01
"""Bursts change the rate in steps of so long."""


class Costs(Struct, frozen=True):
    """What a worker and a shard take, in seconds."""

    request_s: float
    tick_s: float
    idle_s: float = 0.0
    """On top of a tick that follows a time without work, by the share of that time."""
    gather_s: float = 0.0
    """Beside its CPU a tick takes so long, on average, exponentially distributed."""
    budget_s: float = 0.010
    shard_request_s: float = 0.0
    shard_tick_s: float = 0.0
    read_timeout_s: float = 0.020
    hop_s: float = 0.0002
    """To a shard and back, over the network."""


class Loss(Struct, frozen=True):
    """Something fails in the middle."""

    at_s: float
    workers: tuple[int, ...] = ()
    shard: int = -1
    noticed_s: float = 0.0
    """So long requests still go there: lost where it is a worker, timed out where it is a shard."""


class Stream(Struct, frozen=True):
    """What arrives."""

    qps: float
    seconds: float
    bursts: float = 0.0
    """Standard deviation of the rate from one BIN_S to the next, as a share of it, correlated over BURST_S."""
    imbalance: float = 0.1
    """Standard deviation of the workers' shares of the load: connections differ, and are dealt by chance."""
    known_share: float = 0.7


class Played(Struct):
    """What came of a run."""

    arrived: int
    lost: int
    """On their way to, or within, what was lost."""
    shed: int
    at_s: Floats
    """When each decided request had arrived (D,)."""
    latency_s: Floats
    """From its arrival to its answer (D,)."""
    batch: float
    worker_use: Floats
    """Busy share of each worker."""
    shard_use: Floats
    timed_out: int
    """Requests decided without their person: the read took too long."""

    @property
    def decided(self) -> int:
        """Requests that were decided."""
        return len(self.latency_s)


class Ticks(Struct):
    """All ticks of all workers (T,)."""

    worker: Ints
    first: Ints
    """Number of its first request."""
    waited: Ints
    """Requests that waited; `taken` of them were decided."""
    taken: Ints
    start_s: Floats
    end_s: Floats
    cpu_s: Floats


BURST_S: Final = 0.1


def play(
    stream: Stream,
    workers: int,
    shards: int,
    costs: Costs,
    rng: np.random.Generator,
    loss: Loss | None = None,
) -> Played:
    """One run of a fleet."""
    times, owner, arrived, lost = spread(stream, workers, rng, loss)
    ticks = serve(times, owner, workers, costs, rng)
    alive = np.ones(len(ticks.start_s), np.bool_)
    if loss is not None and loss.workers:
        alive = ~(
            np.isin(ticks.worker, loss.workers)
            & (ticks.end_s > loss.at_s)
            & (ticks.start_s < loss.at_s + loss.noticed_s)
        )
    lost += int(ticks.waited[~alive].sum())
    read_s, timed_out, shard_use = reads(ticks, stream, shards, costs, rng, loss)
    numbers = requests_of(ticks.first[alive], ticks.taken[alive])
    done = np.repeat((ticks.end_s + read_s)[alive], ticks.taken[alive])
    use = np.bincount(ticks.worker, ticks.cpu_s, workers) / stream.seconds
    return Played(
        arrived,
        lost,
        int((ticks.waited - ticks.taken)[alive].sum()),
        times[numbers],
        done - times[numbers],
        float(ticks.waited.mean()) if len(ticks.waited) else 0.0,
        use,
        shard_use,
        int(ticks.taken[alive & timed_out].sum()),
    )


def spread(
    stream: Stream, workers: int, rng: np.random.Generator, loss: Loss | None = None
) -> tuple[Floats, Ints, int, int]:
    """(arrival times, their workers, how many arrived, how many were lost on the way), by worker and time."""
    times = arrivals(stream, rng)
    shares = np.maximum(rng.normal(1.0, stream.imbalance, workers), 0.1)
    owner = rng.choice(workers, len(times), p=shares / shares.sum())
    lost = np.zeros(len(times), np.bool_)
    if loss is not None and loss.workers:
        dead = np.isin(owner, loss.workers)
        lost = dead & (times >= loss.at_s) & (times < loss.at_s + loss.noticed_s)
        moved = dead & (times >= loss.at_s + loss.noticed_s)
        shares[list(loss.workers)] = 0.0
        if shares.any():
            owner[moved] = rng.choice(workers, int(moved.sum()), p=shares / shares.sum())
        else:
            lost |= moved
    kept = np.flatnonzero(~lost)
    order = kept[np.argsort(owner[kept], kind="stable")]
    return times[order], owner[order], len(times), int(lost.sum())


def arrivals(stream: Stream, rng: np.random.Generator) -> Floats:
    """Poisson arrivals in order; with bursts, of a rate that wanders as many users' do together."""
    bins = max(1, round(stream.seconds / BIN_S))
    rates = np.ones(bins)
    if stream.bursts:
        kept = np.exp(-BIN_S / BURST_S)
        noise, level = rng.normal(0.0, np.sqrt(1 - kept * kept), bins), 0.0
        for number in range(bins):
            level = kept * level + noise[number]
            rates[number] = level
        rates = np.exp(stream.bursts * rates - stream.bursts**2 / 2)
    counts = rng.poisson(stream.qps * stream.seconds / bins * rates)
    edges = np.repeat(np.arange(bins), counts) * (stream.seconds / bins)
    made: Floats = np.sort(edges + rng.random(len(edges)) * (stream.seconds / bins))
    return made


def serve(times: Floats, owner: Ints, workers: int, costs: Costs, rng: np.random.Generator) -> Ticks:
    """Every worker's ticks: one array operation takes the next tick of all of them."""
    ends = np.searchsorted(owner, np.arange(workers), side="right")
    at = np.searchsorted(owner, np.arange(workers), side="left")
    span = float(times.max()) * 2 + 1e3 if len(times) else 1.0
    keyed = times + owner * span
    free, smoothed = np.zeros(workers), np.full(workers, costs.request_s)
    left, used = (
        np.full(workers, -1e9),
        np.zeros(workers),
    )  # when the last tick left the CPU, and what it used
    rows: list[tuple[Any, ...]] = []
    live = np.flatnonzero(at < ends)
    while len(live):
        first = at[live]
        start = np.maximum(free[live], times[first])
        stop = np.minimum(np.searchsorted(keyed, start + live * span, side="right"), ends[live])
        stop = np.maximum(stop, first + 1)  # the key of a sum may round below the request itself
        waited = stop - first
        room = np.maximum(MIN_PER_TICK, costs.budget_s / smoothed[live]).astype(np.int64)
        taken = np.minimum(waited, room)
        off = start - left[live]
        slept = off / (off + used[live])
        cpu = costs.tick_s + costs.idle_s * slept + costs.request_s * taken
        wall = cpu + (rng.exponential(costs.gather_s, len(live)) if costs.gather_s else 0.0)
        weight = taken / (taken + MEMORY_REQUESTS)
        smoothed[live] += (wall / taken - smoothed[live]) * weight
        rows.append((live, first, waited, taken, start, start + wall, cpu))
        free[live], left[live], used[live] = start + wall, start + cpu, cpu
        at[live] = stop
        live = live[stop < ends[live]]
    if not rows:
        none, nothing = np.zeros(0, np.int64), np.zeros(0)
        return Ticks(none, none, none, none, nothing, nothing, nothing)
    return Ticks(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def reads(
    ticks: Ticks,
    stream: Stream,
    shards: int,
    costs: Costs,
    rng: np.random.Generator,
    loss: Loss | None = None,
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """(how long each tick waits for people, whether it gave up, busy share of each shard)."""
    asked = rng.binomial(ticks.taken, stream.known_share)
    tick = np.repeat(np.arange(len(asked)), asked)
    pieces, counts = np.unique(tick * shards + rng.integers(0, shards, len(tick)), return_counts=True)
    tick, shard = pieces // shards, pieces % shards
    sent = ticks.start_s[tick] + costs.tick_s / 2 + costs.hop_s / 2
    service = costs.shard_tick_s + costs.shard_request_s * counts
    order = np.lexsort((sent, shard))
    finish = np.empty(len(sent))
    edges = np.searchsorted(shard[order], np.arange(shards + 1))
    for number in range(shards):
        mine = order[edges[number] : edges[number + 1]]
        finish[mine] = finished(sent[mine], service[mine])
    taken_s = finish - sent + costs.hop_s
    if loss is not None and loss.shard >= 0:
        gone = (shard == loss.shard) & (sent >= loss.at_s) & (sent < loss.at_s + loss.noticed_s)
        taken_s[gone] = np.inf
    read_s = np.zeros(len(asked))
    np.maximum.at(read_s, tick, taken_s)
    use = np.bincount(shard, service, shards) / stream.seconds
    return np.minimum(read_s, costs.read_timeout_s), read_s > costs.read_timeout_s, use


def finished(arrived: Floats, service: Floats) -> Floats:
    """When one server that takes them in order is done with each (Lindley); `arrived` ascending."""
    work = np.cumsum(service)
    done: Floats = work + np.maximum.accumulate(arrived - (work - service))
    return done


def requests_of(first: Ints, taken: Ints) -> Ints:
    """The numbers of the requests of ticks: `taken` from `first` on, for each."""
    ends = np.cumsum(taken)
    found: Ints = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - taken - first, taken)
    return found
