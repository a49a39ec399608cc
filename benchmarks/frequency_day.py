"""Some hours of people, pages and notices on a manual clock: do frequency caps hold, and what does care cost?

Place: run by hand: `python -m benchmarks.frequency_day [--hours H] [--seed N] [--json FILE]`; a test runs a short one.
Shapes: several workers, each with a reader, a writer and the logs that notices tell of, on a connection of its own
    to a real server; people who look at pages of 8 slots, offered in one request or in 8 that reach different workers
    within 50 ms; bids that are won, lost, or never heard of again; notices that are 0 to 30 s late, lost and
    repeated; workers that die in between.
Units: simulated milliseconds.
Source: an impression is above a cap where more than the cap allows stand in the window that ends with it, by the true
    times at which they were shown. Impressions of which no notice ever came cannot be counted by anybody: they are
    told apart. A refusal was unneeded if, in hindsight, one more impression would have been within the cap.
"""

import argparse
import asyncio
import heapq
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import uvloop
from msgspec import Struct
from msgspec.structs import asdict

from bidder.audience.frequency import BidRecord, Exposure, Verdict
from bidder.audience.identity import Lookup
from bidder.campaigns.caps import ADVERTISER, CAMPAIGN, CREATIVE, LINE, Cap
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.spending.exposures import PeopleLogs
from bidder.spending.sightings import Sighting, Verb
from bidder.stores.address import parse
from bidder.stores.connection import Connection
from bidder.stores.embedded import EmbeddedServer
from bidder.stores.frequency_writer import FrequencyWriter
from bidder.stores.people import PeopleReader

START_MS: Final = 1_790_000_000_000
FAR_NS: Final = 1 << 62
SLOTS: Final = 8
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


class Line(Struct, frozen=True):
    """A line item that may bid on everything."""

    bid: BidRecord
    caps: tuple[Cap, ...]


def _line(advertiser: int, number: int, *caps: Cap) -> Line:
    """A line item of an advertiser with a campaign and a creative of the same number."""
    shared = (Cap(ADVERTISER, 0, 12, DAY_S), Cap(CAMPAIGN, number % 2, 8, DAY_S))
    field = b"a:shop-%d" % advertiser
    return Line(BidRecord(field, 0, number % 2, number, number, DAY_S), (*shared, *caps))


LINES: Final = (
    _line(0, 1, Cap(LINE, 1, 1, HOUR_S)),
    _line(0, 2, Cap(LINE, 2, 3, DAY_S), Cap(LINE, 2, 1, MINUTE_S)),
    _line(0, 3, Cap(CREATIVE, 3, 2, HOUR_S), Cap(LINE, 3, 5, DAY_S)),
    _line(1, 4, Cap(LINE, 4, 2, 10 * MINUTE_S)),
    _line(1, 5, Cap(LINE, 5, 5, HOUR_S), Cap(LINE, 5, 1, 20)),
    _line(1, 6),
)


class Plan(Struct, frozen=True):
    """What happens, and how often."""

    people: int = 20
    pages_per_hour: float = 20.0
    hours: float = 3.0
    workers: int = 4
    win_rate: float = 0.3
    bid_rate: float = 0.6
    lost: float = 0.05
    """Share of each kind of notice that never comes."""
    repeated: float = 0.2
    silent: float = 0.1
    """Share of lost auctions of which nothing is told."""
    deaths: float = 0.002
    """Share of requests that are never ended, because their worker died."""
    hold_s: float = 60.0
    deadline_s: int = 900
    """After a bid: so long a win notice lets its hold stand."""
    heed: bool = True
    """Whether bids under way are heeded; without it the day shows what they are for."""


class Day(Struct):
    """What was found."""

    requests: int = 0
    bids: int = 0
    impressions: int = 0
    untold: int = 0
    """Impressions of which neither the beacon nor the bill came."""
    above: int = 0
    """Impressions above a cap, among those that were told."""
    above_untold: int = 0
    """The same among all that were shown."""
    asked: int = 0
    """Questions whether a line item may bid."""
    reached: int = 0
    held: int = 0
    held_by_marks: int = 0
    """Of those held, the ones that pass but for requests which were being decided at the time."""
    unneeded: int = 0
    """Of those held, the ones that, in hindsight, no cap was in the way of."""
    unneeded_by_marks: int = 0


class _Shown(Struct):
    """An impression."""

    at_ms: int
    bid_ms: int
    line: Line
    told: bool


class _Held(Struct):
    """A refusal because of bids under way."""

    at_ms: int
    line: Line
    marks: bool


