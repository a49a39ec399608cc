"""What waiting for a replica costs, and what is lost without it: settlements per second, charges gone with a primary.

Place: run by hand: `python -m benchmarks.micro.replicas [--seconds S] [--kills N] [--json FILE]`.
Shapes: one primary and one replica on this machine, the settings of helm/CLUSTER.md; `callers` send batches at once.
Units: µs of this process's CPU and of wall time per settlement; settlements per second; charges answered and lost.
Limits: on one machine the way to a replica is some 50 µs: add the network's round trip to each batch.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from redis.asyncio import Redis

from bidder.stores.embedded import EmbeddedServer, free_port
from budget.accounts import WALLET, Level
from budget.money import Micros
from budget.redis_store import RedisStore
from budget.store import MAX_AMOUNT, LeaseRequest, LedgerDown, Settlement, Status, Waits

SHAPES = ((1, 1), (16, 1), (256, 1), (16, 8))
"""Settlements of a batch, callers at once."""
ADV = "bench"
PATH = tuple(Level(name) for name in (WALLET, "campaign/c", "campaign/c/day/2026-11-22", "line/l"))
NAMES = tuple(level.account for level in PATH)
FAR_S = 4_000_000_000
SYNC = "repl-diskless-sync-delay 0\n"
SAFE = Waits(1, 1_000)

Row = dict[str, float | int | str]


@contextmanager
def pair(folder: Path) -> Iterator[tuple[EmbeddedServer, EmbeddedServer]]:
    """A primary and a replica of it."""
    port = free_port()
    settings = f"{SYNC}replicaof 127.0.0.1 {port}\n"
    with (
        EmbeddedServer(folder / "primary", port=port, settings=SYNC) as primary,
        EmbeddedServer(folder / "replica", port=free_port(), settings=settings) as replica,
    ):
        yield primary, replica


class Charges:
    """Settlements of new bids out of one lease."""

    def __init__(self, url: str, waits: Waits) -> None:
        self.client = Redis.from_url(url)
        self.store = RedisStore(self.client, waits)
        self.answered = 0
        self._ids = count(1)
        self._lease = 0

    async def open(self) -> None:
        """Fund, and lease."""
        while True:  # until the replica is there
            try:
                worker = await self.store.incarnation()
                await self.store.fund(ADV, "funds", Micros(MAX_AMOUNT))
                self._lease = worker << 32 | 1
                wanted = Micros(MAX_AMOUNT // 8)
                asked = LeaseRequest("op", worker, self._lease, PATH, wanted, wanted, 60.0)
                await self.store.lease(ADV, [asked])
                return
            except LedgerDown:
                await asyncio.sleep(0.05)

    async def settle(self, batch: int) -> None:
        """So many at once."""
        bids = [
            Settlement(next(self._ids).to_bytes(12, "big"), self._lease, Micros(9), Micros(7), FAR_S, NAMES)
            for _ in range(batch)
        ]
        assert set(await self.store.settle(ADV, bids)) == {Status.SETTLED}
        self.answered += batch

    async def until(self, end_s: float, batch: int) -> None:
        """One batch after the other."""
        while time.monotonic() < end_s:
            await self.settle(batch)


async def _rate(charges: Charges, batch: int, callers: int, seconds: float) -> Row:
    await charges.settle(batch)
    before, cpu_s, start_s = charges.answered, time.process_time(), time.monotonic()
    await asyncio.gather(*(charges.until(start_s + seconds, batch) for _ in range(callers)))
    verbs = charges.answered - before
    wall_s, cpu_s = time.monotonic() - start_s, time.process_time() - cpu_s
    rate, round_trip_us = verbs / wall_s, wall_s * callers * batch / verbs * 1e6
    return {"per_s": rate, "cpu_us": cpu_s / verbs * 1e6, "batch_us": round_trip_us}


async def _costs(seconds: float) -> list[Row]:
    rows: list[Row] = []
    for name, waits in (("no", Waits()), ("1 replica", SAFE)):
        with tempfile.TemporaryDirectory() as folder, pair(Path(folder)) as (primary, _):
            charges = Charges(primary.url, waits)
            await charges.open()
            for batch, callers in SHAPES:
                row: Row = {"waits": name, "batch": batch, "callers": callers}
                rows.append(row | await _rate(charges, batch, callers, seconds))
            await charges.client.aclose()
    return rows


async def _lost(waits: Waits) -> tuple[int, int]:
    """kill -9 of a primary that settles as fast as it can: charges answered, and those its replica has not."""
    with tempfile.TemporaryDirectory() as folder, pair(Path(folder)) as (primary, replica):
        safe = Charges(primary.url, SAFE)
        await safe.open()
        await safe.client.aclose()
        charges = Charges(primary.url, waits)
        charges._lease = safe._lease
        loads = [asyncio.create_task(charges.until(time.monotonic() + 60, 16)) for _ in range(4)]
        await asyncio.sleep(0.5)
        assert primary.process is not None
        primary.process.kill()
        await asyncio.gather(*loads, return_exceptions=True)
        await charges.client.aclose()
        client = Redis.from_url(replica.url)
        spent = int(await client.hget(f"ml:{{{ADV}}}:a", f"{WALLET}|spent") or 0)
        await client.aclose()
    return charges.answered, max(0, charges.answered - spent // 7)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=1.0, help="per cell of the table")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = asyncio.run(_costs(options.seconds))
    print(
        f"{'waits':10} {'batch':>5} {'callers':>7} {'settle/s':>9} {'CPU µs each':>11} {'µs per batch':>12}"
    )
    for row in rows:
        print(
            f"{row['waits']:10} {row['batch']:5} {row['callers']:7} {row['per_s']:9.0f} "
            f"{row['cpu_us']:11.1f} {row['batch_us']:12.0f}"
        )
    kills: list[Row] = []
    for name, waits in (("no", Waits()), ("1 replica", SAFE)):
        for _ in range(options.kills):
            answered, lost = asyncio.run(_lost(waits))
            kills.append({"waits": name, "answered": answered, "lost": lost})
            print(f"killed, waits {name}: {answered} charges answered, {lost} lost")
    print(f"{os.cpu_count()} cores, {platform.machine()}")
    if options.json:
        facts = {"cores": os.cpu_count(), "machine": platform.machine()}
        options.json.write_text(json.dumps({"machine": facts, "rows": rows, "kills": kills}, indent=2) + "\n")


if __name__ == "__main__":
    main()
