"""How often the next product is foreseen, by the code that serves: `make affinity`.

Place: run by hand: `python -m benchmarks.affinity [--sessions N] [--json FILE]`; tests/benchmarks/test_affinity.py.
Shapes: training sessions become a model and a snapshot as any shop's do; for each test session every item is
    predicted from those before it, lists of LENGTH, items already seen not left out.
Units: HR@20 = share of predictions whose list holds the item; MRR@20 = mean of 1/rank, 0 where the list has it not.
Source: rsc15_100k of session-rec (RecSys Challenge 2015), read from ../shared/data: no part of this repository.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bidder.catalogue.product import EVERYTHING, Product
from bidder.catalogue.scoring import next_items
from bidder.catalogue.similar import Similar, read_model, write_model
from bidder.catalogue.snapshot import Catalogue, open_catalogue, write_snapshot
from bidder.learning.affinity import train
from bidder.learning.sessions import sessions_of_file

LENGTH: Final = 20
SHOP: Final = "rsc15"
WANTED_HR: Final = 0.47
WANTED_MRR: Final = 0.19
DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data" / "rsc15_100k"

Sessions = Sequence[Sequence[int]]
Predict = Callable[[Sequence[int]], Sequence[int]]
"""From rows, the latest first, to rows, the likeliest first."""


class Quality(Struct, frozen=True):
    """How well one way of predicting does."""

    name: str
    predictions: int
    hr: float
    mrr: float
    us: float
    """Per prediction."""


def build(sessions: Sessions, products: Sequence[str], folder: Path) -> Catalogue:
    """A catalogue of the products, with a model trained from the sessions: through the files that serve."""
    write_model(folder / "models", SHOP, train(sessions), 0)
    model = read_model(folder / "models", SHOP)
    version = write_snapshot(folder / "catalogues", SHOP, [_product(name) for name in products], model)
    return open_catalogue(folder / "catalogues" / SHOP, SHOP, version)


def _product(name: str) -> Product:
    address = f"https://{SHOP}.example/{name}"
    return Product(name, f"Item {name}", address, address, 1_000_000, "EUR")


def measure(name: str, predict: Predict, catalogue: Catalogue, sessions: Sessions) -> Quality:
    """Every item of every session from those before it."""
    predictions, hits, reciprocal, spent_ns = 0, 0, 0.0, 0
    for session in sessions:
        rows = [catalogue.find(key) for key in session]
        for at in range(1, len(rows)):
            recent = rows[at - 1 :: -1] if at else []
            begun_ns = time.perf_counter_ns()
            listed = list(predict(recent))[:LENGTH]
            spent_ns += time.perf_counter_ns() - begun_ns
            predictions += 1
            if rows[at] >= 0 and rows[at] in listed:
                hits += 1
                reciprocal += 1 / (listed.index(rows[at]) + 1)
    total = max(1, predictions)
    return Quality(name, predictions, hits / total, reciprocal / total, spent_ns / total / 1000)


def ways(catalogue: Catalogue) -> dict[str, Predict]:
    """What is compared: the code that serves, and the two that it must beat."""
    return {
        "most popular": lambda _: catalogue.best(EVERYTHING, LENGTH).tolist(),
        "last item alone": lambda recent: next_items(recent[:1], catalogue, count=LENGTH)[0].tolist(),
        "whole session, as served": lambda recent: next_items(recent, catalogue, count=LENGTH)[0].tolist(),
    }


def products_of(path: Path) -> list[str]:
    """The item ids of a training file, in the order of their first view."""
    import gzip

    with gzip.open(path, "rt", encoding="utf-8") as file:
        next(file)
        return list(dict.fromkeys(line.split("\t")[1] for line in file))


def report(model: Similar | None, results: Sequence[Quality]) -> str:
    """A table for people."""
    lines = [f"{'':26}{'predictions':>12}{'HR@20':>9}{'MRR@20':>9}{'µs':>8}"]
    lines += [
        f"{each.name:26}{each.predictions:>12,}{each.hr:>9.4f}{each.mrr:>9.4f}{each.us:>8.1f}"
        for each in results
    ]
    if model is not None:
        lines.insert(
            0, f"{len(model.keys):,} products, {model.sessions:,} sessions, {len(model.neighbours):,} pairs"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and say whether what is wanted was reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder rsc15_100k")
    parser.add_argument("--sessions", type=int, help="test sessions; default: all")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args(argv)
    if not args.data.is_dir():
        print(f"{args.data.name} is absent: nothing to measure on", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        training = args.data / "train_full.txt.gz"
        begun = time.perf_counter()
        catalogue = build(sessions_of_file(training, SHOP), products_of(training), Path(folder))
        built_s = time.perf_counter() - begun
        sessions = sessions_of_file(args.data / "test.txt", SHOP)[: args.sessions]
        results = [measure(name, way, catalogue, sessions) for name, way in ways(catalogue).items()]
        print(report(read_model(Path(folder) / "models", SHOP), results))
    print(f"read, trained and built in {built_s:.1f} s")
    if args.json:
        args.json.write_text(
            json.dumps([{"name": r.name, "hr": r.hr, "mrr": r.mrr} for r in results], indent=2) + "\n"
        )
    reached = results[-1].hr >= WANTED_HR and results[-1].mrr >= WANTED_MRR
    print(f"HR@20 >= {WANTED_HR} and MRR@20 >= {WANTED_MRR}: {'reached' if reached else 'NOT reached'}")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
