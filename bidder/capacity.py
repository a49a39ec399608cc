"""How many cores, how much memory, how many store nodes and what money a load takes: a model of measured constants.

Place: `paceline capacity` prints it; benchmarks/capacity.py measures the constants and holds the model to real
    processes; benchmarks/fleet.py plays a fleet of the size that it proposes; helm/CAPACITY.md explains it.
Shapes: a worker is one process on one core. What has arrived when its loop turns is one batch of n requests and costs
    tick + n * request. The fuller a worker is, the larger its batches and the cheaper its requests: `busy` finds the n
    that a rate comes to. A table is pairs (line items, value), ascending; what is between is read by `at` or `along`.
Units: CPU in microseconds of the reference machine, times `speed` on another; bytes; requests per second.
Source: SHIPPED is benchmarks/results/capacity.json, which says on what machine it was measured, and when.
Never: measures anything, nor knows which machine it runs on.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Table = tuple[tuple[int, float], ...]
GIB: Final = 1024**3
DAY_S: Final = 86_400
CORE_US: Final = 1e6
"""What a core gives in a second."""
TICK_BUDGET_US: Final = 10_000.0
"""exchange.tick_budget_ms: a batch that would take longer is shed in part, so it bounds the batch."""
SPREAD: Final = 4
"""Pods at least, where there are so many workers: a lost one takes no more than a quarter of the fleet with it."""
BOOKKEEPER_SHARE: Final = 0.5
"""Of its core that the bookkeeper may use: there is one for all of a ledger."""


class Constants(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured, on one core of one machine."""

    yardstick_us: Positive
    """CPU of one turn of bidder.yardstick there: the ratio to another machine's is `speed`."""
    request_us: Table
    """CPU of a worker per request, whatever the batch."""
    tick_us: Table
    """CPU of a worker per batch, whatever its size: the turn of the loop, the read of people, array operations."""
    idle_us: NotNegative
    """On top per batch where the worker slept before: caches are cold."""
    gather_us: NotNegative
    """Beside the batch's own CPU, requests join the next one for so long: interrupts, wake-ups, neighbours."""
    notice_us: Positive
    """CPU of a worker per notice, beacon or click."""
    worker_mb: Table
    helpers_mb: Table
    """Supervisor, bookkeeper and caretaker together."""
    helpers_cores: Table
    """What they use while bids are made, in cores."""
    people_tick_us: NotNegative
    """CPU of the people's store per batch that asks it: the system calls of a connection."""
    people_request_us: Positive
    """CPU of the people's store per request that names a person: the read, the mark, the hold of a bid."""
    charge_us: Positive
    """CPU of the ledger per charge."""
    lease_us: Table
    """CPU of the ledger per worker and second: leases, and what the bookkeeper reads."""
    person_bytes: Positive
    """A person in the people's store: profiles of three shops."""
    charge_bytes: Positive
    """Of the ledger's append-only file per charge."""
    journal_bytes: Positive
    """Of the journal on disk per charge, kept for ever."""
    request_bytes: Positive
    answer_bytes: Positive
    """Of an answer with a bid."""
    person_read_bytes: Positive
    """Both ways between a worker and the people's store, per request that names a person."""


