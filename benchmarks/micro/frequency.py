"""What frequency caps cost this process: the read with views, the end of a request, and asking a cap.

Place: run by hand: `python -m benchmarks.micro.frequency [--seconds S] [--json FILE]`.
Units: µs of CPU of this process per person, and per question to a cap; the server's CPU is not in it.
Source: the plain read of the same people in the same run is the yardstick; what frequency adds is the difference.
    `new` people have seen nothing, `viewers` have logs of 3 advertisers with 4 records each.
"""

import argparse
import json
import math
import os
import platform
import random
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop
from redis.asyncio import Redis

from benchmarks.micro.people_read import ADVERTISERS, BATCHES, FAR_NS, PEOPLE, ROUNDS, profile, seed
from bidder.audience.frequency import BidRecord, Exposure
from bidder.audience.identity import Lookup
from bidder.campaigns.caps import ADVERTISER, CAMPAIGN, LINE, Cap
from bidder.clock import SystemClock
from bidder.keys import field_name
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.spending.exposures import PeopleLogs
from bidder.spending.sightings import Sighting, Verb
from bidder.stores.address import parse
from bidder.stores.connection import Connection
from bidder.stores.embedded import EmbeddedServer
from bidder.stores.frequency_writer import FrequencyWriter
from bidder.stores.people import PeopleReader, ReadStatus
from bidder.stores.people_writer import PeopleWriter

RECORDS = 4
WEEK_S = 7 * 86_400
FIELDS = [field_name(f"shop-{i}") for i in range(ADVERTISERS)]
CAPS = (Cap(ADVERTISER, 0, 30, WEEK_S), Cap(CAMPAIGN, 1, 20, WEEK_S), Cap(LINE, 2, 10, 86_400))
NEAR = (Cap(ADVERTISER, 0, 30, WEEK_S), Cap(CAMPAIGN, 1, 20, WEEK_S), Cap(LINE, 2, 4, 60))

Run = Callable[[Sequence[int]], Awaitable[None]]


def _bid(number: int) -> BidRecord:
    return BidRecord(FIELDS[0], number, 1, 2, number % 7, WEEK_S)


def _seen(person: bytes, advertiser: int, number: int) -> Sighting:
    now_s, bid_id = time.time(), number.to_bytes(4, "little") + bytes(8)
    keys = (1, 2, number % 7)
    return Sighting(Verb.VIEW, person, False, f"shop-{advertiser}", bid_id, *keys, WEEK_S, now_s, int(now_s))


async def _least(runs: dict[str, Run], batch: int, seconds: float) -> dict[str, float]:
    """µs of CPU per person of each run, in turns: the least of ROUNDS rounds of `seconds` together."""
    rng = random.Random(batch)
    draws = [[rng.randrange(PEOPLE) for _ in range(batch)] for _ in range(256)]
    least = dict.fromkeys(runs, math.inf)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            reads, start_s, end_s = 0, time.process_time(), time.monotonic() + seconds / ROUNDS
            while time.monotonic() < end_s:
                for draw in rng.sample(draws, 16):
                    await run(draw)
                reads += 16
            least[name] = min(least[name], (time.process_time() - start_s) / (reads * batch) * 1e6)
    return least


def _questions(exposure: Exposure, new: Exposure) -> dict[str, float]:
    """µs per question to three caps: where the person has seen nothing, where the caps are far, where one is near
    so that the log must be opened, where it is open already; and what it costs that a bid is chosen."""

    def near() -> None:
        exposure.logs = None
        exposure.verdict(FIELDS[0], NEAR)

    def chosen() -> None:
        exposure.chosen(_CHOSEN)
        exposure.dropped(_CHOSEN)

    asked: dict[str, Callable[[], object]] = {
        "nothing seen": lambda: new.verdict(FIELDS[0], CAPS),
        "far": lambda: exposure.verdict(FIELDS[0], CAPS),
        "near": near,
        "near, again": lambda: exposure.verdict(FIELDS[0], NEAR),
        "chosen, dropped": chosen,
    }
    return {
        name: min(timeit.repeat(run, number=20_000, repeat=5)) / 20_000 * 1e6 for name, run in asked.items()
    }


_CHOSEN = _bid(99)


async def _table(seconds: float) -> tuple[list[dict[str, float]], dict[str, float]]:
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        client = Redis.from_url(server.url)
        connection = Connection(parse(server.url), 100_000, tally)
        assert await connection.open()
        reader = PeopleReader(connection, Stores(read_timeout_ms=10_000), tally)
        writer = FrequencyWriter(connection, tally)
        new = await seed(PeopleWriter(client))
        viewers = [bytes([*person[:-1], person[-1] ^ 1]) for person in new]
        profiles = {f"shop-{i}": profile(i) for i in range(ADVERTISERS)}
        await PeopleWriter(client).save_many(((person, profiles) for person in viewers), time.time())
        await PeopleLogs(connection, tally, SystemClock()).apply(
            [
                _seen(person, advertiser, number)
                for person in viewers
                for advertiser in range(ADVERTISERS)
                for number in range(RECORDS)
            ]
        )

        async def plain(draw: Sequence[int]) -> None:
            reading = await reader.read(new_lookups(draw), FAR_NS)
            assert reading.status is ReadStatus.OK

        def new_lookups(draw: Sequence[int]) -> list[Lookup]:
            return [known[i] for i in draw]

        def with_views(lookups: list[Lookup], *, ending: bool, holding: bool) -> Run:
            async def run(draw: Sequence[int]) -> None:
                reading = await reader.read([lookups[i] for i in draw], FAR_NS, [1] * len(draw))
                assert reading.status is ReadStatus.OK, reading
                if holding:
                    for exposure in reading.exposures:
                        if exposure is not None:
                            exposure.held.append(_CHOSEN)
                if ending:
                    writer.finish(reading.exposures, 60)

            return run

        known, seen = [Lookup(person) for person in new], [Lookup(person) for person in viewers]
        runs = {
            "plain": plain,
            "read, new": with_views(known, ending=False, holding=False),
            "read+end, new": with_views(known, ending=True, holding=False),
            "read+hold, new": with_views(known, ending=True, holding=True),
            "read+end, viewers": with_views(seen, ending=True, holding=False),
        }
        order = ("plain", "read+end, new", "read+end, viewers", "read, new", "read+hold, new")
        rows = [
            {"batch": batch, **await _least({name: runs[name] for name in order}, batch, seconds)}
            for batch in BATCHES
        ]
        reading = await reader.read([seen[0], Lookup(b"\x01" * 16)], FAR_NS, [1, 1])
        first, second = reading.exposures
        assert first is not None
        assert second is not None
        first.busy = second.busy = 0
        questions = _questions(first, second)
        writer.close()
        await connection.close()
        await client.aclose()
    return rows, questions


def main() -> None:
    """Print the tables; with --json also write them with the machine's facts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.8, help="per cell of the table")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    rows, questions = uvloop.run(_table(arguments.seconds))
    names = list(rows[0])
    print("µs of CPU per person")
    print("".join(f"{name:>19}" for name in names))
    for row in rows:
        print(f"{row['batch']:>19}" + "".join(f"{row[name]:>19.2f}" for name in names[1:]))
    print("µs of CPU per question to three caps")
    for name, cost_us in questions.items():
        print(f"{name:>19}{cost_us:>8.2f}")
    if arguments.json:
        facts = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
        figures = {"machine": facts, "us_per_person": rows, "us_per_question": questions}
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
