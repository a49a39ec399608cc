"""What counting costs a bid: every call that records something on its path, replayed.

Place: run by hand: `python -m benchmarks.micro.recording [--batches 1 16 64] [--whole]`.
Shapes: the requests, people and book of `benchmarks.micro.auction` are decided once by the real auction behind a real
    tick, and what was recorded is kept: the calls with their arguments, the turns that were answered, the signals. Then
    each part is done again, and nothing else.
Units: µs of CPU per request, the least of ROUNDS rounds. A call of a method is part of what recording costs; the loop
    that replays them is not, and is measured with methods that do nothing.
    `--whole` decides all requests with the auction's counts and with a stand-in that does nothing, in turn: the
    difference of two large numbers, and so no more than a check.
"""

import argparse
import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from typing import Final, cast

from benchmarks.micro.auction import Bench
from bidder.auction.consent import consent_of
from bidder.auction.counts import AuctionCounts
from bidder.auction.intake import read_request
from bidder.clock import SystemClock
from bidder.exchanges import SHIPPED
from bidder.metrics import Tally
from bidder.outcome import Outcome
from bidder.privacy.permissions import Permissions
from bidder.privacy.signals import Signals, signals_of
from bidder.stores.people import METRICS as PEOPLE
from bidder.web.admission import Admission
from bidder.web.call import Call, Turn
from bidder.web.counts import Counts, PortCells
from bidder.web.tick import Tick

LINE_ITEMS: Final = 1_000
ROUNDS: Final = 15
_READ_TIME: Final = next(metric for metric in PEOPLE if metric.kind == "histogram")
Part = Callable[[], object]


