"""`python -m helm.capacity`: the tables of helm/CAPACITY.md, made of bidder.capacity.

Place: run after the constants changed; with --check, as in the tests, it writes nothing and tells that a page is stale.
Shapes: what stands between `<!-- NAME -->` and `<!-- /NAME -->` is made, all else in the page is written by hand.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bidder.capacity import SHIPPED, Load, Prices, busy, estimate

FILE: Final = Path(__file__).parent / "CAPACITY.md"
RATES: Final = (1_000, 10_000, 100_000, 1_000_000)
PEOPLE_PER_QPS: Final = 500
LINE_ITEMS: Final = 10_000
WORKER_RATES: Final = (100, 500, 1_000, 1_500, 2_000, 2_500, 3_000)
_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "yardstick_us": (
        "µs",
        "CPU of one turn of `bidder/yardstick.py`: what `--here` and `--speed` are relative to",
    ),
    "request_us": ("µs", "CPU of a worker per request, by line items"),
    "tick_us": ("µs", "CPU of a worker per batch, by line items"),
    "idle_us": ("µs", "on top per batch where the worker slept before"),
    "gather_us": ("µs", "beside its CPU, how long requests join the next batch"),
    "notice_us": ("µs", "CPU of a worker per notice, beacon or click"),
    "worker_mb": ("MB", "resident memory of a worker, by line items"),
    "helpers_mb": ("MB", "supervisor, bookkeeper and caretaker together, by line items"),
    "helpers_cores": ("cores", "what those use while bids are made, by line items"),
    "people_tick_us": ("µs", "CPU of the people's store per batch that asks it"),
    "people_request_us": (
        "µs",
        "CPU of the people's store per request that names a person: read, mark, holds",
    ),
    "charge_us": ("µs", "CPU of the ledger per charge"),
    "lease_us": ("µs/s", "CPU of the ledger per worker and second, by line items"),
    "person_bytes": ("B", "a person whom three shops know, in the people's store"),
    "charge_bytes": ("B", "of the ledger's append-only file per charge, before it is rewritten"),
    "journal_bytes": ("B", "of the journal on disk per charge"),
    "request_bytes": ("B", "a request with its HTTP head"),
    "answer_bytes": ("B", "an answer with a bid"),
    "person_read_bytes": ("B", "both ways to the people's store per request that names a person"),
}


def constants() -> str:
    """The measured constants."""
    lines = ["| constant | measured | unit | what it is |", "|---|---|---|---|"]
    for name in SHIPPED.__struct_fields__:
        value, (unit, text) = getattr(SHIPPED, name), _TEXTS[name]
        told = ", ".join(f"{n:,}: {v:,g}" for n, v in value) if isinstance(value, tuple) else f"{value:,g}"
        lines.append(f"| `{name}` | {told} | {unit} | {text} |")
    return "\n".join(lines)


def curve() -> str:
    """One worker at rising rates."""
    lines = ["| requests/s of a worker | batch | CPU per request | busy |", "|---|---|---|---|"]
    for rate in WORKER_RATES:
        made = busy(rate, LINE_ITEMS, SHIPPED)
        told = f"{made.cores:.0%}" if made.cores < 1 else "too much"
        lines.append(f"| {rate:,} | {made.batch:.1f} | {made.request_us:,.0f} µs | {told} |")
    return "\n".join(lines)


def examples() -> str:
    """What four loads take."""
    loads = [Load(qps=qps, people=qps * PEOPLE_PER_QPS, line_items=LINE_ITEMS) for qps in RATES]
    made = [estimate(load, SHIPPED) for load in loads]
    rows: dict[str, list[str]] = {
        "people": [f"{load.people:,}" for load in loads],
        "workers": [f"{each.workers:,}" for each in made],
        "pods": [f"{each.pods:,}" for each in made],
        "cores to order for workers and helpers": [f"{each.ordered_cores:,}" for each in made],
        "of them used": [f"{each.cores:,}" for each in made],
        "their memory, GiB": [f"{each.memory_gib:,.1f}" for each in made],
        "people's store, GiB of data": [f"{each.people_gib:,.1f}" for each in made],
        "people's store, primaries": [f"{each.people_primaries:,}" for each in made],
        "ledger, primaries": [f"{each.ledger_primaries:,}" for each in made],
        "store nodes with one replica each": [f"{each.store_nodes:,}" for each in made],
        "network in / out, Gbit/s": [
            f"{each.ingress_gbit_s:,.2f} / {each.egress_gbit_s:,.2f}" for each in made
        ],
        "to the people's store, Gbit/s": [f"{each.store_gbit_s:,.2f}" for each in made],
        "ledger grows, GiB a day": [f"{each.ledger_gib_per_day:,.1f}" for each in made],
        "cost per billion requests": [f"{each.cost_per_billion:,.0f}" for each in made],
    }
    heads = " | ".join(f"{qps:,}/s" for qps in RATES)
    lines = [f"| | {heads} |", "|---|" + "---|" * len(RATES)]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())])


def assumed() -> str:
    """The defaults of loads and prices."""
    load, prices = Load(qps=1, people=0, line_items=1), Prices()
    told = [
        f"`--known-share {load.known_share:g}`",
        f"`--bid-share {load.bid_share:g}`",
        f"`--win-share {load.win_share:g}`",
        f"`--notices-per-win {load.notices_per_win:g}`",
        f"`--utilisation {load.utilisation:g}`",
        f"`--store-utilisation {load.store_utilisation:g}`",
        f"`--node-memory-gib {load.node_memory_gib:g}`",
        f"`--replicas {load.replicas}`",
        f"`--workers-per-pod {load.workers_per_pod}`",
        f"`--core-hour {prices.core_hour:g}`",
        f"`--gib-hour {prices.gib_hour:g}`",
        f"`--egress-gib {prices.egress_gib:g}`",
    ]
    return f"Assumed unless told otherwise: {', '.join(told)}."


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "constants": constants, "curve": curve, "examples": examples, "assumed": assumed,
}  # fmt: skip


def filled(page: str) -> str:
    """A page with its blocks made anew; raises ValueError where one is missing."""
    for name, block in BLOCKS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f"{FILE.name} has no place for {name}")
        page = pattern.sub(lambda found, block=block: f"{found[1]}{block()}\n{found[2]}", page)  # type: ignore[misc]  # a default binds
    return page


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 where --check finds the page stale."""
    parser = argparse.ArgumentParser(
        prog="python -m helm.capacity", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail where the page is stale")
    check: bool = parser.parse_args(argv).check
    page = FILE.read_text("utf-8")
    made = filled(page)
    if made == page:
        return 0
    print(f"{'stale' if check else 'written'}: helm/{FILE.name}")
    if not check:
        FILE.write_text(made, "utf-8")
    return int(check)


if __name__ == "__main__":
    sys.exit(main())
