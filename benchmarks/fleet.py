"""A simulated fleet of the size that the capacity model proposes: does it hold, with bursts and with a part of it lost?

    python -m benchmarks.fleet --qps 1000 10000 100000 1000000 --line-items 10000 --out benchmarks/results
    python -m benchmarks.fleet --validate

Place: run by hand; fleet_queues.py plays, bidder.capacity proposes, the constants are benchmarks/results/capacity.json.
Shapes: for each rate a run per scenario in SCENARIOS, half a run before the loss and half after. --validate plays
    one worker and drives a real one (capacity_site.py) at two rates.
Units: milliseconds, shares; latency is from a request's arrival at its worker to its answer.
Limits: a proposal holds where late and shed requests are less than BAD_SHARE of those that reached a living worker;
    exit code 1 where one does not. What a lost worker, pod or shard takes with it is told beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from math import log10
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct

from benchmarks.capacity import RESULT, constants_of
from benchmarks.capacity_loads import opened
from benchmarks.capacity_site import DemoError, Size, settled
from benchmarks.fleet_queues import Costs, Loss, Played, Stream, play
from benchmarks.latency import Latencies
from benchmarks.machine import machine
from benchmarks.plots import Panel, Series, svg
from benchmarks.soak import write
from bidder.capacity import Constants, Estimate, Load, at, busy, estimate
from bidder.yardstick import Yardstick

RATES: Final = (1_000.0, 10_000.0, 100_000.0, 1_000_000.0)
PEOPLE_PER_QPS: Final = 500
DEADLINE_MS: Final = 80.0
"""The shortest tmax of an exchange, less the margin for its network."""
BAD_SHARE: Final = 0.001
REQUESTS: Final = 1_000_000
"""Of one run, about; at least SECONDS of it."""
SECONDS: Final = 1.0
LONGEST_S: Final = 30.0
BURSTS: Final = 0.2
RESET_S: Final = 0.05
"""Until exchanges have connected anew where a worker's sockets were reset."""
SILENT_S: Final = 1.0
"""Until a load balancer leaves out a pod whose machine is silent; a quarter of a run that is short."""
PERCENTILES: Final = (("p50", 50.0, "#3367d6"), ("p99", 99.0, "#f4b400"), ("p999", 99.9, "#db4437"))
USUAL: Final = Load(qps=1, people=0, line_items=1)
SCENARIOS: Final = ("steady", "bursts", "worker lost", "pod lost", "shard lost")
VALIDATED: Final = (800.0, 1_600.0)