class Recorded:
    """Counts of an auction that are kept as the calls they came by."""

    def __init__(self, real: AuctionCounts) -> None:
        self._real = real
        self.calls: list[tuple[str, Callable[..., None], tuple[object, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        method = getattr(self._real, name)
        return lambda *args: self.calls.append((name, method, args))


class Nothing:
    """Counts that count nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return nothing


class Wire:
    """A connection that nobody listens to: answers go straight to the tick."""

    def __init__(self, settled: list[Turn]) -> None:
        self.lost = False
        self._settled = settled
        self.calls: list[Call] = []

    def release(self) -> None:
        """One more is answered; which one is told at the end of the batch."""

    def settle(self) -> None:
        """All were."""
        self._settled.extend(self.calls)
        self.calls = []


class Replay:
    """What was recorded of all requests in batches of one size."""

    def __init__(self, bench: Bench, batch: int) -> None:
        """Needs a running event loop, as a Tick does."""
        self.requests, self.batches = len(bench.asked), -(-len(bench.asked) // batch)
        self._tally = Tally()
        auction = bench.auction
        kept = Recorded(AuctionCounts(self._tally))
        before = auction._counts
        auction._counts = cast(AuctionCounts, kept)
        self._tick = Tick(auction.decide, self._tally, SystemClock(), Admission(4_096, 10_000_000), 1 << 20)
        counts = {profile.name: Counts(self._tally, profile.name) for profile in SHIPPED}
        self._turns: list[list[Turn]] = []
        for start in range(0, self.requests, batch):
            wire = Wire(self._tick.settled)
            asked = bench.asked[start : start + batch]
            now_ns = time.monotonic_ns()
            calls = [Call((wire, 0, now_ns, counts[p.name]), p, body) for body, p in asked]
            wire.calls = list(calls)
            self._tick._hand_over(calls)
            wire.settle()
            self._turns.append(list(self._tick.settled))
            self._tick.settled.clear()
        auction._counts = before
        self._calls = kept.calls
        self.bids = sum(turn.outcome is Outcome.BID for turns in self._turns for turn in turns)
        self._signals = self._heard(bench)
        self._gate = bench.world.gate

    def _heard(self, bench: Bench) -> list[tuple[Signals, Permissions]]:
        now_s, gate = time.time(), bench.world.gate
        heard = [signals_of(read_request(body)) for body, _ in bench.asked]
        return [(signals, gate.permit(signals, now_s)) for signals in heard]

    def parts(self) -> dict[str, tuple[Part, Part]]:
        """What to do, and the same without the recording, by name."""
        return {
            "port: requests, outcomes, latency, deadline, verdict": (self._port, lambda: None),
            "batch: size, queue, bytes, people read": (self._once, lambda: None),
            "stages, with the clock": (
                self._stages(self._of("intake", "person", "stages")),
                self._of("intake", "person", "stages", do=nothing),
            ),
            "consent, with its regime": (
                self._consent(self._of("consents")),
                self._of("consents", do=nothing),
            ),
            "candidates and drops": (self._of("batch"), self._of("batch", do=nothing)),
            "bids": (self._of("bid"), self._of("bid", do=nothing)),
        }

    def _of(self, *names: str, do: Callable[..., None] | None = None) -> Part:
        calls = [(do or method, args) for name, method, args in self._calls if name in names]

        def replay() -> None:
            for method, args in calls:
                method(*args)

        return replay

    def _port(self) -> None:
        cells, count = self._tally.cells, self._tick._count
        for turns in self._turns:
            for turn in turns:
                assert turn.counts is not None
                cells[turn.counts.requests] += 1
            count(turns)

    def _once(self) -> None:
        """As `Tick._hand_over`, `Tick.flush` and the people's reader do once per batch."""
        cells, port = self._tally.cells, PortCells(self._tally)
        people = [self._tally.slot(metric.name) for metric in PEOPLE[:6]]
        read = self._tally.histogram(_READ_TIME)
        for turns in self._turns:
            port.batch.observe(len(turns))
            port.queue.observe_many(30_000, len(turns))
            port.queue_age.observe(30_000)
            cells[port.sent] += 900
            cells[port.received] += 900
            cells[port.in_flight] = 3
            for slot in people:
                cells[slot] += 1
            read.observe(300_000)

    def _stages(self, count: Part) -> Part:
        clock, readings = SystemClock(), range(7 * self.batches)

        def replay() -> None:
            for _ in readings:
                clock.monotonic_ns()
            count()

        return replay

    def _consent(self, count: Part) -> Part:
        heard, regime = self._signals, self._gate.regime

        def replay() -> None:
            for signals, permissions in heard:
                consent_of(regime(signals, permissions), signals, permissions.personalise)
            count()

        return replay


def nothing(*args: object) -> None:
    """Do nothing."""


def least_us(part: Part, requests: int) -> float:
    """The least CPU of a part, in µs per request."""
    least = 1 << 62
    for _ in range(ROUNDS):
        began_ns = time.thread_time_ns()
        part()
        least = min(least, time.thread_time_ns() - began_ns)
    return least / requests / 1e3


def whole(bench: Bench, batch: int) -> tuple[float, float]:
    """µs per request of `decide`, counted and not."""
    auction, counted = bench.auction, bench.auction._counts
    silent = cast(AuctionCounts, Nothing())
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * ROUNDS):
        auction._counts = counted if number % 2 else silent
        took[bool(number % 2)].append(bench.whole(batch))
    auction._counts = counted
    return min(took[True]), min(took[False])


async def measure(batches: Sequence[int], check: bool) -> None:
    """Print the table."""
    bench = Bench(LINE_ITEMS)
    columns: dict[str, list[float]] = {}
    bids = 0
    for batch in batches:
        replay = Replay(bench, batch)
        bids = 100 * replay.bids // replay.requests
        for name, (part, without) in replay.parts().items():
            net = least_us(part, replay.requests) - least_us(without, replay.requests)
            columns.setdefault(name, []).append(max(0.0, net))
    columns["all"] = [sum(column) for column in zip(*columns.values(), strict=True)]
    print(f"µs per request, {bids} % of them bid on; batch of {'':20}{''.join(f'{b:>7}' for b in batches)}")
    for name, column in columns.items():
        print(f"{name:<64}{''.join(f'{us:>7.2f}' for us in column)}")
    for batch in batches if check else ():
        counted, silent = whole(bench, batch)
        print(f"whole bids in batches of {batch}: {counted:.1f}, with counts that do nothing {silent:.1f}")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument(
        "--whole", action="store_true", help="decide whole bids, too, counted and not, in turn"
    )
    arguments = parser.parse_args()
    gc.set_threshold(50_000, 20, 100)
    asyncio.run(measure(arguments.batches, arguments.whole))


if __name__ == "__main__":
    main()