class _Clock:
    """The simulated time."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def now_s(self) -> float:
        return self.now_ms / 1_000

    def monotonic_ns(self) -> int:
        return (self.now_ms - START_MS) * 1_000_000


class Simulation:
    """One run of a Plan on a server."""

    def __init__(self, plan: Plan, connections: Sequence[Connection], seed: int) -> None:
        """One worker per connection."""
        self.day = Day()
        self._plan = plan
        self._random = random.Random(seed)
        self._clock = clock = _Clock()
        tally = Tally()
        self._connections = connections
        stores = Stores(read_timeout_ms=30_000)
        self._readers = [PeopleReader(each, stores, tally) for each in connections]
        self._writers = [FrequencyWriter(each, tally) for each in connections]
        self._logs = [PeopleLogs(each, tally, clock) for each in connections]
        for reader, writer, logs in zip(self._readers, self._writers, self._logs, strict=True):
            reader.simulated_ms = writer.simulated_ms = logs.simulated_ms = lambda: clock.now_ms
        self._events: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0
        self._shown: dict[bytes, list[_Shown]] = {}
        self._held: dict[bytes, list[_Held]] = {}

    async def run(self) -> Day:
        """Live through the plan; each step is done when the store has answered."""
        plan = self._plan
        end_ms = int(plan.hours * HOUR_S * 1_000)
        for number in range(plan.people):
            person = number.to_bytes(16, "big")
            self._shown[person], self._held[person] = [], []
            at_ms = 0.0
            while (at_ms := at_ms + self._pause_ms()) < end_ms:
                self._page(person, START_MS + int(at_ms))
        while self._events:
            self._clock.now_ms, _, step = heapq.heappop(self._events)
            done = step()
            if asyncio.iscoroutine(done):
                await done
            while any(each.in_flight for each in self._connections):  # noqa: ASYNC110  only replies end it
                await asyncio.sleep(0)
        for person, shown in self._shown.items():
            self._judge(shown, self._held[person])
        return self.day

    def _pause_ms(self) -> float:
        """Pages come in visits: mostly seconds apart, now and then much longer."""
        mean_s = HOUR_S / self._plan.pages_per_hour
        return (
            self._random.expovariate(1 / (0.2 * mean_s if self._random.random() < 0.9 else 8.2 * mean_s))
            * 1_000
        )

    def _at(self, at_ms: float, step: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._events, (max(self._clock.now_ms, int(at_ms)), self._count, step))

    def _page(self, person: bytes, at_ms: int) -> None:
        """One request of SLOTS impressions, or as many requests as slots."""
        if self._random.random() < 0.5:
            self._request(person, at_ms, SLOTS)
        else:
            for _ in range(SLOTS):
                self._request(person, at_ms + self._random.randrange(50), 1)

    def _request(self, person: bytes, at_ms: int, imps: int) -> None:
        self._at(at_ms, lambda: self._read(person, imps))

    async def _read(self, person: bytes, imps: int) -> None:
        self.day.requests += 1
        worker = self._random.randrange(self._plan.workers)
        (exposure,) = (await self._readers[worker].read([Lookup(person)], FAR_NS, [imps])).exposures
        assert exposure is not None
        if self._random.random() >= self._plan.deaths:
            later_ms = self._clock.now_ms + self._random.choice((1, 2, 5, 20, 60))
            self._at(later_ms, lambda: self._decide(worker, exposure, imps))

    def _decide(self, worker: int, exposure: Exposure, imps: int) -> None:
        """Steps 5 to 8 of a bid, and what becomes of it."""
        for _ in range(imps):
            for line in self._random.sample(LINES, len(LINES)):
                if self._random.random() < self._plan.bid_rate and self._may(exposure, line):
                    bid = BidRecord(
                        line.bid.field, self._random.getrandbits(32), *_keys(line), line.bid.window_s
                    )
                    exposure.chosen(bid)
                    exposure.held.append(bid)
                    self.day.bids += 1
                    self._fate(exposure.id, bid, line)
                    break
        self._writers[worker].finish([exposure], self._plan.hold_s)

    def _may(self, exposure: Exposure, line: Line) -> bool:
        day = self.day
        day.asked += 1
        found = exposure.verdict(line.bid.field, line.caps)
        if found is Verdict.HELD:
            if not self._plan.heed:
                return True
            busy, exposure.busy = exposure.busy, 0
            marks = busy > 0 and exposure.verdict(line.bid.field, line.caps) is Verdict.PASSES
            exposure.busy = busy
            day.held += 1
            day.held_by_marks += marks
            self._held[exposure.id].append(_Held(self._clock.now_ms, line, marks))
        day.reached += found is Verdict.REACHED
        return found is Verdict.PASSES

    def _fate(self, person: bytes, bid: BidRecord, line: Line) -> None:
        plan, draw, now_ms = self._plan, self._random, self._clock.now_ms
        if draw.random() >= plan.win_rate:
            if draw.random() >= plan.silent:
                self._tell(now_ms, Verb.DROP, person, bid)
            return
        shown_ms = now_ms + draw.randrange(50, 2_000)
        self._tell(now_ms, Verb.PROLONG, person, bid)
        beacon = self._tell(shown_ms, Verb.VIEW, person, bid)
        bill = self._tell(shown_ms, Verb.VIEW, person, bid)
        self._shown[person].append(_Shown(shown_ms, now_ms, line, beacon or bill))

    def _tell(self, at_ms: int, verb: Verb, person: bytes, bid: BidRecord) -> bool:
        """Send a notice to some worker up to 30 s later, perhaps again, perhaps never; says whether it comes."""
        draw = self._random
        if draw.random() < self._plan.lost:
            return False
        deadline_s = self._clock.now_ms // 1_000 + self._plan.deadline_s
        for _ in range(2 if draw.random() < self._plan.repeated else 1):
            logs = draw.choice(self._logs)
            came_ms = at_ms + draw.randrange(30_000)
            told = _sighting(verb, person, bid, (came_ms / 1_000, deadline_s))
            self._at(came_ms, partial(logs.apply, [told]))
        return True

    def _judge(self, shown: list[_Shown], held: list[_Held]) -> None:
        """Count what one person saw too much of, and was spared without need."""
        day = self.day
        day.impressions += len(shown)
        day.untold += sum(not each.told for each in shown)
        told = [each for each in shown if each.told]
        day.above += _above(told)
        day.above_untold += _above(shown)
        for refusal in held:
            # In hindsight: what had been bid before, and was shown then or later, is all that a cap had to count.
            before = [each for each in told if each.bid_ms <= refusal.at_ms]
            unneeded = all(
                _within(before, refusal.line, cap, (refusal.at_ms, FAR_NS)) < cap.views
                for cap in refusal.line.caps
            )
            day.unneeded += unneeded
            day.unneeded_by_marks += unneeded and refusal.marks


def _sighting(verb: Verb, person: bytes, bid: BidRecord, times_s: tuple[float, int]) -> Sighting:
    """What a notice tells of a bid: when it came, and until when the bid may be seen."""
    return Sighting(
        verb=verb,
        person=person,
        visitor=False,
        advertiser_id=bid.field.decode().removeprefix("a:"),
        bid_id=bid.bid_tag.to_bytes(4, "little") + bytes(8),
        campaign_key=bid.campaign,
        line_key=bid.line,
        creative_key=bid.creative,
        window_s=bid.window_s,
        seen_s=times_s[0],
        deadline_s=times_s[1],
    )


def _keys(line: Line) -> tuple[int, int, int]:
    return line.bid.campaign, line.bid.line, line.bid.creative


def _above(shown: list[_Shown]) -> int:
    """How many impressions had already as many before them, within a window, as a cap of theirs allows."""
    shown = sorted(shown, key=lambda each: each.at_ms)
    return sum(
        any(
            _within(shown[:number], each.line, cap, (each.at_ms, each.at_ms)) >= cap.views
            for cap in each.line.caps
        )
        for number, each in enumerate(shown)
    )


def _within(shown: list[_Shown], line: Line, cap: Cap, moment: tuple[int, int]) -> int:
    """Impressions that a cap of a line item counts in the window before the first of two moments, up to the second."""
    start_ms, end_ms = moment[0] - cap.window_s * 1_000, moment[1]
    return sum(
        start_ms < each.at_ms <= end_ms
        and each.line.bid.field == line.bid.field
        and (cap.scope == ADVERTISER or (*_keys(each.line),)[cap.scope - 1] == cap.key)
        for each in shown
    )


async def simulate(plan: Plan, url: str, seed: int) -> Day:
    """A day on the server at `url`, which must be empty."""
    connections = [Connection(parse(url), 4_096, Tally()) for _ in range(plan.workers)]
    try:
        for connection in connections:
            assert await connection.open()
        return await Simulation(plan, connections, seed).run()
    finally:
        for connection in connections:
            await connection.close()


async def _days(plans: dict[str, Plan], seed: int) -> dict[str, Day]:
    days = {}
    for name, plan in plans.items():
        with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
            days[name] = await simulate(plan, server.url, seed)
    return days


def main() -> None:
    """Print what is found for several times to hold; with --json also write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    plans = {f"hold {s} s": Plan(hours=arguments.hours, hold_s=s) for s in (40, 60, 120, 300)}
    plans["not heeded"] = Plan(hours=arguments.hours, heed=False)
    days = uvloop.run(_days(plans, arguments.seed))
    for name, day in days.items():
        share = Counter(held=day.held, unneeded=day.unneeded, marks=day.unneeded_by_marks)
        print(f"{name:>12}: {day}")
        print(
            " " * 14
            + ", ".join(f"{each} {count / day.asked:.2%} of questions" for each, count in share.items())
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({name: asdict(day) for name, day in days.items()}, indent=2))


if __name__ == "__main__":
    main()
