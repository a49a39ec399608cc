"""What the ledger's verbs cost: CPU of this process and of the server, and verbs per second, by batch and by fsync.

Place: run by hand: `python -m benchmarks.micro.ledger [--seconds S] [--json FILE]`.
Shapes: one pipeline after the other, never two at once: what one drain of a worker's spool reaches.
Units: µs of CPU per verb; verbs per second; `x set` is the server's CPU as a ratio to SET in the same run.
Source: the yardstick is a redis.asyncio pipeline of SETs of the same length of batch, on the same server.
Limits: appendfsync always is as fast as the disk below the folder syncs: the line "disk" is that of this run.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from redis.asyncio import Redis

from bidder.stores.embedded import EmbeddedServer
from budget.accounts import WALLET, Level
from budget.money import Micros
from budget.redis_store import RedisStore
from budget.store import MAX_AMOUNT, LeaseRequest, Settlement, Status

BATCHES = (1, 16, 256)
LINES = 50
ADV = "bench"
PATH = tuple(Level(name) for name in (WALLET, "campaign/c", "campaign/c/day/2026-11-22", "line/l"))
NAMES = tuple(level.account for level in PATH)
FAR_S = 4_000_000_000

Run = Callable[[int], Awaitable[None]]
Row = dict[str, float | str]


async def _runs(store: RedisStore, client: "Redis") -> dict[str, Run]:
    """What is measured, by name; the first is the yardstick."""
    worker = await store.incarnation()
    leases = [worker << 32 | i for i in range(1, LINES + 1)]
    ids = count(1)
    await store.fund(ADV, "funds", Micros(MAX_AMOUNT))

    def request(lease_id: int, wanted: int = 1_000) -> LeaseRequest:
        amount = Micros(wanted)
        return LeaseRequest(f"op-{next(ids)}", worker, lease_id, PATH, amount, amount, 60.0)

    await store.lease(ADV, [request(lease_id, MAX_AMOUNT // LINES // 2) for lease_id in leases])

    async def plain(batch: int) -> None:
        pipeline = client.pipeline(transaction=False)
        for _ in range(batch):
            pipeline.set(f"plain:{next(ids)}", "1790000000", ex=3_600)
        await pipeline.execute()

    async def settle(batch: int) -> None:
        bids = [
            Settlement(n.to_bytes(12, "big"), leases[n % LINES], Micros(900), Micros(700), FAR_S, NAMES)
            for n in (next(ids) for _ in range(batch))
        ]
        assert set(await store.settle(ADV, bids)) == {Status.SETTLED}

    async def lease(batch: int) -> None:
        grants = await store.lease(ADV, [request(leases[i % LINES]) for i in range(batch)])
        assert grants[0].granted

    return {"SET": plain, "settle": settle, "lease": lease}


async def _measure(client: "Redis", run: Run, batch: int, seconds: float) -> tuple[float, float, float]:
    """µs of client CPU and of server CPU per verb, and verbs per second."""
    await run(batch)
    server_s, client_s, start_s, verbs = await _server_cpu_s(client), time.process_time(), time.monotonic(), 0
    while (wall_s := time.monotonic() - start_s) < seconds:
        await run(batch)
        verbs += batch
    used_s = time.process_time() - client_s
    server_s = await _server_cpu_s(client) - server_s
    return used_s / verbs * 1e6, server_s / verbs * 1e6, verbs / wall_s


async def _server_cpu_s(client: "Redis") -> float:
    info = await client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def _table(seconds: float) -> list[Row]:
    rows: list[Row] = []
    for fsync in ("everysec", "always"):
        with (
            tempfile.TemporaryDirectory() as folder,
            EmbeddedServer(Path(folder), settings=f"appendfsync {fsync}\n") as server,
        ):
            store, client = RedisStore.connect(server.url), Redis.from_url(server.url)
            runs = await _runs(store, client)
            for batch in BATCHES:
                floor_us = 0.0
                for name, run in runs.items():
                    client_us, server_us, rate = await _measure(client, run, batch, seconds)
                    floor_us = floor_us or server_us
                    row: Row = {"fsync": fsync, "batch": batch, "verb": name, "client_us": client_us}
                    rows.append({**row, "server_us": server_us, "per_s": rate, "x_set": server_us / floor_us})
            await store.close()
            await client.aclose()
    return rows


def _disk_us() -> float:
    """One small write and its fsync, on the disk below temporary folders."""
    with tempfile.TemporaryFile() as file:
        start_s = time.monotonic()
        for _ in range(50):
            file.write(b"x" * 512)
            file.flush()
            os.fsync(file.fileno())
        return (time.monotonic() - start_s) / 50 * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=0.5, help="per cell of the table")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    disk_us = _disk_us()
    rows = asyncio.run(_table(options.seconds))
    print(
        f"{'fsync':9} {'batch':>5} {'verb':7} {'client µs':>9} {'server µs':>9} {'verbs/s':>9} {'x set':>6}"
    )
    for row in rows:
        print(
            f"{row['fsync']:9} {row['batch']:5} {row['verb']:7} {row['client_us']:9.1f} "
            f"{row['server_us']:9.1f} {row['per_s']:9.0f} {row['x_set']:6.1f}"
        )
    print(f"disk: {disk_us:.0f} µs per write and fsync; {os.cpu_count()} cores, {platform.machine()}")
    if options.json:
        facts = {"cores": os.cpu_count(), "machine": platform.machine(), "fsync_us": disk_us}
        options.json.write_text(json.dumps({"machine": facts, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