class Load(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of a deployment."""

    qps: Annotated[float, Meta(ge=1, le=1e8)]
    """Requests per second at the peak that it must hold."""
    people: Annotated[int, Meta(ge=0, le=100_000_000_000)]
    """Kept within the 30 days."""
    line_items: Annotated[int, Meta(ge=1, le=1_000_000)]
    known_share: Share = 0.7
    """Of requests, those that name somebody who may be looked up."""
    bid_share: Share = 0.5
    """Of requests, those that are bid on."""
    win_share: Share = 0.1
    """Of bids."""
    notices_per_win: Annotated[float, Meta(ge=0, le=100)] = 3.2
    """Win, bill, beacon, and a click now and then."""
    utilisation: Annotated[float, Meta(ge=0.05, le=0.95)] = 0.6
    """Of its core that a worker is busy at the peak: the rest is for bursts, and for the load of a lost neighbour."""
    store_utilisation: Annotated[float, Meta(ge=0.05, le=0.95)] = 0.5
    """Of its core that a primary is busy at the peak."""
    node_memory_gib: Annotated[float, Meta(ge=0.25, le=4096)] = 32.0
    """Of one node of the people's store; half of it is kept free for fragmentation and copies on write."""
    replicas: Annotated[int, Meta(ge=0, le=5)] = 1
    """Of each primary."""
    workers_per_pod: Annotated[int, Meta(ge=1, le=512)] = 8


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What resources cost, in any currency."""

    core_hour: Annotated[float, Meta(ge=0, le=1e6)] = 0.04
    gib_hour: Annotated[float, Meta(ge=0, le=1e6)] = 0.005
    egress_gib: Annotated[float, Meta(ge=0, le=1e6)] = 0.02


class Busy(Struct, frozen=True):
    """A worker at a rate."""

    batch: float
    """Requests decided together, on average."""
    request_us: float
    """CPU per request, the batch's share included."""
    cores: float
    """Busy with requests; above 1 it is asked for too much."""


class Estimate(Struct, frozen=True, kw_only=True):
    """What it takes."""

    worker_rate: float
    """Requests per second of one worker at the wanted utilisation, its notices beside them."""
    saturated_rate: float
    """What one would sustain busy all the time, batches as large as the tick budget lets them be."""
    request_us: float
    batch: float
    workers: int
    pods: int
    cores: int
    """What workers and their helpers use, whole."""
    ordered_cores: int
    """What to order: the workers', and whole cores beside them for the helpers of each pod, as the chart asks for."""
    memory_gib: float
    people_gib: float
    people_primaries: int
    people_cores: float
    ledger_primaries: int
    """Advertisers spread over them; one advertiser's money is on one."""
    ledger_cores: float
    store_nodes: int
    """With replicas."""
    ingress_gbit_s: float
    egress_gbit_s: float
    store_gbit_s: float
    ledger_gib_per_day: float
    """The append-only file, before it is rewritten, and the journal."""
    cost_per_billion: float = 0.0
    """Of requests, if the load is what `qps` says all the time."""
    limits: tuple[str, ...] = ()
    """What decides about sizes, and what does not grow with more machines."""


def estimate(load: Load, constants: Constants, speed: float = 1.0, prices: Prices | None = None) -> Estimate:
    """What a load takes on machines whose code takes `speed` times as long as on the reference machine."""
    charges = load.qps * load.bid_share * load.win_share
    notice_us = charges * load.notices_per_win / load.qps * constants.notice_us * speed
    rate = worker_rate(load, constants, speed, notice_us)
    workers = math.ceil(load.qps / rate - 1e-9)
    pods = max(math.ceil(workers / load.workers_per_pod), min(SPREAD, workers))
    lines = load.line_items
    held = busy(rate, lines, constants, speed)
    helpers = pods * along(constants.helpers_cores, lines) * speed
    memory_mb = workers * along(constants.worker_mb, lines) + pods * along(constants.helpers_mb, lines)
    primaries, people_cores, why = _people(load, constants, speed, load.qps / held.batch)
    ledger_cores = (
        (charges * constants.charge_us + workers * along(constants.lease_us, lines)) * speed / CORE_US
    )
    ledgers = max(1, math.ceil(ledger_cores / load.store_utilisation))
    ingress, egress, between = _network(load, constants)
    kept = charges * (constants.charge_bytes + constants.journal_bytes) * DAY_S
    made = Estimate(
        worker_rate=rate,
        saturated_rate=saturated_rate(lines, constants, speed),
        request_us=held.request_us,
        batch=held.batch,
        workers=workers,
        pods=pods,
        cores=math.ceil(workers + helpers),
        ordered_cores=workers + pods * max(1, math.ceil(helpers / pods - 1e-9)),
        memory_gib=memory_mb * 1e6 / GIB,
        people_gib=load.people * constants.person_bytes / GIB,
        people_primaries=primaries,
        people_cores=people_cores,
        ledger_primaries=ledgers,
        ledger_cores=ledger_cores,
        store_nodes=(primaries + ledgers) * (1 + load.replicas),
        ingress_gbit_s=ingress,
        egress_gbit_s=egress,
        store_gbit_s=between,
        ledger_gib_per_day=kept / GIB,
        limits=(
            *_unmeasured(load, constants),
            *_limits(load, constants, speed, pods),
            *_stores(
                load,
                (primaries, why),
                (ledgers, charges * constants.charge_us * speed / CORE_US / ledger_cores),
            ),
        ),
    )
    return _priced(made, load, prices or Prices())


def busy(rate: float, line_items: int, constants: Constants, speed: float = 1.0) -> Busy:
    """What requests at a rate, Poisson, cost one worker. Where it is asked for too much, `cores` is above 1."""
    tick_us = at(constants.tick_us, line_items) * speed
    request_us = at(constants.request_us, line_items) * speed
    found, idle_us, per_us = 1.0, constants.idle_us * speed, rate / CORE_US
    cost_us = tick_us + request_us
    for _ in range(200):
        slept = max(0.0, 1 - per_us * cost_us / found)
        cost_us = tick_us + idle_us * slept + request_us * found
        arrived = per_us * (cost_us + constants.gather_us * speed)
        joined = min(arrived + math.exp(-arrived), max(1.0, (TICK_BUDGET_US - tick_us) / request_us))
        found += (joined - found) / 2
    slept = max(0.0, 1 - per_us * cost_us / found)
    cost_us = (tick_us + idle_us * slept) / found + request_us
    return Busy(found, cost_us, per_us * cost_us)


def saturated_rate(line_items: int, constants: Constants, speed: float = 1.0) -> float:
    """Requests per second of a worker that is busy all the time, batches filling the tick budget."""
    tick_us = at(constants.tick_us, line_items) * speed
    request_us = at(constants.request_us, line_items) * speed
    found = max(1.0, (TICK_BUDGET_US - tick_us) / request_us)
    return CORE_US / (tick_us / found + request_us)


def worker_rate(load: Load, constants: Constants, speed: float, notice_us: float = 0.0) -> float:
    """The rate at which a worker, its notices included, is as busy as wanted: by bisection, since it is monotone."""
    low, high = 0.0, CORE_US / (at(constants.request_us, load.line_items) * speed)
    for _ in range(60):
        rate = (low + high) / 2
        used = busy(rate, load.line_items, constants, speed).cores + rate * notice_us / CORE_US
        low, high = (rate, high) if used <= load.utilisation else (low, rate)
    return max(low, 1e-6)


def at(table: Table, line_items: float) -> float:
    """A cost between measured ones, straight in the logarithm of line items; beyond the ends as `along`."""
    xs = [x for x, _ in table]
    if not xs[0] < line_items < xs[-1]:
        return along(table, line_items)
    i = bisect.bisect_right(xs, line_items)
    (x0, y0), (x1, y1) = table[i - 1], table[i]
    return y0 + (y1 - y0) * math.log(line_items / x0) / math.log(x1 / x0)


def along(table: Table, line_items: float) -> float:
    """An amount between measured ones, straight in line items; below the first it is the first, beyond the last it
    rises on."""
    if line_items <= table[0][0] or len(table) == 1:
        return table[0][1]
    i = min(bisect.bisect_right([x for x, _ in table], line_items), len(table) - 1)
    (x0, y0), (x1, y1) = table[i - 1], table[i]
    return y0 + (y1 - y0) / (x1 - x0) * (line_items - x0)


def _people(load: Load, constants: Constants, speed: float, ticks: float) -> tuple[int, float, str]:
    """Primaries of the people's store, the cores that they use in sum, and what decides. `ticks` is batches per second
    of all workers: each asks every primary that holds somebody of it."""
    if not load.known_share and not load.people:
        return 1, 0.0, "people: one primary: nobody is known"
    by_memory = math.ceil(load.people * constants.person_bytes / (load.node_memory_gib * GIB / 2))
    asked = load.qps * load.known_share
    each = asked / ticks

    def cores(count: int) -> float:
        touched = count * (1 - (1 - 1 / count) ** each) if count > 1 else min(1.0, each)
        batches_us = ticks * touched * constants.people_tick_us
        return (asked * constants.people_request_us + batches_us) * speed / CORE_US

    count = _least(max(1, by_memory), lambda count: cores(count) <= count * load.store_utilisation)
    if count == 1:
        return count, cores(count), "people: one primary is enough for memory and CPU"
    return count, cores(count), f"people: {count:,} primaries by {'memory' if count == by_memory else 'CPU'}"


def _least(first: int, enough: Callable[[int], bool]) -> int:
    """The least number from `first` on that is enough, where each after it is, too."""
    low, high = first - 1, first
    while not enough(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _limits(load: Load, constants: Constants, speed: float, pods: int) -> tuple[str, ...]:
    """What more machines do not help."""
    charge_rate = load.store_utilisation * CORE_US / (constants.charge_us * speed)
    told = [f"money: one advertiser is on one ledger primary: {charge_rate:,.0f} charges per second at most"]
    if pods == 1:
        told.append("pods: one pod holds it, and is an outage when it is lost: run two")
    helpers = along(constants.helpers_cores, load.line_items) * speed
    if helpers > BOOKKEEPER_SHARE:
        told.append(
            f"bookkeeper: {load.line_items:,} line items keep the helpers of each pod busy on {helpers:.1f} cores, and "
            f"one bookkeeper paces well on {BOOKKEEPER_SHARE:g}: spread advertisers over several ledgers"
        )
    return tuple(told)


def _stores(load: Load, people: tuple[int, str], ledger: tuple[int, float]) -> tuple[str, ...]:
    """What decides about the stores' sizes, the larger first: primaries and why; primaries and the share of charges."""
    count, charged = ledger
    by = "charges" if charged >= 0.5 else f"leases of {load.line_items:,} line items to every worker"
    words = f"ledger: {count:,} primaries by {by}" if count > 1 else "ledger: one primary is enough"
    return (words, people[1]) if count > people[0] else (people[1], words)


def _unmeasured(load: Load, constants: Constants) -> tuple[str, ...]:
    """Where constants are drawn on beyond what was measured."""
    most = constants.request_us[-1][0]
    if load.line_items <= most:
        return ()
    return (
        f"guess: constants were measured with up to {most:,} line items; for {load.line_items:,} they are drawn on in "
        "a straight line, and nobody tried it: measure before you order",
    )


def _network(load: Load, constants: Constants) -> tuple[float, float, float]:
    """Gbit/s in, out, and between workers and the people's store."""
    gbit = load.qps * 8 / 1e9
    answers, reads = load.bid_share * constants.answer_bytes, load.known_share * constants.person_read_bytes
    return gbit * constants.request_bytes, gbit * answers, gbit * reads


def _priced(made: Estimate, load: Load, prices: Prices) -> Estimate:
    node_gib = load.node_memory_gib * made.store_nodes
    hourly = (made.ordered_cores + made.store_nodes) * prices.core_hour
    hourly += (made.memory_gib + node_gib) * prices.gib_hour
    hourly += made.egress_gbit_s / 8 * 3600 * 1e9 / GIB * prices.egress_gib
    return replace(made, cost_per_billion=hourly / 3600 / load.qps * 1e9)


SHIPPED: Final = Constants(
    yardstick_us=12.918,
    request_us=((100, 151.9), (1_000, 167.9), (20_000, 182.2)),
    tick_us=((100, 325.0), (1_000, 325.0), (20_000, 370.4)),
    idle_us=266.1,
    gather_us=390.2,
    notice_us=375.0,
    worker_mb=((100, 124.3), (1_000, 142.3), (20_000, 336.3)),
    helpers_mb=((100, 230.7), (1_000, 261.3), (20_000, 616.4)),
    helpers_cores=((100, 0.003678), (1_000, 0.01307), (20_000, 0.1215)),
    people_tick_us=90.8,
    people_request_us=44.2,
    charge_us=184.5,
    lease_us=((100, 4494.0), (1_000, 7654.0), (20_000, 17930.0)),
    person_bytes=817.9,
    charge_bytes=1_279.5,
    journal_bytes=198.0,
    request_bytes=2_484.0,
    answer_bytes=3_401.1,
    person_read_bytes=1_155.2,
)
