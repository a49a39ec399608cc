"""What a read of people costs this process, by batch size and by how the person is named.

Place: run by hand: `python -m benchmarks.micro.people_read [--seconds S] [--json FILE]`.
Units: µs of CPU of this process per read and per person; the server's CPU is not in it.
Source: two yardsticks in the same run: `floor` is a bare asyncio.Protocol that sends the same bytes and only
    counts what comes back (the loop and the system calls, nothing else); `redis.asyncio` is one pipeline of
    HGETALLs per batch.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import uvloop
from redis.asyncio import Redis

from bidder.audience.identity import Lookup, match_key
from bidder.audience.person import Profile, pack
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores import keys
from bidder.stores.address import parse
from bidder.stores.connection import Connection
from bidder.stores.embedded import EmbeddedServer
from bidder.stores.people import PeopleReader, Reading, ReadStatus
from bidder.stores.people_writer import PeopleWriter

PEOPLE = 2_000
ADVERTISERS = 3
DIMENSIONS = 32
BATCHES = (1, 4, 16, 32, 64)
FAR_NS = 1 << 62
ROUNDS = 8

Run = Callable[[Sequence[int]], Awaitable[None]]


class _Bare(asyncio.Protocol):
    """Sends bytes, and wakes its one caller once as many have come back as it expects."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._missing == 0:
            self._woken.set_result(None)

    def ask(self, commands: bytes, expected: int) -> "asyncio.Future[None]":
        """Done once `expected` bytes have come."""
        self._missing = expected
        self._woken = asyncio.get_running_loop().create_future()
        self._transport.write(commands)
        return self._woken


async def _floor(path: str, people: list[bytes]) -> Run:
    """The least that a read of these people can cost; every reply has the same length."""
    _, bare = await asyncio.get_running_loop().create_unix_connection(_Bare, path)
    packed = [keys.read_person(keys.person_tag(person)) for person in people]
    size = 5  # *10\r\n, then name and value of each field, each with its length
    fields = {f"a:shop-{i}": len(pack(profile(i))) for i in range(ADVERTISERS)}
    for name, length in (*fields.items(), ("s", 4), ("m:" + "0" * keys.TAG_LENGTH, 4)):
        size += sum(5 + len(str(n)) + n for n in (len(name), length))

    async def run(draw: Sequence[int]) -> None:
        await bare.ask(b"".join([packed[i] for i in draw]), size * len(draw))

    return run


def profile(seed: int) -> Profile:
    """A visitor of a shop: 32 dimensions, 6 segments, 4 products, about 180 bytes."""
    rng = np.random.default_rng(seed)
    segments = tuple((int(key), 2_000_000_000) for key in rng.integers(0, 2**32, 6))
    products = tuple((int(key), 1_790_000_000) for key in rng.integers(0, 2**62, 4))
    return Profile(1_790_000_000, rng.standard_normal(DIMENSIONS).astype(np.float16), segments, products)


async def seed(writer: PeopleWriter) -> list[bytes]:
    """PEOPLE people with profiles of ADVERTISERS shops, and a match each."""
    rng = random.Random(7)
    people = [rng.randbytes(keys.PERSON_ID_BYTES) for _ in range(PEOPLE)]
    profiles = {f"shop-{i}": profile(i) for i in range(ADVERTISERS)}
    await writer.save_many(((person, profiles) for person in people), time.time())
    await writer.match_many((("bench", f"uid-{i}", p) for i, p in enumerate(people)), time.time())
    return people


def _expect(reading: Reading) -> None:
    assert reading.status is ReadStatus.OK
    assert reading.people[0] is not None


async def _measure(run: Run, batch: int, seconds: float) -> float:
    """µs of CPU per person, one batch after the other: the least of ROUNDS rounds of `seconds` together.

    The least, because whether client and server share a core is the scheduler's throw, not ours.
    """
    rng = random.Random(batch)
    draws = [[rng.randrange(PEOPLE) for _ in range(batch)] for _ in range(256)]
    least_us = math.inf
    for _ in range(ROUNDS):
        reads, start_s, end_s = 0, time.process_time(), time.monotonic() + seconds / ROUNDS
        while time.monotonic() < end_s:
            for draw in rng.sample(draws, 16):
                await run(draw)
            reads += 16
        least_us = min(least_us, (time.process_time() - start_s) / (reads * batch) * 1e6)
    return least_us


async def _table(seconds: float) -> list[dict[str, float]]:
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        client = Redis.from_url(server.url)
        connection = Connection(parse(server.url), 4_096, tally)
        assert await connection.open()
        reader = PeopleReader(connection, Stores(read_timeout_ms=1_000), tally)
        people = await seed(PeopleWriter(client))
        known = [Lookup(person) for person in people]
        matched = [Lookup(None, (match_key("bench", f"uid-{i}"),)) for i in range(PEOPLE)]
        named = [keys.person_key(keys.person_tag(person)) for person in people]

        async def by_id(draw: Sequence[int]) -> None:
            reading = await reader.read([known[i] for i in draw], FAR_NS)
            _expect(reading)

        async def by_match(draw: Sequence[int]) -> None:
            reading = await reader.read([matched[i] for i in draw], FAR_NS)
            _expect(reading)

        async def by_pipeline(draw: Sequence[int]) -> None:
            pipeline = client.pipeline(transaction=False)
            for i in draw:
                pipeline.hgetall(named[i])
            assert (await pipeline.execute())[0]

        async def nobody(draw: Sequence[int]) -> None:
            await reader.read([None for _ in draw], FAR_NS)

        floor = await _floor(parse(server.url).path, people)
        runs = {
            "floor": floor,
            "by id": by_id,
            "by match": by_match,
            "nobody": nobody,
            "redis.asyncio": by_pipeline,
        }
        rows = [
            {
                "batch": batch,
                **{name: await _measure(run, batch, seconds) for name, run in runs.items()},
            }
            for batch in BATCHES
        ]
        await connection.close()
        await client.aclose()
    return rows


def main() -> None:
    """Print the table; with --json also write it with the machine's facts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.8, help="per cell of the table")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    rows = uvloop.run(_table(arguments.seconds))
    names = list(rows[0])
    print("µs of CPU per person")
    print("".join(f"{name:>15}" for name in names))
    for row in rows:
        print(f"{row['batch']:>15}" + "".join(f"{row[name]:>15.2f}" for name in names[1:]))
    if arguments.json:
        facts = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
        arguments.json.write_text(json.dumps({"machine": facts, "us_per_person": rows}, indent=2))


if __name__ == "__main__":
    main()
