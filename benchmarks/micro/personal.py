"""What the consent gate, segments and affinity add to a bid: the same requests with each of them switched on and off.

Place: run by hand: `python -m benchmarks.micro.personal [--line-items 1000 10000] [--batches 16 64] [--rounds N]`.
Shapes: requests, people and books of micro/auction.py, decided whole. What is off answers at once what it would have
    answered: the gate its signals, permissions and law, the segments their line items, so that both sides have the same
    candidates;
    without affinity nobody has a taste. People are copied on all sides, as the store's reader has just made them.
Units: µs of CPU per bid. Each batch is decided on all sides in turn, ROUNDS times; told are the means over all batches
    of the least, and in parentheses of the median difference, so that a busy machine hits all sides alike.
    `anew`: no consent string is remembered, as if each request came with one that nobody has seen.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.micro.auction import Ask, Bench
from bidder.auction import retrieve, run
from bidder.audience.identity import Lookup
from bidder.audience.person import Person
from bidder.privacy import gate
from bidder.privacy.signals import signals_of

ROUNDS: Final = 18
REQUESTS: Final = 512
LIMIT_US: Final = 8.0
"""What the three may add together, at batches of 16 and more."""
ALL: Final = ("gate", "segments", "affinity")
SIDES: Final[dict[str, tuple[str, ...]]] = {
    "off": ALL,
    "gate": ("segments", "affinity"),
    "segments": ("gate", "affinity"),
    "affinity": ("gate", "segments"),
    "all": (),
    "all, anew": (),
}
"""What is switched off on each side."""


class Replay:
    """A function that was called once over each batch, and now returns what it returned then, in turn."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._made: list[list[Any]] = []

    def begin(self) -> None:
        """The next batch."""
        self._made.append([])

    def record(self, *arguments: Any) -> Any:
        """Call it, and keep what it returned."""
        self._made[-1].append(self._function(*arguments))
        return self._made[-1][-1]

    def again(self, batch: int) -> Callable[..., Any]:
        """A function that takes anything and does nothing; asked as often as `record` was in that batch."""
        following = iter(self._made[batch]).__next__
        return lambda *arguments: following()


class Sides:
    """One book's auction at one size of batches, with its steps switched off at will."""

    def __init__(self, bench: Bench, size: int) -> None:
        """Decides everything once, to know what the steps answer."""
        self._bench = bench
        bench.known.find = partial(_fresh, bench.known.find)  # type: ignore[method-assign]  # for this benchmark
        self._batches = [bench.asked[start : start + size] for start in range(0, REQUESTS, size)]
        law = bench.world.gate
        self._steps: dict[str, list[tuple[Any, str, Replay]]] = {
            "gate": [
                (run, "signals_of", Replay(signals_of)),
                (law, "permit", Replay(law.permit)),
                (law, "regime", Replay(law.regime)),
            ],
            "segments": [(retrieve, "_by_segments", Replay(retrieve._by_segments))],
        }
        replays = [replay for each in self._steps.values() for replay in each]
        with ExitStack() as stack:
            for owner, name, replay in replays:
                stack.enter_context(patch.object(owner, name, replay.record))
            for batch in range(len(self._batches)):
                for _, _, replay in replays:
                    replay.begin()
                self._decide(batch)

    def round(self, number: int) -> list[list[float]]:
        """For each batch µs of CPU per bid, by side; each round begins with another side."""
        order = [*range(number % len(SIDES), len(SIDES)), *range(number % len(SIDES))]
        sides = list(SIDES)
        rows = []
        for batch in range(len(self._batches)):
            self._decide(batch)  # who comes first finds a cold cache
            row = [0.0] * len(sides)
            for side in order:
                row[side] = self._us(sides[side], batch)
            rows.append(row)
        return rows

    def _us(self, side: str, batch: int) -> float:
        with ExitStack() as stack:
            for step in SIDES[side]:
                stack.enter_context(self._without(step, batch))
            if side.endswith("anew"):
                stack.enter_context(patch.object(gate, "KEPT_CHARS", 0))
            return self._decide(batch)

    def _decide(self, batch: int) -> float:
        calls = [Ask(*asked) for asked in self._batches[batch]]
        began_ns = time.thread_time_ns()
        self._bench.auction.decide(calls)
        return (time.thread_time_ns() - began_ns) / len(calls) / 1e3

    @contextmanager
    def _without(self, step: str, batch: int) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name, replay in self._steps.get(step, ()):
                stack.enter_context(patch.object(owner, name, replay.again(batch)))
            if step == "affinity":
                stack.enter_context(patch.object(self._bench.world.pricer, "_affinity", _nothing))
            yield


def _fresh(find: Callable[[Lookup | None], Person | None], lookup: Lookup | None) -> Person | None:
    """A person as the store's reader leaves them: just written to memory, on whatever side."""
    person = find(lookup)
    if person is None:
        return None
    return Person(person.id, {field: bytes(bytearray(value)) for field, value in person.fields.items()})


def _nothing(*_arguments: object) -> None:
    """The answer of a step that is off."""


def main() -> None:
    """Print a row for each size of the book and of the batches."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--line-items", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    gc.set_threshold(50_000, 20, 100)
    for line_items in arguments.line_items:
        bench = Bench(line_items)
        for batch in arguments.batches:
            sides = Sides(bench, batch)
            rounds = np.array([sides.round(number) for number in range(arguments.rounds)])
            print(f"{line_items:>7} line items, batch {batch:>2}: {_row(rounds)}", flush=True)


def _row(rounds: NDArray[np.float64]) -> str:
    """`rounds` (rounds, batches, sides): the mean over batches of what each took at least."""
    least = dict(zip(SIDES, rounds.min(axis=0).mean(axis=0), strict=True))
    usual = dict(zip(SIDES, np.median(rounds - rounds[:, :, :1], axis=0).mean(axis=0), strict=True))
    base = least.pop("off")
    cells = [f"{side} +{us - base:.1f} ({usual[side]:.1f})" for side, us in least.items()]
    added = least["all"] - base
    word = "holds" if added <= LIMIT_US else "MISSED"
    return f"off {base:.1f}  {'  '.join(cells)}  {word}: {added:.1f} of {LIMIT_US:.0f} µs"


if __name__ == "__main__":
    main()