class Scene(Struct, frozen=True):
    """One run's circumstances."""

    name: str
    stream: Stream
    loss: Loss | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 where a proposal does not hold."""
    args = parser().parse_args(argv)
    try:
        held = constants_of(args.json)
        if args.validate:
            print(validation(asyncio.run(_validate(held))))
            return 0
    except (DemoError, FileNotFoundError) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    began_s, fleets = time.monotonic(), []
    for qps in args.qps:
        load = Load(
            qps=qps,
            people=int(qps * PEOPLE_PER_QPS),
            line_items=args.line_items,
            utilisation=args.utilisation,
        )
        fleets.append(fleet(load, held, args.seed))
    report = {
        "machine": machine(),
        "command": "python -m benchmarks.fleet",
        "seed": args.seed,
        "line_items": args.line_items,
        "deadline_ms": DEADLINE_MS,
        "seconds": round(time.monotonic() - began_s, 1),
        "fleets": fleets,
    }
    write(args.out, "fleet", report, picture(report))
    print(table(report))
    return 0 if all(run["holds"] for each in fleets for run in each["runs"]) else 1


def fleet(load: Load, held: Constants, seed: int = 1) -> dict[str, Any]:
    """The proposal for a load, and what came of each scenario."""
    proposal = estimate(load, held)
    costs = costs_of(load, held)
    runs = []
    for number, scene in enumerate(scenes(load, proposal)):
        rng = np.random.default_rng([seed, number])
        played = play(scene.stream, proposal.workers, proposal.people_primaries, costs, rng, scene.loss)
        runs.append({"scenario": scene.name, "seconds": scene.stream.seconds} | summary(played))
    return {
        "qps": load.qps,
        "workers": proposal.workers,
        "pods": proposal.pods,
        "people_primaries": proposal.people_primaries,
        "runs": runs,
    }


def scenes(load: Load, proposal: Estimate) -> list[Scene]:
    """What a fleet of a size can go through: one that has no second worker, pod or shard cannot lose one."""
    seconds = min(LONGEST_S, max(SECONDS, REQUESTS / load.qps / 4))
    stream = Stream(load.qps, seconds, known_share=load.known_share)
    bursty, middle_s = Stream(load.qps, seconds, BURSTS, known_share=load.known_share), seconds / 2
    found = [Scene("steady", stream), Scene("bursts", bursty)]
    if proposal.workers > 1:
        found.append(Scene("worker lost", stream, Loss(middle_s, (0,), noticed_s=min(RESET_S, seconds / 10))))
    if proposal.pods > 1:
        pod = tuple(range(-(-proposal.workers // proposal.pods)))
        found.append(Scene("pod lost", stream, Loss(middle_s, pod, noticed_s=min(SILENT_S, seconds / 4))))
    if proposal.people_primaries > 1:
        found.append(Scene("shard lost", stream, Loss(middle_s, shard=0, noticed_s=seconds / 2)))
    return found


def costs_of(load: Load, held: Constants, speed: float = 1.0) -> Costs:
    """The model's constants in seconds; notices take their share of each worker's time from it."""
    notices = load.bid_share * load.win_share * load.notices_per_win
    rate = load.qps / estimate(load, held, speed).workers
    free = 1e6 * (1 - rate * notices * held.notice_us * speed / 1e6) / speed
    lines = load.line_items
    return Costs(
        at(held.request_us, lines) / free,
        at(held.tick_us, lines) / free,
        held.idle_us / free,
        held.gather_us / free,
        shard_request_s=held.people_request_us * speed / 1e6,
        shard_tick_s=held.people_tick_us * speed / 1e6,
    )


def summary(played: Played) -> dict[str, Any]:
    """A run as plain numbers; `bad_share` is of those that reached a living worker."""
    latency_ms = played.latency_s * 1e3
    late = int((latency_ms > DEADLINE_MS).sum())
    reached = max(1, played.arrived - played.lost)
    bad = (late + played.shed) / reached
    ms = {name: round(float(np.percentile(latency_ms, share)), 3) for name, share, _ in PERCENTILES}
    return {
        "requests": played.arrived,
        "latency_ms": ms,
        "late_share": late / reached,
        "shed_share": played.shed / reached,
        "lost_share": played.lost / max(1, played.arrived),
        "without_person_share": played.timed_out / reached,
        "batch": round(played.batch, 2),
        "worker_use": [
            round(float(value), 3) for value in (played.worker_use.mean(), played.worker_use.max())
        ],
        "shard_use": [round(float(value), 3) for value in (played.shard_use.mean(), played.shard_use.max())],
        "holds": bad < BAD_SHARE,
    }


async def _validate(held: Constants) -> list[dict[str, Any]]:
    """One real worker and one simulated at the same rates."""
    yardstick, rows = Yardstick(), []
    async with opened(Size(1_000, 10_000)) as site:
        site.load(None, 64, 2.0)
        settled(0.5)
        for rate in VALIDATED:
            before_us = yardstick.read(2_000)
            reading, result = site.load(rate, 64, 6.0, 1.0)
            speed = (before_us + yardstick.read(2_000)) / 2 / held.yardstick_us
            known = reading.total("people_asked_total") / max(1, reading.requests)
            load = Load(qps=rate, people=10_000, line_items=1_000, known_share=min(1.0, known), bid_share=0.0)
            costs = costs_of(load, held, speed)
            stream = Stream(rate, 30.0, imbalance=0.0, known_share=load.known_share)
            played = play(stream, 1, 1, costs, np.random.default_rng(1))
            real = Latencies(result.arrivals.latencies_ns)
            rows.append(
                {
                    "rate": rate,
                    "real": {name: real.ms(share) for name, share, _ in PERCENTILES}
                    | {"batch": reading.batch},
                    "simulated": summary(played)["latency_ms"] | {"batch": played.batch},
                    "use": [rate * reading.per_request("worker") / 1e6, float(played.worker_use[0])],
                    "model_use": busy(rate, 1_000, held, speed).cores,
                }
            )
    return rows


def validation(rows: Sequence[dict[str, Any]]) -> str:
    """Both beside each other."""
    lines = [f"{'one worker':<22}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}{'batch':>8}{'busy':>8}"]
    for row in rows:
        for number, name in enumerate(("real", "simulated")):
            found = row[name]
            label = f"{row['rate']:,.0f}/s {name}"
            numbers = f"{found['p50']:>9.2f}{found['p99']:>9.2f}{found['p999']:>10.2f}{found['batch']:>8.2f}"
            lines.append(f"{label:<22}{numbers}{row['use'][number]:>8.1%}")
    return "\n".join(lines)


def table(report: dict[str, Any]) -> str:
    """For a terminal."""
    lines = [
        f"{'requests/s':>11} {'workers':>8} {'shards':>7}  {'scenario':<12}{'p50 ms':>8}{'p99 ms':>8}{'p99.9':>8}"
        f"{'late':>9}{'shed':>9}{'lost':>9}{'worker use':>12}{'shard use':>11}"
    ]
    for each in report["fleets"]:
        for run in each["runs"]:
            ms = run["latency_ms"]
            shares = "".join(f"{run[name]:>9.3%}" for name in ("late_share", "shed_share", "lost_share"))
            lines.append(
                f"{each['qps']:>11,.0f} {each['workers']:>8,} {each['people_primaries']:>7,}  {run['scenario']:<12}"
                f"{ms['p50']:>8.2f}{ms['p99']:>8.2f}{ms['p999']:>8.2f}{shares}"
                f"{run['worker_use'][0]:>12.0%}{run['shard_use'][0]:>11.0%}  {'holds' if run['holds'] else 'FAILS'}"
            )
    return "\n".join(lines)


def picture(report: dict[str, Any]) -> str:
    """Latency over rates, one panel for all is well and one for each loss."""
    rates = [log10(each["qps"]) for each in report["fleets"]]
    span = (min(rates) - 0.01, max(rates) + 0.01)
    panels = []
    for scenario in SCENARIOS:
        points = [
            (log10(each["qps"]), run["latency_ms"])
            for each in report["fleets"]
            for run in each["runs"]
            if run["scenario"] == scenario
        ]
        if points:
            series = [
                Series(name, colour, [(x, ms[name]) for x, ms in points]) for name, _, colour in PERCENTILES
            ]
            highest = max(ms["p999"] for _, ms in points) * 1.1
            title = f"{scenario}: latency at the proposed size; 3 is 1,000 requests/s, 6 a million"
            panels.append(Panel(title, "digits", series, span, (0, float(f"{highest:.2g}")), " ms"))
    return svg(panels)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet", description=(__doc__ or "").splitlines()[0]
    )
    add = made.add_argument
    add("--qps", type=float, nargs="+", default=list(RATES), help="requests per second of the whole fleet")
    add("--line-items", type=int, default=10_000)
    add("--utilisation", type=float, default=USUAL.utilisation, help="of a worker, as in `paceline capacity`")
    add("--seed", type=int, default=1)
    add("--json", type=Path, default=RESULT, help="the measured constants")
    add("--out", type=Path, default=Path("build"), help="the folder for JSON and SVG")
    add("--validate", action="store_true", help="compare one simulated worker with a real one, and end")
    return made


if __name__ == "__main__":
    sys.exit(main())
