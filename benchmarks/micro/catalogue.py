"""What a catalogue of a million products costs: to read, to build, to open, to keep and to ask.

Place: run by hand: `python -m benchmarks.micro.catalogue [--products N] [--neighbours K] [--json FILE]`.
Shapes: a CSV feed of N products in 1,000 categories, a model with K neighbours and a vector for each.
Units: s, MB (10^6 bytes), µs of CPU; memory is what the process has beyond what it had before.
Source: each phase in a process of its own, so that its memory is its own; look-ups hit rows at random.
"""

import argparse
import json
import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from bidder.catalogue.feed import read_feed
from bidder.catalogue.product import DIMENSIONS, EVERYTHING
from bidder.catalogue.scoring import next_items
from bidder.catalogue.similar import Similar, read_model, write_model
from bidder.catalogue.snapshot import Catalogue, Catalogues, write_snapshot
from bidder.keys import category_key, product_key

SHOP: Final = "bench"
CATEGORIES: Final = 1_000
LOOKUPS: Final = 20_000
RENDERS: Final = 2_000

Figures = dict[str, float]


def write_feed(path: Path, count: int) -> None:
    """A CSV feed such as shops have, 330 bytes per product."""
    with path.open("w", encoding="utf-8") as file:
        file.write("id,title,link,image_link,price,sale_price,availability,product_type,brand,image_bytes\n")
        for number in range(count):
            group = number * 7919 % CATEGORIES
            file.write(
                f'sku-{number:07},"Walking boot ""Ridge"" no. {number}, waterproof, with wool lining",'
                f"https://www.shop.example/boots/walking-boot-ridge-{number}?utm=feed,"
                f"https://cdn.shop.example/images/600/{number:07}.webp,{20 + number % 300}.99 EUR,,"
                f"{'in_stock' if number % 10 else 'out_of_stock'},"
                f"Department {group % 20} > Shelf {group},Brand {number % 500},{8_000 + number % 9_000}\n"
            )


