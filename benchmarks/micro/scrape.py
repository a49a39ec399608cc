"""What a scrape costs the supervisor: every metric of the catalogue with as many series as its labels have.

Place: run by hand: `python -m benchmarks.micro.scrape [--line-items 1000] [--exchanges 6] [--workers 4]`.
Shapes: each worker's tally has a series for every line item, exchange and word of each label (WORDS of them, where the
    label is neither); the bookkeeper's has the gauges of line items.
Units: ms of CPU of one scrape, the least of ROUNDS, by part; the first one also names all series.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Final, TypeVar

from bidder.metrics import Metric, Tally
from bidder.supervisor.catalogue import catalogue
from bidder.supervisor.scrape import Scrape
from bidder.web.exposition import render

ROUNDS: Final = 7
WORDS: Final = 6
T = TypeVar("T")


def labels_of(metric: Metric, line_items: int, exchanges: int) -> Iterator[tuple[str, ...]]:
    """The series of one metric."""
    rest = [label for label in metric.labels if label not in ("campaign", "line_item")]
    words = [
        [f"{label}-{number}" for number in range(exchanges if label == "exchange" else WORDS)]
        for label in rest
    ]
    lines = [(f"campaign-{number // 10}", f"line-item-{number}") for number in range(line_items)]
    for line in lines if "line_item" in metric.labels else [()]:
        for others in product(*words):
            yield (*line, *others)


def fill(tally: Tally, metrics: list[Metric], line_items: int, exchanges: int) -> None:
    """Count something in every series."""
    for metric in metrics:
        for number, labels in enumerate(labels_of(metric, line_items, exchanges)):
            if metric.kind == "histogram":
                tally.histogram(metric, *labels).observe(metric.buckets[0])
            else:
                tally.count(metric.name, *labels, by=number + 1)


def timed(name: str, work: Callable[[], T]) -> T:
    """Do it ROUNDS times and print the least CPU."""
    least = 1 << 62
    for _ in range(ROUNDS):
        began_ns = time.thread_time_ns()
        made = work()
        least = min(least, time.thread_time_ns() - began_ns)
    print(f"{name:<24}{least / 1e6:>8.1f} ms")
    return made


def main() -> None:
    """Print the costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--line-items", type=int, default=1_000)
    parser.add_argument("--exchanges", type=int, default=6)
    parser.add_argument("--workers", type=int, default=4)
    arguments = parser.parse_args()
    began_ns = time.thread_time_ns()
    known = list(catalogue().values())
    print(f"{'catalogue, once':<24}{(time.thread_time_ns() - began_ns) / 1e6:>8.1f} ms")
    ranked = [metric for metric in known if "line_item" in metric.labels and metric.kind == "gauge"]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.tally" for number in range(arguments.workers + 1)]
        for path in paths[:-1]:
            counted = [metric for metric in known if metric not in ranked]
            fill(Tally(path), counted, arguments.line_items, arguments.exchanges)
        fill(Tally(paths[-1]), ranked, arguments.line_items, arguments.exchanges)
        scrape = Scrape([], {}, paths, dict)
        began_ns = time.thread_time_ns()
        scrape.text()
        print(f"{'first scrape':<24}{(time.thread_time_ns() - began_ns) / 1e6:>8.1f} ms")
        samples = timed("samples", scrape.samples)
        timed("text of them", lambda: render(catalogue(), samples))
        text = timed("scrape", scrape.text)
    lines = [line for line in text.splitlines() if not line.startswith(b"#")]
    print(f"{len(samples):,} series of ours, {len(lines):,} lines, {len(text) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
