"""What a visit to a shop costs this process: read, compute, compare and set; and what a shop's segments add.

Place: run by hand: `python -m benchmarks.micro.visitors [--seconds S] [--concurrency N]`.
Units: µs of CPU of this process per call, the least of ROUNDS rounds, and the ratio to one HGET of the same client;
    the server's CPU is not in it. `visits` are those that the person has behind them when the row begins.
Source: the HGET of the same run is the yardstick.
"""

import argparse
import asyncio
import math
import os
import platform
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import numpy as np
import uvloop

from bidder.audience.history import MAX_VISITS
from bidder.audience.known import Known, Seen, ShopRules, added
from bidder.audience.segments import compile_rules
from bidder.audience.visit import EventKind, Visit
from bidder.campaigns.model import Advertiser, Campaign, Creative, EventRule, Goal, LineItem, Segment
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores.embedded import EmbeddedServer
from bidder.stores.people_writer import open_client
from bidder.stores.visitors import VisitorStore

ROUNDS = 5
PEOPLE = 2_000
VISITS = (0, 10, MAX_VISITS)
SEGMENTS = (0, 5, 64)
NOW_S = 1_790_000_000

Call = Callable[[int], Awaitable[object]]


def _shop(segments: int) -> ShopRules:
    """An advertiser with so many segments of three rules each."""
    rules = [
        Segment(
            id=f"segment-{n}",
            when=(
                EventRule(event="product_view", at_least=1 + n % 4, within=f"{1 + n % 30}d"),
                EventRule(event="cart", min_value=Decimal(n)),
            ),
            unless=(EventRule(event="purchase", within="7d", categories=(f"category {n}",)),),
        )
        for n in range(segments)
    ]
    item = LineItem(
        id="item", goal=Goal(kind="cpm", value=Decimal(1)), max_bid_cpm=Decimal(1), creatives=("ad",)
    )
    advertiser = Advertiser(
        id="shop",
        name="Shop",
        domain="shop.example",
        currency="EUR",
        creatives=(Creative(id="ad", kind="html", landing_url="https://shop.example/"),),
        campaigns=(Campaign(id="campaign", name="Campaign", line_items=(item,)),),
        segments=tuple(rules),
    )
    return ShopRules("shop", compile_rules(advertiser))


def _seen(number: int) -> Seen:
    kind = (EventKind.PRODUCT_VIEW, EventKind.PRODUCT_VIEW, EventKind.CART, EventKind.PURCHASE)[number % 4]
    visit = Visit(kind, NOW_S - 10_000 + number % 10_000, number % 50 + 1, 3, 5_000_000, number + 1)
    return Seen(visit, np.full(32, 0.01, np.float16))


async def _least(call: Call, seconds: float, concurrency: int) -> float:
    """µs of CPU per call: the least of ROUNDS rounds of `seconds` together."""
    least, number = math.inf, 0
    for _ in range(ROUNDS):
        calls, start_s, end_s = 0, time.process_time(), time.monotonic() + seconds / ROUNDS
        while time.monotonic() < end_s:
            await asyncio.gather(*(call(number + n) for n in range(concurrency)))
            number += concurrency
            calls += concurrency
        least = min(least, (time.process_time() - start_s) / calls * 1e6)
    return least


async def _table(seconds: float, concurrency: int) -> list[tuple[str, float]]:
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        client = open_client(Stores(redis_url=server.url))
        store = VisitorStore(client, Tally())
        people = [n.to_bytes(16, "big") for n in range(1, 1 + PEOPLE)]

        async def hget(_: int) -> object:
            return await cast("Awaitable[Any]", client.execute_command("HGET", "p:{x}", "f"))

        rows = [("HGET", await _least(hget, seconds, concurrency))]
        for visits in VISITS:
            for segments in SEGMENTS:
                shop = _shop(segments)
                await client.flushall()
                if visits:
                    seen = [_seen(1_000_000 + n) for n in range(visits)]
                    for person in people:
                        await store.observe(person, shop, seen, NOW_S)

                async def observe(n: int, shop: ShopRules = shop) -> object:
                    return await store.observe(people[n % PEOPLE], shop, [_seen(n)], NOW_S)

                name = f"observe, {visits} visits, {segments} segments"
                rows.append((name, await _least(observe, seconds, concurrency)))

        async def known(n: int) -> object:
            return await store.known(people[n % PEOPLE], "shop")

        rows.append((f"known, {MAX_VISITS} visits", await _least(known, seconds, concurrency)))
        await client.aclose()
        return rows


def _pure() -> list[tuple[str, float]]:
    """The part of it that computes."""
    rows = []
    for visits in VISITS:
        for segments in SEGMENTS:
            shop = _shop(segments)
            before = added(Known(), shop, [_seen(1_000_000 + n) for n in range(visits)], NOW_S)
            known, seen = Known(before.profile, before.history), [_seen(1)]

            def run(known: Known = known, shop: ShopRules = shop, seen: list[Seen] = seen) -> object:
                return added(known, shop, seen, NOW_S)

            least = min(timeit.repeat(run, number=300, repeat=ROUNDS)) / 300 * 1e6
            rows.append((f"computing alone, {visits} visits, {segments} segments", least))
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.6, help="per row")
    parser.add_argument("--concurrency", type=int, default=8)
    args = parser.parse_args()
    rows = uvloop.run(_table(args.seconds, args.concurrency))
    yardstick = rows[0][1]
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    for name, micros in [*rows, *_pure()]:
        print(f"{name:<45}{micros:>9.1f} µs {micros / yardstick:>7.2f}")


if __name__ == "__main__":
    main()