def random_model(count: int, near: int) -> Similar:
    """A model of as many products, with neighbours and vectors drawn at random."""
    rng = np.random.default_rng(1)
    keys = np.sort(np.array([product_key(SHOP, f"sku-{number:07}") for number in range(count)], np.uint64))
    vectors = rng.standard_normal((count, DIMENSIONS), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = -np.sort(-rng.random((count, near), np.float32), axis=1)
    return Similar(
        keys=keys,
        start=np.arange(0, count * near + 1, near, dtype=np.uint64)
        if near
        else np.zeros(count + 1, np.uint64),
        neighbours=rng.integers(0, count, count * near, np.int32),
        scores=scores.ravel(),
        popularity=rng.zipf(1.5, count).clip(max=1e6).astype(np.float32),
        vectors=vectors.astype(np.float16),
        sessions=count,
    )


def resident_mb(kind: str = "VmRSS") -> float:
    """What of this process is in memory; RssAnon is its own, RssFile is shared with all who map the same."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def build_phase(folder: Path, count: int, near: int) -> Figures:
    """Read the feed and build the snapshot, as the caretaker does."""
    write_feed(folder / "feed.csv", count)
    write_model(folder / "models", SHOP, random_model(count, near), 0)
    before_mb, begun = resident_mb(), time.perf_counter()
    feed = read_feed(folder / "feed.csv", "csv", "EUR")
    read_s, begun = time.perf_counter() - begun, time.perf_counter()
    model = read_model(folder / "models", SHOP)
    version = write_snapshot(folder / "catalogues", SHOP, feed.products, model)
    built_s = time.perf_counter() - begun
    size = (folder / "catalogues" / SHOP / f"{version}.bin").stat().st_size
    return {
        "feed_mb": (folder / "feed.csv").stat().st_size / 1e6,
        "read_s": read_s,
        "build_s": built_s,
        "snapshot_mb": size / 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6 - before_mb,
    }


def serve_phase(folder: Path, count: int, _: int) -> Figures:
    """Open the snapshot and ask it, as a worker does."""
    own_mb, begun = resident_mb("RssAnon"), time.perf_counter()
    catalogues = Catalogues(folder / "catalogues")
    catalogues.refresh()
    open_s = time.perf_counter() - begun
    catalogue = catalogues.of(SHOP)
    assert catalogue is not None
    figures = {
        "open_s": open_s,
        "own_mb": resident_mb("RssAnon") - own_mb,
        "mapped_mb": resident_mb("RssFile"),
    }
    idle = 20_000
    begun = time.perf_counter()
    for _turn in range(idle):
        catalogues.refresh()
    figures["look_us"] = (time.perf_counter() - begun) / idle * 1e6
    return figures | lookups(catalogue, count) | {"mapped_after_mb": resident_mb("RssFile")}


def lookups(catalogue: Catalogue, count: int) -> Figures:
    """µs of each question, each row asked for the first time or again, as it comes."""
    rng = random.Random(2)
    keys = [product_key(SHOP, f"sku-{rng.randrange(count):07}") for _ in range(LOOKUPS)]
    rows = [catalogue.find(key) for key in keys]
    departments = [category_key(SHOP, f"Department {number}") for number in range(20)]
    sessions = [rng.sample(rows, 15) for _ in range(RENDERS)]

    def each(ask: Callable[[int], object], asked: Sequence[int]) -> float:
        begun_ns = time.process_time_ns()
        for item in asked:
            ask(item)
        return (time.process_time_ns() - begun_ns) / len(asked) / 1000

    spent = []
    for session in sessions:
        begun_ns = time.perf_counter_ns()
        found, _ = next_items(session, catalogue)
        for row in found[:8].tolist():
            catalogue.product(row)
        catalogue.best(EVERYTHING, 20)
        spent.append((time.perf_counter_ns() - begun_ns) / 1000)
    return {
        "find_us": each(catalogue.find, keys),
        "product_us": each(catalogue.product, rows),
        "available_us": each(catalogue.available, rows),
        "similar_us": each(catalogue.similar, rows),
        "vector_us": each(catalogue.vector, rows),
        "best_us": each(catalogue.best, departments * 100),
        "next_items_us": each(lambda at: next_items(sessions[at], catalogue), range(RENDERS)),
        "choice_p50_us": float(np.percentile(spent, 50)),
        "choice_p99_us": float(np.percentile(spent, 99)),
    }


WORDS: Final = {
    "feed_mb": "feed, MB",
    "read_s": "read and check the feed, s",
    "build_s": "build and write the snapshot, s",
    "snapshot_mb": "snapshot, MB",
    "peak_mb": "memory of the builder at most, MB",
    "open_s": "check and map the snapshot, s",
    "own_mb": "memory of a worker, its own, MB",
    "mapped_mb": "memory mapped after opening, shared, MB",
    "mapped_after_mb": "memory mapped after all look-ups, shared, MB",
    "look_us": "look for a new version, µs",
    "find_us": "find a key, µs",
    "product_us": "read a product, µs",
    "available_us": "in stock or not, µs",
    "similar_us": "its neighbours, µs",
    "vector_us": "its vector, µs",
    "best_us": "best of a category, µs",
    "next_items_us": "next items of 15, µs",
    "choice_p50_us": "next items of 15, 8 products, best: p50, µs",
    "choice_p99_us": "the same: p99, µs",
}


def run(phase: Callable[[Path, int, int], Figures], folder: Path, count: int, near: int) -> Figures:
    """A phase in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(phase, (folder, count, near))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--neighbours", type=int, default=30)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        figures = run(build_phase, Path(name), args.products, args.neighbours)
        figures |= run(serve_phase, Path(name), args.products, args.neighbours)
    print(f"{args.products:,} products, {args.neighbours} neighbours each")
    for key, words in WORDS.items():
        print(f"{words:48}{figures[key]:>12,.2f}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
